"""From clean sounds to what the telephone brings of them."""

from __future__ import annotations

import ctypes
from collections import Counter

import numpy as np
import pytest

from pbx.laboratory import codecs, recipe
from pbx.laboratory import degrade as degrading
from pbx.laboratory.cache import Entry, Piece
from pbx.laboratory.codecs import CODECS, CodecError, draw_losses, through_codec
from pbx.laboratory.cries import CRIES
from pbx.laboratory.degrade import Line, degrade, draw_line, fill, place
from pbx.laboratory.recipe import RULES, make_clips
from pbx.laboratory.transforms import (
    active_dbfs,
    at_level,
    far_away,
    handsfree,
    shape,
    shifted,
    to_pcm,
    to_sound,
    whisper,
)

RATE, FRAME = 8000, 160


def vowel(seconds: float = 1.0, pitch: float = 140.0) -> np.ndarray:
    """A buzz with two formants: as near to a voice as a rule comes."""
    time = np.arange(int(seconds * RATE)) / RATE
    parts = [
        np.sin(2 * np.pi * pitch * n * time) / (1 + ((n * pitch - 700) / 300) ** 2)
        for n in range(1, 25)
    ]
    return at_level(np.sum(parts, axis=0), -20)


def dice(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def spectrum(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(sound), 1 / RATE), np.abs(np.fft.rfft(sound)) ** 2


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_keeps_length_and_voice(name: str) -> None:
    said = to_pcm(vowel())[:-50]
    heard = through_codec(said, name)
    assert len(heard) == len(said)
    late = 40 if name.startswith("amr") else 0  # AMR's look-ahead of 5 ms
    ahead, behind = said[800:6000].astype(float), heard[800 + late : 6000 + late]
    assert np.corrcoef(ahead, behind)[0, 1] > 0.8
    # A-law comes last: at most 256 values, and once more changes nothing.
    assert (through_codec(heard, "pcma") == heard).all()


def test_a_lost_frame_is_concealed() -> None:
    said = to_pcm(vowel(0.4))
    lost = np.zeros(20, bool)
    lost[[0, 9]] = True
    for name in ("pcma", "gsmfr", "amr12.2"):
        heard = to_sound(through_codec(said, name, lost))
        assert active_dbfs(heard[9 * FRAME : 10 * FRAME]) > -45, name
        assert active_dbfs(heard[:FRAME]) < -50, name


def test_losses_come_in_the_share_asked_for() -> None:
    assert draw_losses(20_000, 0.05, dice()).mean() == pytest.approx(0.05, abs=0.01)
    assert not draw_losses(100, 0.0, dice()).any()


def test_discontinuous_transmission_makes_comfort_noise() -> None:
    hiss = to_pcm(at_level(dice().standard_normal(2 * RATE), -50))
    assert (
        through_codec(hiss, "amr7.4", dtx=True) != through_codec(hiss, "amr7.4")
    ).any()


def test_an_unknown_codec_and_a_missing_library_name_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CodecError, match="Use one of pcma"):
        through_codec(np.zeros(FRAME, np.int16), "opus")

    def nothing(name: str) -> ctypes.CDLL:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", nothing)
    with pytest.raises(CodecError, match="apt-get install libgsm1"):
        codecs._library("libgsm.so.1", "libgsm1")


def test_levels_are_set_and_silence_stays_silent() -> None:
    assert active_dbfs(at_level(vowel(), -33)) == pytest.approx(-33, abs=0.01)
    assert active_dbfs(np.zeros(RATE)) == -120
    assert active_dbfs(np.zeros(0)) == -120
    assert not at_level(np.zeros(RATE), -20).any()


def test_the_telephone_band() -> None:
    heard = shape(dice().standard_normal(RATE), 300, 3400)
    hz, power = spectrum(heard)
    inside = power[(hz > 500) & (hz < 3000)].mean()
    assert power[hz < 150].mean() < inside / 1000
    assert power[hz > 3900].mean() < inside / 4


def test_a_whisper_has_the_formants_but_no_pitch() -> None:
    voiced, breathed = vowel(), whisper(vowel(), dice())
    assert len(breathed) == len(voiced)

    def periodicity(sound: np.ndarray) -> float:
        lag = round(RATE / 140)
        return float(
            np.corrcoef(sound[1000:6000], sound[1000 + lag : 6000 + lag])[0, 1]
        )

    assert periodicity(voiced) > 0.9
    assert periodicity(breathed) < 0.5
    hz, power = spectrum(breathed)
    assert power[(hz > 500) & (hz < 900)].mean() > 3 * power[(hz > 2000)].mean()


def test_a_child_is_higher_and_quicker() -> None:
    higher = shifted(vowel(), 1.4)
    assert len(higher) == int(RATE / 1.4)
    hz, power = spectrum(higher)
    assert hz[power.argmax()] == pytest.approx(1.4 * 700, abs=140)
    lower = shifted(vowel(), 0.8)
    assert len(lower) == int(RATE / 0.8)


def test_rooms_ring_on_and_distance_takes_the_highs() -> None:
    said = np.concatenate([vowel(0.3), np.zeros(RATE)])
    assert np.abs(handsfree(said, dice())[int(0.32 * RATE) :]).max() > 1e-4
    hz, near = spectrum(dice(3).standard_normal(RATE))
    hz_far, far = spectrum(far_away(dice(3).standard_normal(RATE), dice()))

    def share(at: np.ndarray, power: np.ndarray) -> float:
        return float(power[at > 3300].sum() / power.sum())

    assert share(hz_far, far) < share(hz, near) / 3


@pytest.mark.parametrize("name", sorted(RULES))
def test_sounds_made_by_rule_are_whole_and_differ(name: str) -> None:
    one, other = RULES[name](6 * RATE, dice(1)), RULES[name](6 * RATE, dice(2))
    assert len(one) == 6 * RATE
    assert np.isfinite(one).all()
    if name != "digital_silence":
        assert active_dbfs(one) > -60
        assert (one != other).any()


@pytest.mark.parametrize("name", sorted(CRIES))
def test_cries_made_by_rule_are_short_and_in_the_band(name: str) -> None:
    for seed in range(6):
        cry = CRIES[name](dice(seed))
        assert 0.2 < len(cry) / RATE < 10
        assert np.isfinite(cry).all()
        hz, power = spectrum(cry)
        assert power[(hz > 80) & (hz < 3800)].sum() > 0.5 * power.sum()


def test_a_clip_has_the_length_level_onset_and_noise_of_its_line() -> None:
    said = to_pcm(vowel(1.0))
    line = Line(level_dbfs=-30, floor_dbfs=-70)
    heard = degrade(said, dice(), line=line, frames=320, onset_frame=100)
    assert len(heard) == 320 * FRAME
    sound = to_sound(heard)
    assert active_dbfs(sound) == pytest.approx(-30, abs=1.5)
    assert active_dbfs(sound[: 95 * FRAME]) < -60
    hiss = to_pcm(at_level(dice(5).standard_normal(7 * RATE), -20))
    noisy = Line(level_dbfs=-30, snr_db=10, floor_dbfs=-70)
    heard = degrade(said, dice(), line=noisy, noise=hiss, frames=320, onset_frame=100)
    assert active_dbfs(to_sound(heard)[: 90 * FRAME]) == pytest.approx(-40, abs=2)


def test_our_prompt_leaks_at_its_level() -> None:
    silence = np.zeros(RATE, np.int16)
    line = Line(echo_dbfs=-50, floor_dbfs=-80)
    heard = degrade(silence, dice(), line=line, prompt=to_pcm(vowel(9)), frames=300)
    assert active_dbfs(to_sound(heard)) == pytest.approx(-50, abs=2)


def test_a_sound_that_is_too_long_is_cut_and_a_short_one_comes_again() -> None:
    assert place(vowel(9), 300, None, dice()).any()
    again = fill([vowel(0.2)], 300, dice())
    assert active_dbfs(again[:RATE]) > -60
    assert len(fill([vowel(9)], 300, dice())) == 300 * FRAME
    assert len(fill([np.ones(1)], 2, dice())) == 2 * FRAME


def test_lines_are_drawn_as_the_corpus_has_them() -> None:
    lines = [draw_line(dice(seed)) for seed in range(400)]
    shares = Counter(line.codec for line in lines)
    assert shares["pcma"] == pytest.approx(220, abs=40)
    assert all(-45 <= line.level_dbfs <= -10 for line in lines)
    assert any(line.echo_dbfs is not None for line in lines)


def piece(label: str, kind: str, source: str, overlaps: str = "") -> Piece:
    pcm = to_pcm(vowel(0.8, 100 + 10 * len(source)))
    entry = Entry(
        *("", 0, len(pcm), label, kind, source, f"{source}:x", "", "CC0"),
        *(overlaps, source, source),
    )
    return Piece(entry, pcm)


PIECES = [
    piece("speech", "utterance", "a"),
    piece("speech", "short_word", "bb", overlaps="klettres"),
    piece("ghost", "music", "ccc"),
    piece("ghost", "engine", "dddd"),
]


def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips of four seconds, of the codec that costs nothing."""
    monkeypatch.setattr(degrading, "CODEC_SHARES", {"pcma": 1.0})
    monkeypatch.setattr(recipe, "draw_frames", lambda _: 200)


def test_training_clips_are_the_same_for_the_same_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    be_quick(monkeypatch)
    once, again = (list(make_clips(PIECES, 12, 5)) for _ in range(2))
    assert all((a.pcm == b.pcm).all() for a, b in zip(once, again, strict=True))


def test_training_clips_hold_every_kind_and_say_where_it_sounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    be_quick(monkeypatch)
    far = piece("distant", "announcement", "eeeee")
    clips = list(make_clips([*PIECES, far], 150, 3, prompts=[to_pcm(vowel(8))]))
    kinds = Counter(clip.kind for clip in clips)
    assert {"whisper_lpc", "handsfree", "child_shift", "babble_mix"} <= set(kinds)
    assert {clip.label for clip in clips} == {"speech", "ghost", "distant", "ambiguous"}
    for clip in clips:
        assert len(clip.pcm) % FRAME == 0
        assert 0 <= clip.active_from < clip.active_to <= len(clip.pcm) // FRAME


def test_what_a_fold_is_tested_on_is_never_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    be_quick(monkeypatch)
    avoid = frozenset({"klettres"})
    clips = list(make_clips(PIECES, 60, 3, avoid=avoid))
    assert all("klettres" not in clip.overlaps for clip in clips)
    assert any("klettres" in clip.overlaps for clip in make_clips(PIECES, 60, 3))
