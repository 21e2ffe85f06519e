"""How late our own prompt comes back.

It is the delay at which the bands of line and prompt rise and fall together, correlated
over about 5 s. Lost packets shift it from frame to frame, so its next neighbours are
told apart by the last half second.
"""

from __future__ import annotations

import numpy as np

from ghostfilter.sent import LATEST, PLACES, Sent
from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.spectra import BLOCK_FRAMES, Floats

SURE = 0.36
"""Correlation from which on the delay is believed. On the development corpus echoes
reach it within 0.3…0.8 s; lines without echo mostly stay below."""
LOST = 0.2
"""Below it, a delay that was known is known no longer."""
FORGET = np.float32(0.97)
"""What is left of the correlation after a block: it lasts about 5 s."""
FORGET_FAST = np.float32(0.7)
"""The same where the delay's next neighbours are told apart: about 0.5 s."""
NEAR = 3
"""So many places beside it are its next neighbours."""
AGAIN = np.float32(0.2)
"""What counts of the correlation so far when a prompt begins: lost packets shifted the
delay, and a new prompt starts with the old one."""
FOLLOWED = np.float32(0.12)
"""How fast the line's mean follows it, a block: over about 1.3 s."""
_LEAST = 1e-3
"""Of any energy: nothing is divided by zero."""

_SLOW, _QUICK = 0, 1
_ALIKE, _ENERGY = 0, 1
_FORGETS = np.array([FORGET, FORGET_FAST], np.float32)[:, None, None]
_SPAN = PLACES + BLOCK_FRAMES - 1
# A mean as a product with this: a quarter of what numpy's own takes.
_MEAN = np.ones(BLOCK_FRAMES, np.float32) / np.float32(BLOCK_FRAMES)


class Delay:
    """One call's delay. `push` every block in which a prompt may be."""

    __slots__ = ("_line_energy", "_line_mean", "_sums", "correlation", "place")

    def __init__(self) -> None:
        self._sums = np.zeros((2, 2, PLACES), np.float32)
        """(_SLOW or _QUICK, _ALIKE or _ENERGY, places)"""
        self._sums[:, _ENERGY] = _LEAST
        self._line_energy = np.float32(_LEAST)
        self._line_mean: Floats | None = None
        self.place: int | None = None
        """Where in the prompt the line is; None while that is unknown."""
        self.correlation = 0.0
        """How well the prompt explains the line at the best place, 0…1."""

    @property
    def seconds(self) -> float | None:
        """How late our prompt comes back; None while that is unknown."""
        if self.place is None:
            return None
        return (LATEST - 1 - self.place) * FRAME_SECONDS

    def started(self) -> None:
        """A prompt begins."""
        self.place = None
        self._line_energy *= AGAIN
        self._sums *= AGAIN

    def push(self, log: Floats, sent: Sent, start: int) -> None:
        """Find the place at which line and prompt are most alike.

        `log` (8, 24): of the block's mel power; `start`: the first place's row.
        """
        line = self._over_mean(log)
        products = np.dot(sent.shape[start : start + _SPAN], line.T)
        sums = self._sums
        sums *= _FORGETS
        sums[:, _ALIKE] += _diagonals(products)
        sums[:, _ENERGY] += sent.energy[start : start + PLACES]
        self._line_energy = self._line_energy * FORGET + np.vdot(line, line)
        energy = sums[_SLOW, _ENERGY] * self._line_energy
        likeness = sums[_SLOW, _ALIKE] / np.sqrt(energy)
        best = int(likeness.argmax())
        self.correlation = max(0.0, float(likeness[best]))
        if self.correlation >= SURE:
            self._follow(best)
        elif self.correlation < LOST:
            self.place = None

    def _over_mean(self, log: Floats) -> Floats:
        """(8, 24) the line over its own mean."""
        mean = np.dot(_MEAN, log)
        if self._line_mean is None:
            self._line_mean = mean
        else:
            self._line_mean += FOLLOWED * (mean - self._line_mean)
        return log - self._line_mean

    def _follow(self, best: int) -> None:
        """Go to the best place, or from frame to frame as packets get lost."""
        if self.place is None or abs(best - self.place) > NEAR + 1:
            self.place = best
        first = max(0, self.place - NEAR)
        around = slice(first, self.place + NEAR + 1)
        now = self._sums[_QUICK, _ALIKE, around] / np.sqrt(
            self._sums[_QUICK, _ENERGY, around]
        )
        self.place = first + int(now.argmax())


def _diagonals(products: Floats) -> Floats:
    """(places + 7, 8) → (places,) the sums of eight along each falling diagonal."""
    row, column = products.strides
    steps = (row, row + column)
    falling = np.ndarray((PLACES, BLOCK_FRAMES), np.float32, products, 0, steps)
    return np.asarray(np.add.reduce(falling, 1))
