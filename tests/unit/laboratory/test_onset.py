"""Where somebody is first heard, on sounds whose onset is known."""

from __future__ import annotations

import numpy as np
import pytest

from pbx.laboratory.dialogue import sounds
from pbx.laboratory.dialogue.sounds import RATE, Samples
from pbx.laboratory.onset import onset_seconds


def clip(noise_dbfs: float, *spoken: tuple[float, float, float]) -> Samples:
    """Noise, and sounds in it: from (s), seconds, dBFS."""
    made = sounds.noise(np.random.default_rng(1), 6.0, noise_dbfs)
    for at, seconds, level in spoken:
        sounds.add(sounds.noise(np.random.default_rng(2), seconds, level), at, made)
    return made


def test_a_voice_that_begins_where_the_label_says() -> None:
    assert onset_seconds(clip(-60, (2.0, 1.0, -25)), 2.0) == pytest.approx(0, abs=0.05)


def test_the_recordings_own_room_is_no_voice() -> None:
    room_then_word = clip(-65, (2.0, 1.5, -45), (2.7, 0.5, -25))
    assert onset_seconds(room_then_word, 2.0) == pytest.approx(0.7, abs=0.05)


def test_a_loud_room_after_a_silent_line_is_no_voice_either() -> None:
    room_then_word = clip(-70, (2.0, 1.7, -37), (2.7, 0.5, -25))
    assert onset_seconds(room_then_word, 2.0) == pytest.approx(0.7, abs=0.05)


def test_what_was_softer_meanwhile_is_no_room_but_a_first_word() -> None:
    two_words = clip(-70, (2.0, 0.5, -33), (2.9, 0.5, -25))
    assert onset_seconds(two_words, 2.0) == pytest.approx(0, abs=0.05)


def test_a_soft_word_is_too_short_for_a_room() -> None:
    soft_then_loud = clip(-70, (2.0, 0.2, -34), (2.2, 0.8, -25))
    assert onset_seconds(soft_then_loud, 2.0) == pytest.approx(0, abs=0.05)


def test_noise_as_loud_as_the_voice_hides_no_onset_for_ever() -> None:
    loud = clip(-25, (2.8, 1.0, -20))
    assert onset_seconds(loud, 2.0) == pytest.approx(0.8, abs=0.07)
    assert onset_seconds(clip(-25), 2.0) <= 0.1


def test_a_label_at_the_very_beginning_or_end() -> None:
    assert onset_seconds(clip(-60, (0.1, 0.8, -25)), 0.1) <= 0.04
    assert onset_seconds(clip(-60), 6.0) == 0.0
    assert onset_seconds(np.zeros(100, np.float32), 0.0) == 0.0


def test_silence_has_none() -> None:
    assert onset_seconds(np.zeros(4 * RATE, np.float32), 1.0) == 0.0
