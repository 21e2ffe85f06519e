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
    two_words = clip(-70, (2.0, 0.5, -36), (2.9, 0.5, -25))
    assert onset_seconds(two_words, 2.0) == pytest.approx(0, abs=0.05)
    goes_on = clip(-70, (2.0, 0.9, -36), (2.9, 0.5, -25))
    assert onset_seconds(goes_on, 2.0) == pytest.approx(0.9, abs=0.05)


def test_a_room_over_which_nothing_rises_is_the_voice() -> None:
    click_then_hum = clip(-62, (2.0, 0.02, -13), (2.8, 0.4, -28))
    assert onset_seconds(click_then_hum, 2.0) == pytest.approx(0.8, abs=0.05)


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


def test_a_click_is_no_word() -> None:
    click_then_word = clip(-65, (2.0, 0.04, -30), (2.8, 0.5, -25))
    assert onset_seconds(click_then_word, 2.0) == pytest.approx(0.8, abs=0.05)
    two_clicks = clip(-65, (2.0, 0.04, -30), (2.5, 0.02, -30), (3.0, 0.5, -25))
    assert onset_seconds(two_clicks, 2.0) == pytest.approx(1.0, abs=0.05)


def test_a_word_before_a_pause_is_no_room() -> None:
    word_then_shout = clip(-65, (2.0, 0.16, -33), (2.8, 0.5, -25))
    assert onset_seconds(word_then_shout, 2.0) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("noise", "seconds", "hertz"),
    [(-65, 0.2, 0), (-65, 0.06, 180), (-33, 0.04, 0)],
    ids=["too long", "has a pitch", "in noise"],
)
def test_what_may_be_a_word_is_no_click(
    noise: float, seconds: float, hertz: float
) -> None:
    made = clip(noise, (2.8, 0.5, -25))
    if hertz:
        time = np.arange(int(seconds * RATE)) / RATE
        tone = sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 8))
        sounds.add((0.05 * np.asarray(tone)).astype(np.float32), 2.0, made)
    else:
        sounds.add(sounds.noise(np.random.default_rng(3), seconds, -23), 2.0, made)
    assert onset_seconds(made, 2.0) == pytest.approx(0, abs=0.05)


def test_a_click_that_is_all_there_is_or_is_cut_off_stays() -> None:
    assert onset_seconds(clip(-65, (2.0, 0.04, -30)), 2.0) == pytest.approx(0, abs=0.05)
    cut = clip(-65, (1.0, 0.5, -25), (5.94, 0.03, -25))
    assert onset_seconds(cut, 5.9) <= 0.06


def test_silence_has_none() -> None:
    assert onset_seconds(np.zeros(4 * RATE, np.float32), 1.0) == 0.0
