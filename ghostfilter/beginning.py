"""A second look at how the call began.

As the line opens nothing is known of it: whoever speaks at once *is* its floor, and
the net has heard nothing to tell him from. Two seconds later the line is known. So the
first second and a half is heard once more after the second that followed, as if the
line had been open before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostfilter.belief import NEAR, NOBODY, Belief
from ghostfilter.features import Features
from ghostfilter.net import Net, Weights
from ghostfilter.spectra import BLOCK_FRAMES, Block, Floats
from ghostfilter.voices import Stretch

LOOKED_AT_BLOCKS = 9
"""1.44 s: what is heard again …"""
BEFORE_BLOCKS = 6
"""… after the 0.96 s that followed it."""
SOON_BLOCKS = 3
"""Worth it if in the first 0.48 s …"""
RISE_DB = 15.0
AUDIBLE_DBFS = -50.0
"""… something stood so far over the line's floor, no softer than this."""
_ALL = LOOKED_AT_BLOCKS + BEFORE_BLOCKS


@dataclass(frozen=True, slots=True)
class Moment:
    """A block as the net was to hear it."""

    block: Block
    bands: Floats
    """(8, bands) mel power, our prompt taken out."""
    explained: Floats
    correlation: float
    machine: NDArray[np.bool_]
    """(8,) frames of nothing but a machine's tone, and …"""
    tonal: NDArray[np.bool_]
    """… of nothing but tone."""


class Beginning:
    """One call's first 2.4 s."""

    __slots__ = ("_moments", "_weights")

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._moments: list[Moment] = []

    def push(self, moment: Moment) -> bool:
        """Remember a block; is the beginning complete with it?"""
        if len(self._moments) == _ALL:
            return False
        self._moments.append(moment)
        return len(self._moments) == _ALL

    def is_worth_it(self, floor: float) -> bool:
        """Whether anything was heard at once, on a line of that floor (dBFS)."""
        least = max(AUDIBLE_DBFS, floor + RISE_DB)
        return any(m.block.loudest >= least for m in self._moments[:SOON_BLOCKS])

    def look_again(self, near: Stretch) -> Belief:
        """What to believe of it now; adds to `near` where somebody was."""
        net, features, belief = Net(self._weights), Features(), Belief(self._weights)
        first, then = self._moments[:LOOKED_AT_BLOCKS], self._moments[LOOKED_AT_BLOCKS:]
        for one in [*then, *first]:
            found = features.of(one.block, one.bands, one.explained, one.correlation)
            logits = net.push(found)
            logits[one.machine] = NOBODY
            belief.push(logits, one.tonal, one.block.levels)
            if one.block.first_frame < LOOKED_AT_BLOCKS * BLOCK_FRAMES:
                near.push(one.block, np.array(belief.sums[NEAR].held()), features)
        return belief
