"""The detector's ears: when it hears a voice, and what it remembers."""

from __future__ import annotations

import pytest

from ghostfilter.detector import ONSET_FRAMES, Detector, level_dbfs
from ghostfilter.evidence import LOWEST_DBFS, Evidence
from ghostfilter.signals import Sound
from ghostfilter.vad import Vad
from tests.unit.ghostfilter.sounds import frames, noise, silence, vowel


class Witness(Vad):
    """Says of each frame what it was told to say."""

    __slots__ = ("_says",)

    def __init__(self, says: str) -> None:
        self._says = list(says)

    def is_speech(self, frame: bytes) -> bool:
        return self._says.pop(0) == "x"


def heard(pcm: bytes, vad: Vad | None = None) -> tuple[int | None, Evidence]:
    """The frame of the signal, counted from 0, and the evidence in the end."""
    detector = Detector(vad)
    at = None
    for index, frame in enumerate(frames(pcm)):
        if (sound := detector.push(frame)) is not None:
            assert sound.sound is Sound.NEAR_VOICE
            assert at is None, "the signal comes once"
            at = index
    return at, detector.evidence()


def test_a_voice_after_silence_is_heard_within_300_ms() -> None:
    at, evidence = heard(silence(1.0) + vowel(1.0))
    assert at is not None
    assert 50 + ONSET_FRAMES - 1 <= at <= 65
    assert evidence.person == evidence.voices == 1.0
    voice = evidence.get(Sound.NEAR_VOICE)
    assert voice is not None
    assert 49 <= voice.from_frame <= 54
    assert voice.dbfs == pytest.approx(-25, abs=2)


def test_a_voice_from_the_first_frame_on_is_heard() -> None:
    at, _ = heard(vowel(1.0))
    assert at is not None
    assert at <= 15


def test_a_voice_over_noise_is_heard() -> None:
    at, _ = heard(noise(2.0, -50) + vowel(1.0))
    assert at is not None
    assert 100 <= at <= 120


@pytest.mark.parametrize("sound", [silence(3), noise(3, -60), noise(3, -52)])
def test_silence_and_soft_noise_are_no_voice(sound: bytes) -> None:
    at, evidence = heard(sound)
    assert at is None
    assert evidence.person == evidence.voices == 0.0
    assert [heard.sound for heard in evidence.heard] in ([Sound.SILENCE], [Sound.NOISE])
    assert evidence.frames == 150


@pytest.mark.parametrize(("over_floor_db", "is_near"), [(3, False), (9, True)])
def test_a_voice_must_stand_over_the_line_s_own_noise(
    over_floor_db: int, is_near: bool
) -> None:
    says = Witness("." * 150 + "x" * 50)
    pcm = noise(3.0, -30) + noise(1.0, -30 + over_floor_db, seed=2)
    assert (heard(pcm, says)[0] is not None) is is_near


def test_a_single_click_is_no_voice() -> None:
    at, evidence = heard(silence(1) + vowel(0.06) + silence(1))
    assert at is None
    assert evidence.loudest_dbfs > -40


def test_words_with_gaps_add_up_within_the_window() -> None:
    loud = vowel(0.8)
    assert heard(loud, Witness("xx." * 14))[0] == 16  # the 12th x
    assert heard(loud, Witness("x.." * 14))[0] is None


def test_the_longest_stretch_forgives_short_gaps_only() -> None:
    loud = vowel(0.8)
    _, evidence = heard(loud, Witness("x" * 4 + "." * 7 + "x" * 12 + "." * 17))
    assert evidence.heard[0].frames == 16
    _, evidence = heard(loud, Witness("x" * 4 + "." * 8 + "x" * 12 + "." * 16))
    assert evidence.heard[0].frames == 12


def test_the_floor_follows_the_line_s_quiet_share() -> None:
    _, evidence = heard(noise(1.0, -45) + noise(3.0, -20, seed=2))
    assert evidence.floor_dbfs == pytest.approx(-45, abs=2)
    assert evidence.loudest_dbfs == pytest.approx(-20, abs=2)


def test_nothing_heard_at_all() -> None:
    detector = Detector()
    detector.prompt_started(bytes(320))
    detector.prompt_stopped()
    assert detector.evidence() == Evidence(0)


def test_a_frame_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="320 bytes, not 160"):
        Detector().push(bytes(160))


def test_levels() -> None:
    assert level_dbfs(bytes(320)) == LOWEST_DBFS
    assert level_dbfs(b"\x00\x80" * 160) == pytest.approx(0.0)
    assert level_dbfs(b"\x01\x00" * 160) == pytest.approx(-90.3, abs=0.1)
