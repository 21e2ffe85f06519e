"""A sound in a line that was still until we asked for one."""

from __future__ import annotations

import numpy as np

from ghostfilter.answers import Answers
from ghostfilter.signals import PERSON, Sound
from ghostfilter.spectra import Blocks
from tests.unit.ghostfilter.sounds import frames, noise

STILL = noise(1.0, -66)
TAP = noise(0.06, -30, seed=2)


def heard(*parts: tuple[bytes, int], explained: float = 0.0) -> list[tuple[Sound, int]]:
    """What is heard of parts of a call, each after so many prompts began."""
    blocks, answers = Blocks(), Answers()
    for pcm, asked in parts:
        for frame in frames(pcm):
            if (block := blocks.push(frame)) is not None:
                ours = np.full(8, explained, np.float32)
                answers.push(block, ours, -66.0, asked)
    return [(one.sound, one.from_frame) for one in answers.heard()]


def test_a_tap_after_the_second_prompt_in_a_still_line_is_an_answer() -> None:
    (answer,) = heard((STILL, 1), (STILL + TAP + STILL, 2))
    assert answer == (Sound.ANSWER, 100)
    assert Sound.ANSWER in PERSON


def test_a_line_that_rustled_before_answers_nothing() -> None:
    assert heard((STILL + TAP + TAP + TAP, 1), (STILL + TAP, 2)) == []


def test_a_sound_far_louder_than_all_before_is_an_answer() -> None:
    soft = noise(0.3, -45, seed=3)
    bang = noise(0.16, -24, seed=4)
    assert heard((STILL + soft, 1), (STILL + bang, 2))
    assert heard((STILL + noise(0.3, -28, seed=3), 1), (STILL + bang, 2)) == []


def test_stillness_is_no_answer() -> None:
    assert heard((STILL, 1), (STILL, 2)) == []


def test_the_echo_of_the_question_is_no_answer() -> None:
    assert heard((STILL, 1), (STILL + TAP, 2), explained=0.9) == []


def test_a_tap_before_we_asked_for_one_is_no_answer() -> None:
    assert heard((STILL + TAP + STILL, 1), (STILL, 2)) == []


def test_the_loudest_of_several_is_told() -> None:
    blocks, answers = Blocks(), Answers()
    for frame in frames(STILL + TAP + STILL + noise(0.16, -20) + noise(0.5, -40)):
        if (block := blocks.push(frame)) is not None:
            answers.push(block, np.zeros(8, np.float32), -66.0, 2)
    (answer,) = answers.heard()
    assert -26 < answer.dbfs < -14
    assert answer.over_floor_db > 40
