"""A sound that stands alone in a call."""

from __future__ import annotations

import numpy as np

from ghostfilter.detector import Detector
from ghostfilter.lone import CONFIDENCE, Lone
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import Blocks
from tests.unit.ghostfilter.sounds import frames, noise

FLOOR = -66.0
STILL = noise(1.0, FLOOR)
WORD = noise(0.4, -30, seed=2)


def heard(pcm: bytes, ours: int = 0) -> list[Heard]:
    blocks, lone = Blocks(), Lone()
    for frame in frames(pcm):
        if (block := blocks.push(frame)) is not None:
            lone.push(block.levels)
    return lone.heard(bytearray([ours] * (len(pcm) // 320 // 8 * 8)), FLOOR)


def test_one_word_in_a_still_call_is_a_hint() -> None:
    (alone,) = heard(STILL * 2 + WORD + STILL * 7)
    assert (alone.sound, alone.from_frame, alone.frames) == (Sound.LONE, 100, 20)
    assert alone.confidence == CONFIDENCE
    assert alone.over_floor_db > 30
    assert (alone.is_hint, alone.is_sign) == (True, False)


def test_the_loudest_of_it_is_told() -> None:
    softer = noise(0.32, -44, seed=3)
    (alone,) = heard(STILL * 2 + softer + WORD + softer + STILL * 4)
    assert -33 < alone.dbfs < -27


def test_a_pocket_goes_on() -> None:
    assert not heard((STILL + WORD) * 5)


def test_a_crack_elsewhere_takes_nothing_from_it() -> None:
    crack = noise(0.04, -35, seed=5)
    (alone,) = heard(STILL + crack + STILL + WORD + STILL * 4 + crack + STILL)
    assert alone.from_frame == 50


def test_what_is_rarely_heard_is_alone_wherever_it_is() -> None:
    blip = noise(0.08, -35, seed=5)
    assert heard((STILL * 2 + blip) * 4)
    assert not heard((STILL + noise(0.2, -35, seed=5)) * 8)


def test_in_a_short_call_nothing_is_alone() -> None:
    assert not heard(STILL * 2 + WORD + STILL)


def test_a_crack_on_the_line_is_nothing() -> None:
    assert not heard(STILL * 3 + noise(0.02, -25) + STILL * 4)


def test_the_echo_of_our_prompt_is_not_the_callers() -> None:
    assert not heard(STILL * 2 + WORD + STILL * 4, ours=1)


def test_a_word_as_the_line_opens_is_alone_too() -> None:
    (alone,) = heard(WORD + STILL * 6)
    assert alone.from_frame == 0


def test_full_scale_and_beyond_is_loud() -> None:
    lone = Lone()
    for level in [0.0] * 5 + [1.0] * 3 + [-60.0] * 250:
        lone.push([level])
    (alone,) = lone.heard(bytearray(258), -60.0)
    assert (alone.frames, alone.dbfs) == (8, 0.0)


def test_stillness_is_no_sound() -> None:
    assert not heard(STILL * 6)


def told(pcm: bytes) -> set[Sound]:
    detector = Detector()
    for frame in frames(pcm):
        detector.push(frame)
    return {one.sound for one in detector.evidence().heard}


def test_a_call_tells_it_and_a_known_tone_is_not_it() -> None:
    assert Sound.LONE in told(STILL * 2 + noise(0.5, -25, seed=4) + STILL * 4)
    seconds = np.arange(4000) / 8000
    key = (9000 * np.sin(2 * np.pi * 770 * seconds)).astype("<i2")
    key += (9000 * np.sin(2 * np.pi * 1336 * seconds)).astype("<i2")
    sounds = told(STILL * 2 + key.tobytes() + STILL * 4)
    assert Sound.KEY_TONE in sounds
    assert Sound.LONE not in sounds
