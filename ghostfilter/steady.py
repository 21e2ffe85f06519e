"""Gathers frames of one steady tone into bursts."""

from __future__ import annotations

import math

from ghostfilter.bursts import Burst
from ghostfilter.evidence import LOWEST_DBFS
from ghostfilter.spectra import Block

QUIET_DBFS = -55.0
TONAL_SHARE = 0.85
"""One line that holds this share of a frame is a tone."""
SAME_HERTZ = 12.0
"""From frame to frame a tone stays this close to itself."""
_GAP_FRAMES = 3
"""Shorter holes are lost packets, not cadence (shortest pause in E.180: 100 ms)."""
_KEPT = 100
"""A song has more; no machine needs them."""

Pair = tuple[list[float], list[float]]
"""A frame's two strongest lines, the lower first: their hertz, their shares of it."""


class Steady:
    """Follows the tones of one call, frame by frame."""

    __slots__ = ("_between", "_gap", "_last_dbfs", "_run", "bursts")

    def __init__(self) -> None:
        self.bursts: list[Burst] = []
        """Those that ended, in order."""
        self._run: list[tuple[int, float, float]] = []
        """Number, hertz and level of each frame of the tone that goes on."""
        self._gap = 0
        self._between = LOWEST_DBFS
        self._last_dbfs = LOWEST_DBFS

    @property
    def is_idle(self) -> bool:
        """Whether no tone goes on."""
        return not self._run

    def push(self, block: Block, frames: list[Pair] | None) -> None:
        """Hear eight frames; None: they are no tones."""
        levels = block.levels
        tones = None if frames is None else _tones(frames, levels)
        if tones is None:
            if not self._run:
                self._between = max(self._between, self._last_dbfs, *levels[:-1])
                self._last_dbfs = levels[-1]
                return
            tones = [None] * len(levels)
        for number, (tone, dbfs) in enumerate(zip(tones, levels, strict=True)):
            if self._run and not self._continues(tone):
                self._end()
            if tone is not None:
                self._gap = 0
                self._run.append((block.first_frame + number, tone, dbfs))
            elif not self._run:
                self._between = max(self._between, self._last_dbfs)
                self._last_dbfs = dbfs

    def all_bursts(self) -> list[Burst]:
        """Those that ended, and the one that goes on as if it ended now."""
        going = self._burst()
        return [*self.bursts, going] if going else self.bursts

    def _continues(self, tone: float | None) -> bool:
        """Whether the tone goes on, or may after a lost packet."""
        if tone is None:
            self._gap += 1
            return self._gap < _GAP_FRAMES
        return abs(tone - self._run[-1][1]) <= SAME_HERTZ

    def _end(self) -> None:
        burst = self._burst()
        if burst is None:
            self._between = max(self._between, *(dbfs for _, _, dbfs in self._run))
        else:
            self.bursts.append(burst)
            del self.bursts[:-_KEPT]
            self._between = self._last_dbfs = LOWEST_DBFS
        self._run.clear()
        self._gap = 0

    def _burst(self) -> Burst | None:
        if len(self._run) < 2:
            return None
        inner = self._run[1:-1] or self._run
        hertz, spread_hertz = _mean_and_spread([tone for _, tone, _ in inner])
        dbfs, spread_db = _mean_and_spread([level for _, _, level in inner])
        first, last = self._run[0][0], self._run[-1][0]
        return Burst(
            first, last - first + 1, hertz, spread_hertz, dbfs, spread_db, self._between
        )


def _tones(frames: list[Pair], levels: list[float]) -> list[float | None] | None:
    """Where each frame's tone lies, None if it has none; None if no frame has any."""
    if max(max(share) for _, share in frames) < TONAL_SHARE:
        return None
    found: list[float | None] = []
    for (hertz, share), dbfs in zip(frames, levels, strict=True):
        strongest = 0 if share[0] >= share[1] else 1
        is_tone = share[strongest] >= TONAL_SHARE and dbfs >= QUIET_DBFS
        found.append(hertz[strongest] if is_tone else None)
    return found


def _mean_and_spread(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
