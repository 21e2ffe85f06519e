"""Who speaks, near and far: the call's own ears, and those that listen once more.

Blocks are judged at their end; where somebody may be there, at their half as well. Who
speaks as the line opens is heard once more in other ways (`beginning.py`).
"""

from __future__ import annotations

import numpy as np

from ghostfilter.beginning import Beginning
from ghostfilter.belief import ANY_VOICE, NEAR, Belief
from ghostfilter.ears import Ears, Moment
from ghostfilter.net import Weights
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, HALF_FRAMES, Block
from ghostfilter.stretch import Stretch

_FIRST_HALF = np.arange(BLOCK_FRAMES) < HALF_FRAMES


class Voices:
    """Listens to one call, block by block, our own prompt taken out."""

    __slots__ = (
        "_any",
        "_beginning",
        "_counted",
        "_ears",
        "_near",
        "_told",
        "is_nearly_sure",
    )

    def __init__(self, weights: Weights) -> None:
        self._ears = Ears(weights)
        self._beginning: Beginning | None = Beginning(weights)
        self._near, self._any = Stretch(), Stretch()
        self._told = False
        self.is_nearly_sure = False
        """Whether half a block more may be enough."""
        self._counted = 0
        """So many frames of the next block are known to be a near person's."""

    @property
    def belief(self) -> Belief:
        """What is believed of the call."""
        return self._ears.belief

    def push(self, moment: Moment, floor_dbfs: float) -> Heard | None:
        """Hear eight frames; NEAR_VOICE, WHISPER or CRY once, when it is sure."""
        if self._ears.hear(moment):
            self._find(moment.block)
        self._counted = 0
        if self._beginning is not None:
            self._look_back(self._beginning, moment, floor_dbfs)
        self.is_nearly_sure = not self._told and self.belief.is_rising
        if self._told or self._near.first is None:
            return None
        self._told = True
        return self._near_heard(floor_dbfs)

    def push_half(self, moment: Moment, floor_dbfs: float) -> Heard | None:
        """The same of half a block, twice, which will come again, whole: whoever is
        nearly sure does not wait for the rest."""
        if not self._ears.hear_half(moment):
            return None
        since = self.belief.sums[NEAR].since
        self._near.push(moment.block, _FIRST_HALF, self._ears.features, since)
        self._counted = HALF_FRAMES
        self._told = True
        return self._near_heard(floor_dbfs)

    def heard(self, floor_dbfs: float) -> Heard | None:
        """The near voice; where there was none, any voice is a DISTANT_VOICE."""
        return self._near_heard(floor_dbfs) or self._any.heard(
            Sound.DISTANT_VOICE, floor_dbfs, self.belief.sureness(ANY_VOICE)
        )

    def _near_heard(self, floor_dbfs: float) -> Heard | None:
        sure = self.belief.sureness(NEAR)
        return self._near.heard(self._near.manner, floor_dbfs, sure)

    def _find(self, block: Block) -> None:
        """Add the frames in which somebody surely is near, and those of any voice."""
        ears, sums = self._ears, self.belief.sums
        near = ears.near()
        near[: self._counted] = False
        self._near.push(block, near, ears.features, sums[NEAR].since)
        self._any.push(block, ears.any_voice(), since=sums[ANY_VOICE].since)

    def _look_back(
        self, beginning: Beginning, moment: Moment, floor_dbfs: float
    ) -> None:
        """Hear who spoke at once: as if the line had been still before, and once more
        when it is known, if the beginning was loud."""
        is_whole = beginning.push(moment)
        still = None if self._told else beginning.as_if_still(self._near)
        if still is not None and self._near.first is not None:
            self.belief.learn_sums(still)
        if is_whole:
            is_unsure = not self._told  # who surely is there need not be heard again
            if is_unsure and beginning.is_worth_it(floor_dbfs):
                self.belief.learn(beginning.look_again(self._near))
            self._beginning = None
