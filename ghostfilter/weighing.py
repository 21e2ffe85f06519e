"""How much each frame speaks for a person near the phone.

The net says what a frame sounds like. What it says of any voice over half a second, how
much the level moves, how loud the line is and how far the frame stands over it tell
cloth, engines and echoes from people as well, so all of it is weighed: a logistic
regression on frames of whole calls, made by `python -m pbx.laboratory.training.weigh`.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from operator import mul

import numpy as np

from ghostfilter.averages import last_averages
from ghostfilter.spectra import BLOCK_FRAMES, Floats

LOWEST, HIGHEST = -10.0, 12.0
"""Logits beyond these are as good as these."""
UNHEARD = -6.0
"""The voice's before the call."""
QUICK_FRAMES, SLOW_FRAMES = 12, 24
"""The voice's averages: 0.24 s and 0.48 s."""
MOVING_BLOCKS = 3
"""How much the level moves: its standard deviation in the last 0.48 s …"""
MOST_MOVED_DB = 6.0
"""… up to this."""
FLOOR_BLOCKS, FLOOR_PLACE = 12, 1
"""How loud the line is: the second softest 160 ms of the last 2 s …"""
SOFTEST_DBFS, LOUDEST_DBFS = -66.0, -36.0
"""… between these."""
LEAST_OVER_DB, MOST_OVER_DB = -10.0, 40.0
"""How far a frame stands over it, between these."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What each counts, in log-odds × SCALE. A frame of sum 0 says nothing."""

    near: float
    """For each logit the net gives to somebody near …"""
    quick: float
    slow: float
    """… and to any voice, on average of 0.24 and 0.48 s: one that goes on counts."""
    moved: float
    """For each dB by which the level moves …"""
    loud: float
    """… the line is loud …"""
    over: float
    """… and the frame stands over it."""
    always: float
    """A frame is nobody's until something speaks for it."""


SCALE = 3.1
"""So that sums are about as large as they were before frames were weighed, when they
were of logits (decision 13)."""
SHARES = Shares(
    near=1.5805,
    quick=-1.1822,
    slow=2.9615,
    moved=0.6411,
    loud=0.248,
    over=0.2045,
    always=-7.7833,
)
"""As that command printed them."""
SEEN = 6
"""All but `always` is looked at in each frame."""

_KEPT = SLOW_FRAMES - 1
_COUNTS = np.array(astuple(SHARES)[:SEEN], np.float32)
_AVERAGES = np.concatenate(
    [last_averages(frames, SLOW_FRAMES) for frames in (QUICK_FRAMES, SLOW_FRAMES)]
)
# As large as what they are compared with: a lone number costs 0.5 µs more each time.
_LOWEST, _HIGHEST = (
    np.full((BLOCK_FRAMES, 2), logit, np.float32) for logit in (LOWEST, HIGHEST)
)


class Weighing:
    """One call's frames, weighed. `push` every block."""

    __slots__ = (
        "_averages",
        "_bounded",
        "_line",
        "_means",
        "_moves",
        "_seen",
        "floor_dbfs",
    )

    def __init__(self) -> None:
        self._line = np.full(_KEPT + BLOCK_FRAMES, UNHEARD, np.float32)
        """The last logits of any voice."""
        self._means: list[float] = []
        """Mean level of each of the last blocks, dBFS …"""
        self._moves: list[tuple[float, float]] = []
        """… and of the last few the sums of levels, and of their squares."""
        self.floor_dbfs = 0.0
        """How loud the line is; 0 until two blocks are known."""
        self._seen = np.empty((SEEN, BLOCK_FRAMES), np.float32)
        self._averages = self._seen[1:3].reshape(2 * BLOCK_FRAMES)
        self._bounded = np.empty((BLOCK_FRAMES, 2), np.float32)

    def push(self, logits: Floats, levels: list[float]) -> list[float]:
        """(8, 2) logits of a block and its frames' levels (dBFS) → what each frame
        weighs, for somebody near (> 0) or against."""
        weights: Floats = np.dot(_COUNTS, self.see(logits, levels))
        weights += SHARES.always
        found: list[float] = weights.tolist()
        return found

    def look(self, logits: Floats, levels: list[float]) -> list[float]:
        """The same, and nothing of it is remembered."""
        kept = self._line.copy(), self._means[:], self._moves[:], self.floor_dbfs
        found = self.push(logits, levels)
        self._line, self._means, self._moves, self.floor_dbfs = kept
        return found

    def see(self, logits: Floats, levels: list[float]) -> Floats:
        """(6, 8): what there is to be weighed of each frame, in the order of `Shares`.
        The next call writes it anew."""
        line, seen = self._line, self._seen
        line[:_KEPT] = line[BLOCK_FRAMES:]
        bounded = np.maximum(logits, _LOWEST, out=self._bounded)
        np.minimum(bounded, _HIGHEST, out=bounded)
        seen[0], line[_KEPT:] = bounded.T
        np.dot(_AVERAGES, line, out=self._averages)
        floor = self._floor(levels)
        seen[3] = min(self._moved(levels), MOST_MOVED_DB)
        seen[4] = min(max(floor, SOFTEST_DBFS), LOUDEST_DBFS) - SOFTEST_DBFS
        least, most = floor + LEAST_OVER_DB, floor + MOST_OVER_DB
        seen[5] = [
            (least if level < least else most if level > most else level) - floor
            for level in levels
        ]
        return seen

    def _floor(self, levels: list[float]) -> float:
        self._means.append(sum(levels) / len(levels))
        del self._means[:-FLOOR_BLOCKS]
        if len(self._means) <= FLOOR_PLACE:
            return self._means[0]
        self.floor_dbfs = sorted(self._means)[FLOOR_PLACE]
        return self.floor_dbfs

    def _moved(self, levels: list[float]) -> float:
        moves = self._moves
        moves.append((sum(levels), sum(map(mul, levels, levels))))
        del moves[:-MOVING_BLOCKS]
        frames = len(moves) * len(levels)
        mean = sum([total for total, _ in moves]) / frames
        square = sum([squares for _, squares in moves]) / frames
        return math.sqrt(max(0.0, square - mean * mean))
