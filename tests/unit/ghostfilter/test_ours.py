"""What of the line is our own prompt, by an echo that says what the test wants."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ghostfilter.delay import SURE
from ghostfilter.ours import ECHO_FRAMES, ECHOED, Ours
from ghostfilter.signals import Sound
from ghostfilter.spectra import BLOCK_FRAMES, Blocks, Floats
from tests.unit.ghostfilter.sounds import frames, noise, silence

SHARES = np.array([0.0, 0.4, ECHOED, 0.6, 0.7, 0.8, 0.9, 1.0], np.float32)
OURS = bytes(SHARES >= ECHOED)


def heard(
    pcm: bytes, *, correlation: float = SURE, is_due: bool = True
) -> tuple[Ours, list[Floats]]:
    """Our prompt in that audio, and what is left of each block."""
    ours, left = Ours(), []

    def without(bands: Floats, first_frame: int) -> Floats:
        return bands + first_frame

    known = SimpleNamespace(
        without=without, explained=SHARES, correlation=correlation, is_due=is_due
    )
    ours.echo = known  # type: ignore[assignment]
    blocks = Blocks()
    for frame in frames(pcm):
        if (block := blocks.push(frame)) is not None:
            left.append(ours.without(block) - block.sums[:, :24])
    return ours, left


def test_frames_are_ours_that_are_mostly_our_prompt() -> None:
    ours, left = heard(noise(0.32, -40))
    assert bytes(ours.frames) == OURS * 2
    assert [float(one.mean()) for one in left] == pytest.approx([0.0, 8.0])


@pytest.mark.parametrize(("correlation", "is_due"), [(SURE - 0.01, True), (1.0, False)])
def test_none_is_ours_of_which_that_is_not_sure(
    correlation: float, is_due: bool
) -> None:
    ours, _ = heard(noise(1.6, -40), correlation=correlation, is_due=is_due)
    assert bytes(ours.frames) == bytes(10 * BLOCK_FRAMES)
    assert ours.heard(-60.0) is None


def test_half_a_second_of_it_is_worth_a_word() -> None:
    blocks = -(-ECHO_FRAMES // sum(OURS))
    assert heard(noise(0.16 * (blocks - 1), -40))[0].heard(-60.0) is None
    told = heard(noise(0.16 * blocks, -40))[0].heard(-60.0)
    assert told is not None
    assert (told.sound, told.from_frame) == (Sound.ECHO, 2)
    assert told.frames == blocks * sum(OURS)
    assert told.confidence == SURE
    assert told.over_floor_db == pytest.approx(20.0, abs=1.0)


def test_silence_is_not_worth_a_word_though_it_is_ours() -> None:
    ours, _ = heard(silence(1.6))
    assert bytes(ours.frames) == OURS * 10
    assert ours.heard(-96.0) is None
