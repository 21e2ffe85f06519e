"""Whoever speaks as the line opens is heard once the line is known."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.beginning import (
    BEFORE_BLOCKS,
    LOOKED_AT_BLOCKS,
    ROOM_DBFS,
    SOON_BLOCKS,
    STILL_BLOCKS,
    Beginning,
    quiet_room,
)
from ghostfilter.belief import NEAR, Belief
from ghostfilter.detector import Detector
from ghostfilter.ears import Ears, Moment
from ghostfilter.net import shipped_weights
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, Blocks
from ghostfilter.stretch import Stretch
from ghostfilter.sums import MEL
from tests.unit.ghostfilter.sounds import frames, noise, spoken

WEIGHTS = shipped_weights()
NONE = np.zeros(BLOCK_FRAMES, np.bool_)
STILL = noise(1.5, -68)


def beginning_of(pcm: bytes) -> tuple[Beginning, list[bool]]:
    beginning, blocks = Beginning(WEIGHTS), Blocks()
    complete = []
    for frame in frames(pcm):
        if (block := blocks.push(frame)) is not None:
            bands = block.sums[:, MEL].copy()
            silent = np.zeros(BLOCK_FRAMES, np.float32)
            moment = Moment(block, bands, silent, 0.0, NONE, NONE)
            complete.append(beginning.push(moment))
    return beginning, complete


@pytest.fixture
def heard_by_ears(monkeypatch: pytest.MonkeyPatch) -> list[Moment]:
    """All that ears of a beginning hear, in order."""
    heard: list[Moment] = []
    monkeypatch.setattr(Ears, "hear", lambda _, moment: heard.append(moment))
    return heard


def test_a_quiet_room_comes_before_what_is_heard_as_if_still(
    heard_by_ears: list[Moment],
) -> None:
    heard_as_if_still(noise(0.8, -30))
    assert heard_by_ears[:BEFORE_BLOCKS] == list(quiet_room())
    rest = [moment.block.first_frame for moment in heard_by_ears[BEFORE_BLOCKS:]]
    assert rest == [0, 8, 16, 24, 32]


def test_what_followed_is_heard_before_the_beginning_that_is_heard_again(
    heard_by_ears: list[Moment],
) -> None:
    beginning, _ = beginning_of(noise(2.4, -30))
    beginning.look_again(Stretch())
    heard = [moment.block.first_frame for moment in heard_by_ears]
    assert heard == [*range(72, 120, 8), *range(0, 72, 8)]


def test_it_is_complete_once() -> None:
    _, complete = beginning_of(STILL * 3)
    assert complete.index(True) == LOOKED_AT_BLOCKS + BEFORE_BLOCKS - 1
    assert sum(complete) == 1


def test_a_second_look_is_worth_it_where_something_was_heard_at_once() -> None:
    loud, _ = beginning_of(noise(0.4, -30) + STILL * 2)
    later, _ = beginning_of(STILL + noise(0.4, -30) + STILL)
    assert loud.is_worth_it(-68.0)
    assert not loud.is_worth_it(-40.0)
    soft, _ = beginning_of(noise(0.4, -60) + STILL * 2)
    assert not soft.is_worth_it(-90.0), "nobody would hear that"
    assert not later.is_worth_it(-68.0)


def test_the_second_look_knows_a_voice_and_where_it_was() -> None:
    near = Stretch()
    beginning, _ = beginning_of(spoken("Halo? Tolong!") + STILL * 2)
    belief = beginning.look_again(near)
    assert belief.sureness(NEAR) >= 0.9
    assert near.first is not None
    assert near.first < LOOKED_AT_BLOCKS * BLOCK_FRAMES


def heard_as_if_still(pcm: bytes) -> tuple[list[Belief | None], Stretch]:
    """After each block: what was believed then, and where somebody was in the end."""
    beginning, near, believed = Beginning(WEIGHTS), Stretch(), []
    for moment in beginning_of(pcm)[0]._moments:
        beginning.push(moment)
        believed.append(beginning.as_if_still(near))
    return believed, near


def test_who_speaks_at_once_is_heard_as_if_the_line_had_been_still() -> None:
    believed, near = heard_as_if_still(spoken("Halo? Tolong!") + STILL * 2)
    listened = [belief is not None for belief in believed]
    before, after = SOON_BLOCKS - 1, len(believed) - STILL_BLOCKS
    during = STILL_BLOCKS - before
    assert listened == [False] * before + [True] * during + [False] * after
    last = believed[STILL_BLOCKS - 1]
    assert last is not None
    assert last.sureness(NEAR) >= 0.9
    assert near.first is not None
    assert near.first < SOON_BLOCKS * BLOCK_FRAMES


def test_what_is_not_audible_at_once_is_not_heard_so() -> None:
    believed, near = heard_as_if_still(STILL + spoken("Tolong!"))
    assert believed == [None] * len(believed)
    assert near.first is None


def test_noise_at_once_is_nobody_though_the_line_had_been_still() -> None:
    believed, near = heard_as_if_still(noise(2.5, -30))
    assert believed[SOON_BLOCKS] is not None
    assert near.first is None


def test_the_quiet_room_is_quiet_and_always_the_same() -> None:
    levels = [level for moment in quiet_room() for level in moment.block.levels]
    assert len(levels) == BEFORE_BLOCKS * BLOCK_FRAMES
    assert levels == pytest.approx([ROOM_DBFS] * len(levels), abs=2.5)
    quiet_room.cache_clear()
    again = [level for moment in quiet_room() for level in moment.block.levels]
    assert again == levels


def test_what_was_believed_before_stays() -> None:
    sure, unsure = Belief(WEIGHTS), Belief(WEIGHTS)
    voice = np.full((BLOCK_FRAMES, 2), 9.0, np.float32)
    for _ in range(8):
        sure.push(voice, NONE, [-30.0] * BLOCK_FRAMES)
        unsure.push(-voice, NONE, [-30.0] * BLOCK_FRAMES)
    person = sure.person
    sure.learn(unsure)
    assert sure.person == person > unsure.person
    slowly = unsure.person
    unsure.learn_sums(sure)
    assert unsure.person == slowly
    assert unsure.sureness(NEAR) == sure.sureness(NEAR)
    unsure.learn(sure)
    assert unsure.person == person
    assert unsure.sureness(NEAR) == sure.sureness(NEAR) >= 0.9


def told(pcm: bytes) -> list[tuple[int, Heard]]:
    detector = Detector()
    signs = [(n, detector.push(frame)) for n, frame in enumerate(frames(pcm))]
    return [(n, sign) for n, sign in signs if sign is not None]


@pytest.mark.parametrize("words", ["Halo?", "Api!", "Tolong!"])
def test_one_word_as_the_line_opens_passes(words: str) -> None:
    ((frame, sign),) = told(spoken(words) + STILL * 3)
    assert sign.sound in {Sound.NEAR_VOICE, Sound.WHISPER, Sound.CRY}
    assert frame < LOOKED_AT_BLOCKS * BLOCK_FRAMES
    assert sign.confidence >= 0.9 - 1e-9
    assert sign.from_frame < 60


def test_noise_as_the_line_opens_does_not() -> None:
    assert told(noise(0.4, -30) + STILL * 3) == []
