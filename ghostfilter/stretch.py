"""Where in the call something was heard, how loud, and in what manner."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ghostfilter.features import Features
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import Block

WHISPERED = 0.3
"""Mean harmonicity below which a near voice is a whisper."""
CRIED_HZ = 330.0
CRIED_SHARE = 0.6
"""A cry: harmonic, and most of it higher than speech (infants: 350…550 Hz)."""


class Stretch:
    """All frames of one kind in a call."""

    __slots__ = ("_energy", "_harmonic", "_high", "first", "frames")

    def __init__(self) -> None:
        self.first: int | None = None
        """Where they began; None: there were none."""
        self.frames = 0
        """How many there were."""
        self._energy = 0.0
        self._harmonic = 0.0
        self._high = 0

    def push(
        self,
        block: Block,
        held: NDArray[np.bool_],
        features: Features | None = None,
        since: int | None = None,
    ) -> None:
        """Add the frames of a block that are `held` (8,) to be of this kind.

        `features`: the block's, if anybody will ask for the manner; `since`: the frame
        from which on that was coming, if it was not known at once.
        """
        count = int(np.count_nonzero(held))
        if not count:
            return
        if self.first is None:
            first = block.first_frame + int(held.argmax())
            self.first = first if since is None else min(first, since)
        self.frames += count
        self._energy += float((10.0 ** (block.dbfs[held] / 10.0)).sum())
        if features is None:
            return
        self._harmonic += float(features.harmonicity[held].sum())
        self._high += int(np.count_nonzero(features.hertz[held] >= CRIED_HZ))

    def heard(self, sound: Sound, floor_dbfs: float, confidence: float) -> Heard | None:
        """The stretch in words; None if there was none."""
        if self.first is None:
            return None
        level = 10.0 * math.log10(self._energy / self.frames + 1e-10)
        over = level - floor_dbfs
        return Heard(sound, self.first, self.frames, level, over, confidence)

    @property
    def manner(self) -> Sound:
        """NEAR_VOICE, or WHISPER or CRY for those that sound like it: of somebody near,
        whose features were told."""
        if self._harmonic < WHISPERED * self.frames:
            return Sound.WHISPER
        if self._high >= CRIED_SHARE * self.frames:
            return Sound.CRY
        return Sound.NEAR_VOICE
