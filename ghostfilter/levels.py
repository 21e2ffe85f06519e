"""How loud the line is, and how loud when nobody says anything."""

from __future__ import annotations

from ghostfilter.evidence import LOWEST_DBFS

FLOOR_SHARE = 0.2
"""The floor is the level that this share of all frames stay below."""
_BINS = 97


class Levels:
    """One call's levels, in steps of 1 dB."""

    __slots__ = ("_bins", "_frames", "loudest_dbfs")

    def __init__(self) -> None:
        self._bins = [0] * _BINS
        self._frames = 0
        self.loudest_dbfs = LOWEST_DBFS

    def push(self, levels: list[float]) -> None:
        """Add some frames' levels, in dBFS."""
        bins = self._bins
        for level in levels:
            bins[int(-level) if level < 0.0 else 0] += 1
        self.loudest_dbfs = max(self.loudest_dbfs, *levels)
        self._frames += len(levels)

    @property
    def floor_dbfs(self) -> float:
        """The level below which the quietest fifth of the frames lie."""
        if not self._frames:
            return LOWEST_DBFS
        wanted = FLOOR_SHARE * self._frames
        below, seen = _BINS, 0
        while seen < wanted:
            below -= 1
            seen += self._bins[below]
        return -float(below)
