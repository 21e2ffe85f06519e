"""How a call began, for those who speak at once.

As the line opens nothing is known of it: whoever speaks at once *is* its floor, and
the net has heard nothing to tell him from. So whatever is audible at once is heard by a
second net as well, as if a quiet room had come before: who is surely there passes. Two
seconds later the line is known; then the first second and a half is heard once more
after the second that followed, as if the line had been open before.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ghostfilter.belief import Belief
from ghostfilter.ears import Ears, Moment
from ghostfilter.net import Weights
from ghostfilter.spectra import BLOCK_FRAMES, FRAME_SAMPLES, FULL_SCALE, Blocks
from ghostfilter.stretch import Stretch
from ghostfilter.sums import MEL

LOOKED_AT_BLOCKS = 9
"""1.44 s: what is heard again …"""
BEFORE_BLOCKS = 6
"""… after the 0.96 s that followed it."""
STILL_BLOCKS = 12
"""1.92 s: so long it is heard as if a quiet room had come before."""
SOON_BLOCKS = 3
"""Worth it if in the first 0.48 s …"""
RISE_DB = 15.0
AUDIBLE_DBFS = -50.0
"""… something stood so far over the line's floor, no softer than this."""
ROOM_DBFS = -58.0
"""The room that is taken to have been there before, for as long: white noise of this
level. A line of digital silence lets everything stand out, and cloth passes."""
_ALL = LOOKED_AT_BLOCKS + BEFORE_BLOCKS


class Beginning:
    """One call's first 2.4 s."""

    __slots__ = ("_moments", "_still", "_weights")

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._moments: list[Moment] = []
        self._still: Ears | None = None

    def push(self, moment: Moment) -> bool:
        """Remember a block; is the beginning complete with it?"""
        self._moments.append(moment)
        return len(self._moments) == _ALL

    def as_if_still(self, near: Stretch) -> Belief | None:
        """What to believe of the block pushed last, had a quiet room come before the
        call; adds to `near` where somebody surely is. None where nobody listens: in the
        first 0.48 s (then at once to all of it), if nothing was audible in it, and
        after 1.92 s."""
        count = len(self._moments)
        if count < SOON_BLOCKS or count > STILL_BLOCKS:
            return None
        new = self._moments[-1:]
        if count == SOON_BLOCKS and self._is_audible(AUDIBLE_DBFS):
            self._still, new = Ears(self._weights), self._moments
            for moment in quiet_room():
                self._still.hear(moment)
        if self._still is None:
            return None
        for moment in new:
            _hear_again(moment, self._still, near)
        return self._still.belief

    def is_worth_it(self, floor: float) -> bool:
        """Whether anything was heard at once, on a line of that floor (dBFS)."""
        return self._is_audible(max(AUDIBLE_DBFS, floor + RISE_DB))

    def look_again(self, near: Stretch) -> Belief:
        """What to believe of it now; adds to `near` where somebody was."""
        ears = Ears(self._weights)
        first, then = self._moments[:LOOKED_AT_BLOCKS], self._moments[LOOKED_AT_BLOCKS:]
        for moment in then:
            ears.hear(moment)
        for moment in first:
            _hear_again(moment, ears, near)
        return ears.belief

    def _is_audible(self, least: float) -> bool:
        return any(m.block.loudest >= least for m in self._moments[:SOON_BLOCKS])


def _hear_again(moment: Moment, ears: Ears, near: Stretch) -> None:
    """Add to `near` the frames of a block in which somebody near is surely there."""
    if ears.hear(moment):
        near.push(moment.block, ears.near(), ears.features)


@cache
def quiet_room() -> tuple[Moment, ...]:
    """0.96 s of white noise at −58 dBFS, always the same."""
    frames = BEFORE_BLOCKS * BLOCK_FRAMES
    noise = np.random.default_rng(112).standard_normal((frames, FRAME_SAMPLES))
    pcm = np.round(noise * FULL_SCALE * 10 ** (ROOM_DBFS / 20)).astype("<i2")
    blocks = Blocks()
    whole = [block for frame in pcm if (block := blocks.push(frame.tobytes()))]
    silent, nowhere = np.zeros(BLOCK_FRAMES, np.float32), np.zeros(BLOCK_FRAMES, bool)
    return tuple(
        Moment(block, block.sums[:, MEL].copy(), silent, 0.0, nowhere, nowhere)
        for block in whole
    )
