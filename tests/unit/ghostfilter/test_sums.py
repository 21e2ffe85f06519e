"""One product for all listeners, and the net's short cuts: equal to the long way."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter import sums
from ghostfilter.features import mel_power
from ghostfilter.net import TURNS, Net, shipped_weights
from ghostfilter.peaks import lines_of, two_lines
from ghostfilter.spectra import Blocks, Floats
from ghostfilter.vad import Vad
from tests.unit.ghostfilter.sounds import frames, noise, vowel


@pytest.fixture(scope="module")
def power() -> Floats:
    rng = np.random.default_rng(3)
    return rng.gamma(1.0, 1e-2, (8, sums.BINS)).astype(np.float32)


def test_every_band_is_the_sum_of_its_bins(power: Floats) -> None:
    made = power @ sums.WEIGHTS
    hertz = np.arange(sums.BINS) * sums.HZ_PER_BIN
    assert made[:, sums.MEL] == pytest.approx(mel_power(power), rel=1e-5)
    assert made[:, sums.WHOLE] == pytest.approx(power[:, hertz > 90].sum(1), rel=1e-5)
    for column, low, high in (
        (sums.TEXT, 1250.0, 1950.0),
        (sums.UPPER, 1480.0, 2020.0),
        (sums.LOWER, 820.0, 1340.0),
        (sums.NETWORK, 250.0, 700.0),
        (sums.UPPER_LOW, 1590.0, 1720.0),
        (sums.UPPER_HIGH, 1780.0, 1910.0),
        (sums.LOWER_LOW, 920.0, 1050.0),
        (sums.LOWER_HIGH, 1110.0, 1240.0),
    ):
        inside = (hertz >= low) & (hertz <= high)
        assert made[:, column] == pytest.approx(power[:, inside].sum(1), rel=1e-5)


def test_what_is_over_its_least_share_is_above_zero(power: Floats) -> None:
    made = power @ sums.WEIGHTS
    for column, (band, share) in enumerate(sums.LEAST_SHARES.items(), sums.OVER.start):
        over = made[:, band] - share * made[:, sums.WHOLE]
        assert made[:, column] == pytest.approx(over, rel=1e-4)
    assert sums.OVER.stop - sums.OVER.start == len(sums.LEAST_SHARES)


def test_a_frame_repeats_itself_after_its_period(power: Floats) -> None:
    samples = np.zeros(256)
    samples[::40] = 1.0
    windowed = samples * np.hanning(257)[:-1]
    made = (np.abs(np.fft.rfft(windowed)) ** 2).astype(np.float32) @ sums.WEIGHTS
    periods = made[sums.PERIODS] / made[sums.TWICE]
    assert sums.LAGS[periods.argmax()] in (40, 80)
    assert periods.max() == pytest.approx(1.0, abs=0.1)


def test_the_net_s_lines_hold_what_it_has_seen() -> None:
    weights, rng = shipped_weights(), np.random.default_rng(5)
    features = rng.normal(0, 1, (8 * (3 * TURNS + 2), len(weights.into)))
    seen = features.astype(np.float32)
    net = Net()
    quick = np.concatenate(
        [net.push(seen[at : at + 8]) for at in range(0, len(seen), 8)]
    )
    hidden = np.maximum(seen @ weights.into + weights.into_bias, 0.0)
    for layer in weights.layers:
        past = np.zeros((2 * layer.dilation, hidden.shape[1]), np.float32)
        line = np.concatenate((past, hidden))
        taps = [line[tap * layer.dilation :][: len(hidden)] for tap in range(3)]
        step = np.concatenate(taps, axis=1) @ layer.weight + layer.bias
        hidden = hidden + np.maximum(step, 0.0)
    slow = hidden @ weights.out + weights.out_bias
    assert quick == pytest.approx(slow, rel=1e-3, abs=1e-3)


def test_lines_are_looked_for_where_there_may_be_any(power: Floats) -> None:
    assert lines_of(power) is None
    tone = power.copy()
    tone[3, 40:43] += 100.0
    lines, all_lines = lines_of(tone), two_lines(tone)
    assert lines is not None
    assert np.array_equal(lines.hertz, all_lines.hertz)
    assert np.array_equal(lines.share, all_lines.share)


@pytest.mark.parametrize(
    ("low", "high", "is_of_use"),
    [(24, 43, True), (3, 6, False), (12, 60, True), (24, 90, False)],
    ids=["a key", "a thump", "two pure tones", "a voice, perhaps"],
)
def test_two_lines_are_of_use_as_keys_or_pure(
    power: Floats, low: int, high: int, is_of_use: bool
) -> None:
    lines = power * (0.1 if low == 12 else 1.0)
    for centre in (low, high):
        lines[:, centre - 1 : centre + 2] += np.float32(0.6)
    assert (lines_of(lines) is not None) == is_of_use


def test_the_witness_says_the_same_of_one_frame_and_of_many() -> None:
    line = frames(vowel(0.5) + noise(0.5, -60))
    one = Vad()
    assert [one.is_speech(frame) for frame in line] == Vad().are_speech(line)


def test_a_block_keeps_its_samples_when_the_next_one_comes() -> None:
    blocks = Blocks()
    made = [block for frame in frames(vowel(0.32)) if (block := blocks.push(frame))]
    sent = np.frombuffer(vowel(0.32), "<i2") / 32768
    assert np.concatenate([block.samples for block in made]) == pytest.approx(sent)
