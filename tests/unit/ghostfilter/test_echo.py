"""Our own prompt, coming back: found, followed, taken out."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.bounds import Bounds
from ghostfilter.echo import Echo
from ghostfilter.features import mel_power
from ghostfilter.spectra import Blocks, Floats
from tests.unit.ghostfilter.sounds import frames, mixed, noise, silence, spoken

PROMPT = spoken("Halo, satu satu dua Kediri. Tekan tombol apa saja.", dbfs=-20)


def softer(pcm: bytes, db: float) -> bytes:
    return (np.frombuffer(pcm, "<i2") * 10 ** (-db / 20)).astype("<i2").tobytes()


def heard(line: bytes, prompt: bytes = PROMPT) -> tuple[Echo, Floats, Floats]:
    """The echo, and the power of each frame before and after it was taken out."""
    blocks, echo = Blocks(), Echo()
    echo.started(prompt, 0)
    before, after = [], []
    for frame in frames(line):
        if (block := blocks.push(frame)) is not None:
            bands = mel_power(block.power)
            left = echo.without(bands, block.first_frame)
            assert (left <= bands).all(), "nothing is added"
            before.append(bands.sum(axis=1))
            after.append(left.sum(axis=1))
    return echo, np.concatenate(before), np.concatenate(after)


@pytest.mark.parametrize("late", [0.06, 0.2, 0.5])
def test_the_delay_is_found_and_most_of_the_echo_taken_out(late: float) -> None:
    echo, before, after = heard(
        mixed(silence(late) + softer(PROMPT, 22), noise(3, -75))
    )
    assert echo.delay_seconds == pytest.approx(late, abs=0.03)
    assert echo.correlation > 0.4
    later = slice(50, 140)
    assert after[later].sum() < 0.1 * before[later].sum()


def test_a_delay_that_jumps_is_found_again() -> None:
    long = PROMPT * 3
    early, late = softer(long, 20), silence(0.4) + softer(long, 20)
    at = 2 * 8000 * 5
    echo, _, _ = heard(mixed(early[:at] + late[at:], noise(14, -75)), long)
    assert echo.delay_seconds == pytest.approx(0.4, abs=0.03)


def test_a_line_without_echo_has_no_delay_and_keeps_a_voice() -> None:
    caller = silence(1.5) + spoken("Tolong, rumah saya kebakaran!", dbfs=-26, pitch=70)
    echo, before, after = heard(mixed(caller, noise(4, -70)))
    assert echo.delay_seconds is None
    later = slice(80, 160)
    assert after[later].sum() > 0.8 * before[later].sum()


def test_before_and_long_after_a_prompt_nothing_is_taken() -> None:
    blocks, echo = Blocks(), Echo()
    for frame in frames(noise(1, -40)):
        if (block := blocks.push(frame)) is not None:
            bands = mel_power(block.power)
            assert echo.without(bands, block.first_frame) is bands
    assert not echo.explained.any()


def test_a_stopped_prompt_is_expected_no_longer() -> None:
    echo = Echo()
    echo.started(PROMPT, 0)
    echo.stopped(40)
    bands = np.ones((8, 24), np.float32)
    assert echo.without(bands, 80) is bands


def test_a_prompt_that_was_over_is_not_prolonged_by_its_stop() -> None:
    echo = Echo()
    echo.started(silence(0.4), 0)
    echo.stopped(500)
    bands = np.ones((8, 24), np.float32)
    assert echo.without(bands, 80) is bands


def bands_of(power: float) -> Floats:
    return np.full((8, 24), power, np.float32)


def test_a_little_more_is_taken_out_than_expected_but_not_the_line_s_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    echo = Echo()
    echo.started(PROMPT, 0)
    monkeypatch.setattr(Bounds, "expected", lambda *_: bands_of(0.1))
    assert (echo.without(bands_of(1.0), 0) == 1.0).all(), "it may all be noise"
    echo.without(bands_of(1e-3), 8)
    assert echo.without(bands_of(1.0), 16) == pytest.approx(1.0 - 1.6 * 0.1)
    assert echo.explained == pytest.approx(1.6 * 0.1, abs=1e-3)
    assert echo.without(bands_of(0.1), 24) == pytest.approx(0.004)


def test_the_line_s_noise_is_known_from_before_the_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known: list[float] = []

    def lower(*told: object) -> None:
        lowest = told[3]
        assert isinstance(lowest, np.ndarray)
        known.append(float(lowest.max()))

    monkeypatch.setattr(Bounds, "lower", lower)
    echo = Echo()
    for block in range(20):
        power = 1e-3 if block == 6 else 1.0
        if block == 15:
            echo.started(PROMPT, 8 * block)
        echo.without(bands_of(power), 8 * block)
    assert known == pytest.approx([1e-3] * 3 + [1.0] * 2), "for 12 blocks"


def test_the_longer_no_echo_shows_itself_the_less_is_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doubts: list[Bounds] = []
    monkeypatch.setattr(Bounds, "doubt", lambda bounds: doubts.append(bounds))
    heard(noise(3, -40))
    alone = len(doubts)
    assert alone == 3 * 50 // 8
    heard(mixed(silence(0.2) + softer(PROMPT, 22), noise(3, -75)))
    assert len(doubts) - alone < alone / 3


def test_a_prompt_of_silence_explains_nothing() -> None:
    echo, before, after = heard(spoken("Halo? Halo! Tolong saya!"), silence(2))
    assert echo.delay_seconds is None
    assert after.sum() == pytest.approx(before.sum(), rel=0.05)


def coming_back(late: float, *lost: int) -> bytes:
    """A long prompt's echo at −18 dB over a hiss, without the frames that got lost."""
    line = frames(mixed(silence(late) + softer(PROMPT * 3, 18), noise(14, -72)))
    return b"".join(frame for number, frame in enumerate(line) if number not in lost)


@pytest.mark.parametrize(
    "lost",
    [range(100, 600, 50), (150, 151, 152, 300, 301, 302, 450, 451)],
    ids=["2 %, one by one", "in bursts"],
)
def test_each_lost_packet_shifts_the_delay(lost: range | tuple[int, ...]) -> None:
    echo, before, after = heard(coming_back(0.24, *lost), PROMPT * 3)
    assert echo.delay_seconds == pytest.approx(0.24 - 0.02 * len(lost), abs=0.05)
    later = slice(100, 600)
    assert after[later].sum() < 0.1 * before[later].sum()


def test_a_gap_that_a_decoder_fills_does_not_hide_the_echo_s_level() -> None:
    line = frames(coming_back(0.24))
    for number in (200, 350, 500):
        for place in range(number, number + 4):
            line[place] = softer(line[number - 1], 4.0 * (place - number + 1))
    _, before, after = heard(b"".join(line), PROMPT * 3)
    later = slice(210, 600)
    assert after[later].sum() < 0.1 * before[later].sum()


def test_a_room_that_rings_is_echo_as_well() -> None:
    dry = np.frombuffer(coming_back(0.1), "<i2").astype(float)
    rings = 10 ** (-np.arange(0, 0.2, 1 / 8000) / 0.15)
    wet = np.convolve(dry, rings / np.sqrt((rings**2).sum()))[: len(dry)]
    _, before, after = heard(wet.astype("<i2").tobytes(), PROMPT * 3)
    later = slice(100, 600)
    assert after[later].sum() < 0.15 * before[later].sum()


def test_a_voice_over_the_echo_remains() -> None:
    caller = silence(2.5) + spoken("Tolong, rumah saya kebakaran!", dbfs=-26, pitch=70)
    echo = silence(0.2) + softer(PROMPT * 2, 20)
    _, before, after = heard(mixed(mixed(echo, caller), noise(9, -72)), PROMPT * 2)
    _, alone, _ = heard(mixed(caller, noise(9, -72)), silence(1))
    spoken_in = alone > 30 * np.median(alone)
    spoken_in[:120] = False
    assert after[spoken_in].sum() > 0.6 * alone[spoken_in].sum()
    assert after[40:120].sum() < 0.1 * before[40:120].sum()


def test_the_next_prompt_starts_with_the_old_delay() -> None:
    blocks, echo = Blocks(), Echo()
    echo.started(PROMPT * 2, 0)
    line = frames(mixed(silence(0.2) + softer(PROMPT * 2, 20), noise(7, -72)))
    del line[100:110]
    again = len(line)
    line += frames(mixed(silence(0.2) + softer(PROMPT, 20), noise(3, -72)))
    before, after = [], []
    for number, frame in enumerate(line):
        if number == again:
            echo.started(PROMPT, again)
        if (block := blocks.push(frame)) is not None:
            bands = mel_power(block.power)
            left = echo.without(bands, block.first_frame)
            if number > again:
                before.append(bands.sum())
                after.append(left.sum())
    assert echo.delay_seconds == pytest.approx(0.2, abs=0.03)
    assert sum(after) < 0.15 * sum(before)


def test_half_a_block_is_cleaned_as_the_whole_will_be_and_teaches_nothing() -> None:
    line = mixed(silence(0.2) + softer(PROMPT, 22), noise(3, -75))
    looked, plain, blocks = Echo(), Echo(), Blocks()
    looked.started(PROMPT, 0)
    plain.started(PROMPT, 0)
    heard_of_it = left_of_it = 0.0
    for frame in frames(line):
        block = blocks.push(frame)
        if blocks.is_half:
            half = blocks.half()
            bands = mel_power(half.power)
            left, explained = looked.without_half(bands, half.first_frame)
            assert explained.max() <= 1.0
            if blocks.frames > 50:
                heard_of_it += float(bands[:4].sum())
                left_of_it += float(left[:4].sum())
        if block is not None:
            whole = mel_power(block.power)
            assert whole[:4] == pytest.approx(bands[:4], rel=1e-3, abs=1e-9)
            cleaned = plain.without(whole, block.first_frame)
            assert (looked.without(whole, block.first_frame) == cleaned).all()
    assert left_of_it < 0.15 * heard_of_it


def test_half_a_block_long_after_a_prompt_is_left_alone() -> None:
    bands = np.ones((8, 24), np.float32)
    left, explained = Echo().without_half(bands, 500)
    assert left is bands
    assert not explained.any()
