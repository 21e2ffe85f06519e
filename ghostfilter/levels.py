"""How loud the line is, and how loud when nobody says anything."""

from __future__ import annotations

from ghostfilter.evidence import LOWEST_DBFS
from ghostfilter.signals import Heard, Sound

FLOOR_SHARE = 0.2
"""The floor is the level that this share of all frames stay below."""
SILENT_FLOOR_DBFS = -66.0
"""Below it a line that is quiet is silent; above, its noise is comfort noise or hum."""
QUIET_DBFS = -48.0
QUIET_RISE_DB = 6.0
"""A line is quiet that never rises above the first, nor by the second above its floor
(or, where that is lower, above a silent one)."""
_BINS = 97


class Levels:
    """One call's levels, in steps of 1 dB."""

    __slots__ = ("_bins", "_floor", "_frames", "_quiet", "loudest_dbfs")

    def __init__(self) -> None:
        self._bins = [0] * _BINS
        """How many frames had −0…−1 dBFS, −1…−2, and so on."""
        self._frames = 0
        self._floor = _BINS
        """The bin of the floor …"""
        self._quiet = 0
        """… and how many frames lie in it and below."""
        self.loudest_dbfs = LOWEST_DBFS

    def push(self, levels: list[float]) -> None:
        """Add some frames' levels, in dBFS."""
        bins, floor = self._bins, self._floor
        for level in levels:
            place = int(-level) if level < 0.0 else 0
            bins[place] += 1
            if place >= floor:
                self._quiet += 1
        self.loudest_dbfs = max(self.loudest_dbfs, *levels)
        self._frames += len(levels)
        self._move_floor()

    @property
    def floor_dbfs(self) -> float:
        """The level below which the quietest fifth of the frames lie."""
        return -float(self._floor) if self._frames else LOWEST_DBFS

    def heard(self, frames: int, confidence: float) -> Heard:
        """NOISE, COMFORT_NOISE or SILENCE: the line itself, for so many frames."""
        floor, loudest = self.floor_dbfs, self.loudest_dbfs
        steady = max(floor, SILENT_FLOOR_DBFS) + QUIET_RISE_DB
        if loudest > QUIET_DBFS or loudest > steady:
            sound = Sound.NOISE
        elif floor > SILENT_FLOOR_DBFS:
            sound = Sound.COMFORT_NOISE
        else:
            sound = Sound.SILENCE
        return Heard(sound, 0, frames, loudest, loudest - floor, confidence)

    def _move_floor(self) -> None:
        """Up to where the fifth is reached, or down to where it still is."""
        bins, floor, quiet = self._bins, self._floor, self._quiet
        wanted = FLOOR_SHARE * self._frames
        while quiet < wanted:
            floor -= 1
            quiet += bins[floor]
        while quiet - bins[floor] >= wanted:
            quiet -= bins[floor]
            floor += 1
        self._floor, self._quiet = floor, quiet
