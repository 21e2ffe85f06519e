"""Who speaks, near and far, with a net that says what the test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from ghostfilter.belief import Belief
from ghostfilter.ears import Moment
from ghostfilter.net import Net, shipped_weights
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, HALF_FRAMES, Block, Blocks, Floats
from ghostfilter.stretch import Stretch
from ghostfilter.voices import Voices
from tests.unit.ghostfilter.sounds import frames, noise

WEIGHTS = replace(
    shipped_weights(),
    doubt=np.array([-2.0, -2.0], np.float32),
    sure=np.array([40.0, 40.0], np.float32),
)
FLOOR = -60.0
NOBODY, RISING, SPEAKING = (-8.0, -8.0), (4.0, 4.0), (9.0, 9.0)
FAR, FAINT, FADING = (-8.0, 9.0), (-8.0, 4.0), (-1.0, -1.0)
BEFORE = [NOBODY] * 6
"""48 frames."""
NONE = np.zeros(BLOCK_FRAMES, np.bool_)
Says = Callable[..., None]


class Known:
    """A beginning of which nothing is to be heard again, or what the test wants."""

    def __init__(self, *_: object) -> None:
        self.whole_at = 0
        self.still: Belief | None = None
        self.again: Belief | None = None
        self.is_near = False
        self.asked: list[str] = []

    def push(self, moment: Moment) -> bool:
        self.moment = moment
        self.whole_at -= 1
        return self.whole_at == 0

    def as_if_still(self, near: Stretch) -> Belief | None:
        self.asked.append("still")
        if self.is_near:
            near.push(self.moment.block, ~NONE, None)
        return self.still

    def is_worth_it(self, _: float) -> bool:
        self.asked.append("worth it")
        return self.again is not None

    def look_again(self, _: Stretch) -> Belief:
        assert self.again is not None
        self.asked.append("again")
        return self.again


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Has the net say that of every frame from now on."""

    def told(near: float, voice: float) -> None:
        def opinion(*_: object) -> Floats:
            return np.tile(np.array([near, voice], np.float32), (BLOCK_FRAMES, 1))

        monkeypatch.setattr(Net, "push", opinion)
        monkeypatch.setattr(Net, "look", opinion)

    return told


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    one = Known()
    monkeypatch.setattr("ghostfilter.voices.Beginning", lambda *_: one)
    return one


@pytest.fixture
def voices(known: Known) -> Voices:
    return Voices(WEIGHTS)


def moments() -> Iterator[Moment]:
    blocks = Blocks()
    for frame in frames(noise(8.0, -30)):
        if (block := blocks.push(frame)) is not None:
            yield moment(block)


def moment(block: Block) -> Moment:
    bands, ours = np.ones((BLOCK_FRAMES, 24), np.float32), NONE.astype(np.float32)
    return Moment(block, bands, ours, 0.0, NONE, NONE)


@pytest.fixture
def hear(voices: Voices, says: Says) -> Callable[..., list[Heard]]:
    line = moments()

    def told(*opinions: tuple[float, float]) -> list[Heard]:
        """What was told of blocks of which the net says this."""
        found = []
        for opinion in opinions:
            says(*opinion)
            found.append(voices.push(next(line), FLOOR))
        return [one for one in found if one is not None]

    return told


Hear = Callable[..., list[Heard]]


def test_a_voice_is_told_once_from_where_it_began(voices: Voices, hear: Hear) -> None:
    (told,) = hear(*BEFORE, RISING, RISING, *[SPEAKING] * 4, *BEFORE, *[SPEAKING] * 4)
    assert 48 < told.from_frame < 64, "sure in the block from 64 on"
    assert told.confidence >= 0.9
    heard = voices.heard(FLOOR)
    assert heard is not None
    assert heard.frames > told.frames
    assert heard.sound is not Sound.DISTANT_VOICE


def test_who_is_only_far_is_not_told_but_remembered(voices: Voices, hear: Hear) -> None:
    assert hear(*BEFORE) == []
    assert voices.heard(FLOOR) is None
    assert hear(FAR, FAR) == []
    heard = voices.heard(FLOOR)
    assert heard is not None
    assert (heard.sound, heard.from_frame) == (Sound.DISTANT_VOICE, 48)
    assert heard.frames == 2 * BLOCK_FRAMES - 4, "the first four are not enough"


def test_half_a_block_is_counted_once(voices: Voices, hear: Hear, says: Says) -> None:
    assert not voices.is_nearly_sure
    assert hear(*BEFORE, RISING, RISING) == []
    assert voices.is_nearly_sure
    half, whole = list(moments())[8:10]
    says(*NOBODY)
    assert voices.push_half(half, FLOOR) is None
    says(*SPEAKING)
    told = voices.push_half(half, FLOOR)
    assert told is not None
    assert told.frames == HALF_FRAMES
    assert 48 < told.from_frame < half.block.first_frame == 64
    assert voices.push(half, FLOOR) is None, "told once"
    assert not voices.is_nearly_sure
    heard = voices.heard(FLOOR)
    assert heard is not None
    assert heard.frames == BLOCK_FRAMES
    voices.push(whole, FLOOR)
    heard = voices.heard(FLOOR)
    assert heard is not None
    assert heard.frames == 2 * BLOCK_FRAMES


def test_whoever_is_sure_already_is_not_looked_at_by_halves(
    voices: Voices, hear: Hear
) -> None:
    assert len(hear(*BEFORE, *[SPEAKING] * 4)) == 1
    risen = []
    for _ in range(6):
        hear(FADING)
        risen.append(voices.belief.is_rising)
        assert not voices.is_nearly_sure
    assert True in risen


def sure() -> Belief:
    """A belief in somebody near."""
    belief = Belief(WEIGHTS)
    for _ in range(8):
        logits = np.full((BLOCK_FRAMES, 2), 9.0, np.float32)
        belief.push(logits, NONE, [-30.0] * BLOCK_FRAMES)
    return belief


def test_who_is_there_had_the_line_been_still_is_told(
    voices: Voices, hear: Hear, known: Known
) -> None:
    known.still, known.is_near = sure(), True
    (told,) = hear(NOBODY, NOBODY)
    assert told.confidence >= 0.9
    assert told.frames == BLOCK_FRAMES
    assert voices.belief.person < 0.5, "of nobody it says nothing"
    assert known.asked == ["still"], "and is asked no further"


def test_without_a_near_one_a_still_line_would_say_nothing(
    voices: Voices, hear: Hear, known: Known
) -> None:
    known.still = sure()
    assert hear(FAINT) == []
    before = voices.belief.sums[1].highest
    assert known.still.sums[1].highest > before
    hear(NOBODY)
    assert voices.belief.sums[1].highest == before


def test_an_unsure_beginning_is_heard_again_once_it_is_whole(
    voices: Voices, hear: Hear, known: Known
) -> None:
    known.whole_at, known.again = 3, sure()
    hear(NOBODY, NOBODY)
    assert voices.belief.person < 0.5
    hear(NOBODY, NOBODY)
    assert voices.belief.person > 0.5
    assert known.asked == ["still"] * 3 + ["worth it", "again"]


def test_a_beginning_that_was_not_worth_it_is_let_go(hear: Hear, known: Known) -> None:
    known.whole_at = 2
    hear(NOBODY, NOBODY, NOBODY)
    assert known.asked == ["still"] * 2 + ["worth it"]


def test_who_surely_is_there_is_not_heard_again(hear: Hear, known: Known) -> None:
    known.whole_at, known.again = 12, sure()
    assert len(hear(*BEFORE, *[SPEAKING] * 6)) == 1
    assert "worth it" not in known.asked


def test_a_machine_s_frames_are_nobody_s(voices: Voices, says: Says) -> None:
    says(*SPEAKING)
    told = []
    for one in moments():
        one.machine = ~NONE
        told.append(voices.push(one, FLOOR))
    assert set(told) == {None}
    assert voices.belief.voices < 0.5
