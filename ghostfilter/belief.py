"""From the net's opinion of each frame to a belief about the call.

A frame proves little; a quarter of a second that agrees with itself does. So the logits
are averaged over 240 ms, and the highest average of the call is what is believed of it:
more audio can only add a person, never take one away.
"""

from __future__ import annotations

import math

import numpy as np

from ghostfilter.net import Weights
from ghostfilter.spectra import BLOCK_FRAMES, Floats

SMOOTHED_FRAMES = 12
NEAR = 0
ANY_VOICE = 1
NOBODY = np.float32(-8.0)
"""The logit of frames known to be a machine's or our own."""


class Belief:
    """One call's belief in a person near the phone, and in any voice."""

    __slots__ = ("_doubt", "_highest", "_line", "_slope")

    def __init__(self, weights: Weights) -> None:
        self._line = np.full((SMOOTHED_FRAMES - 1 + BLOCK_FRAMES, 2), NOBODY)
        self._highest = [-math.inf, -math.inf]
        self._doubt = weights.doubt.tolist()
        # σ(ln 9) = 0.9
        self._slope = (math.log(9.0) / (weights.sure - weights.doubt)).tolist()

    def push(self, logits: Floats) -> Floats:
        """(8, 2) logits of a block → (8, 2) their averages over the last 240 ms."""
        self._line[:-BLOCK_FRAMES] = self._line[BLOCK_FRAMES:]
        self._line[-BLOCK_FRAMES:] = logits
        sums = self._line.cumsum(axis=0)
        sums[SMOOTHED_FRAMES:] -= sums[:-SMOOTHED_FRAMES].copy()
        smooth = sums[SMOOTHED_FRAMES - 1 :] * np.float32(1.0 / SMOOTHED_FRAMES)
        for head, highest in enumerate(smooth.max(axis=0).tolist()):
            self._highest[head] = max(self._highest[head], highest)
        return np.asarray(smooth, np.float32)

    @property
    def person(self) -> float:
        """0…1; 0.5 at the net's `doubt`, 0.9 at its `sure`."""
        return self._calibrated(NEAR, self._highest[NEAR])

    @property
    def voices(self) -> float:
        """0…1, likewise, for any voice."""
        return self._calibrated(ANY_VOICE, self._highest[ANY_VOICE])

    def _calibrated(self, head: int, logit: float) -> float:
        z = (logit - self._doubt[head]) * self._slope[head]
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))
