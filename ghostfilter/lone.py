"""A sound that stands alone in the call.

A pocket goes on: what rustles, walks or drives is heard from one end of the call to the
other. A person may speak once, when the filter hears him badly, and then wait. So a
sound that is over before a third of the call is, though no other ear knows it, may have
been somebody's only word. That is no proof, but it is a hint.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ghostfilter.signals import Heard, Sound

RISE_DB = 15.0
"""A sound stands this far over the line's own floor …"""
AUDIBLE_DBFS = -50.0
"""… and is no softer than this. The floor is the whole call's: somebody who speaks as
the line opens would be its floor otherwise."""
LEAST_FRAMES = 3
"""60 ms: less is a crack on the line."""
LEAST_CALL_FRAMES = 250
"""Nothing is alone in a call of less than 5 s."""
MOST_OF_IT = 0.8
"""So much of all that is audible in the call …"""
ALONE_SHARE = 0.3
"""… lies within less than this share of it, or …"""
RARE_SHARE = 0.1
"""… is less than this share of it: cloth and steps are an eighth and more."""
OURS_FRAMES = 75
"""An echo of less than 1.5 s may as well be somebody who spoke with our prompt."""
CONFIDENCE = 0.4


class Lone:
    """One call's levels, frame by frame."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels = bytearray()
        """One byte a frame, in dB below full scale."""

    def push(self, levels: list[float]) -> None:
        """Add some frames' levels, in dBFS."""
        self._levels += bytes([int(-level) if level < 0.0 else 0 for level in levels])

    def heard(self, ours: bytearray, floor: float) -> list[Heard]:
        """LONE, if a sound stands alone in the call.

        `ours`: one byte a frame, whether it was our own prompt's echo; `floor`: dBFS.
        """
        frames = len(self._levels)
        if frames < LEAST_CALL_FRAMES:
            return []
        dbfs = -np.frombuffer(bytes(self._levels), np.uint8).astype(np.float32)
        loud = dbfs >= max(AUDIBLE_DBFS, floor + RISE_DB)
        if sum(ours) >= OURS_FRAMES:
            loud &= np.frombuffer(bytes(ours), np.uint8) == 0
        places = loud.nonzero()[0]
        if places.size < LEAST_FRAMES:
            return []
        if places.size >= RARE_SHARE * frames and not _is_together(places, frames):
            return []
        loudest = float(dbfs[loud].max())
        over = loudest - floor
        first = int(places[0])
        return [Heard(Sound.LONE, first, places.size, loudest, over, CONFIDENCE)]


def _is_together(places: NDArray[np.intp], frames: int) -> bool:
    """Whether most of these frames lie close together in a call of so many."""
    most = math.ceil(MOST_OF_IT * places.size)
    spans = places[most - 1 :] - places[: places.size - most + 1]
    return int(spans.min()) + 1 < ALONE_SHARE * frames
