"""What hears a line: features, net and belief, one block after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostfilter.belief import ANY_VOICE, NEAR, NOBODY, Belief
from ghostfilter.features import Features
from ghostfilter.net import Net, Weights
from ghostfilter.spectra import Block, Floats


@dataclass(slots=True)
class Moment:
    """A block as it is to be heard. Nobody changes one; to freeze it costs 1 µs."""

    block: Block
    bands: Floats
    """(8, 24) mel power, our prompt taken out."""
    explained: Floats
    """(8,) the share of each frame that was our prompt."""
    correlation: float
    """How well our prompt explains the line, 0…1."""
    machine: NDArray[np.bool_]
    """(8,) frames of nothing but a machine's tone, and …"""
    tonal: NDArray[np.bool_]
    """… of nothing but tone."""


class Ears:
    """One line's ears: a call's own, or those that hear some of it once more."""

    __slots__ = ("_net", "belief", "features")

    def __init__(self, weights: Weights) -> None:
        self._net = Net(weights)
        self.features = Features()
        self.belief = Belief(weights)

    def hear(self, moment: Moment) -> bool:
        """Hear a block; is anybody surely in it, near or far?"""
        block, machine = moment.block, moment.machine
        found = self.features.of(
            block, moment.bands, moment.explained, moment.correlation
        )
        logits = self._net.push(found)
        if np.count_nonzero(machine):
            logits[machine] = NOBODY
        return self.belief.push(logits, moment.tonal, block.levels)

    def hear_half(self, moment: Moment) -> bool:
        """Hear half a block, twice, which will come again, whole: is somebody surely
        near in it?"""
        block = moment.block
        found = self.features.of_half(
            block, moment.bands, moment.explained, moment.correlation
        )
        return self.belief.is_sure_with(self._net.look(found), block.levels)

    def near(self) -> NDArray[np.bool_]:
        """(8,) in which frames of the last block somebody surely was near …"""
        return np.array(self.belief.sums[NEAR].held())

    def any_voice(self) -> NDArray[np.bool_]:
        """… and in which any voice surely was."""
        return np.array(self.belief.sums[ANY_VOICE].held())
