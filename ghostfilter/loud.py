"""A loud sound that goes on: a smoke alarm beside the phone, a horn held down.

Whoever calls like that is never released. Engines, wind and modems hiss or rattle; what
gives alarm rings: most of its energy lies in few places. Tones of the network, which
are as loud, are told to this listener and do not count. Nor is it sure before the line
has once been softer: who screams draws breath, an engine beside the phone does not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ghostfilter.signals import FRAME_SECONDS, Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, Block

LOUD_DBFS = -20.0
LOUD_FRAMES = 125
"""2.5 s …"""
GAP_FRAMES = 5
"""… with pauses of no more than 100 ms."""
_LOW_BIN, _HIGH_BIN = 10, 110
"""312…3437 Hz: below, engines ring as well."""
_PLACES = 12
RINGING_SHARE = 0.8
"""Of the energy in that band, in its twelve strongest bins of a hundred …"""
_RINGING_FRAMES = 0.6
"""… in this share of the loud frames. Hiss has 0.5, drills 0.7."""
LET_UP_DB = 6.0
"""The line was so much softer before or after. An engine keeps within 5 dB."""
SURE, DOUBTED = 0.9, 0.4


class Loud:
    """Listens to one call, block by block."""

    __slots__ = ("_best", "_energy", "_floor", "_gap", "_ringing", "_run", "_told")

    def __init__(self) -> None:
        self._run = 0
        self._gap = 0
        self._ringing = 0
        self._energy = 0.0
        self._floor = 0.0
        self._told = False
        self._best: Heard | None = None

    def push(self, block: Block, tonal: NDArray[np.bool_]) -> Heard | None:
        """Hear eight frames; LOUD once, when it is sure.

        `tonal`: which frames are a network's or a modem's (`Tones.machine`).
        """
        # One soft frame alone is a lost packet that somebody filled.
        self._floor = min(self._floor, sorted(block.levels)[1])
        if self._run or block.loudest >= LOUD_DBFS:
            self._follow(block, tonal)
        if self._told or self._best is None:
            return None
        known = self._known(self._best)
        self._told = known.confidence >= SURE
        return known if self._told else None

    def heard(self) -> list[Heard]:
        """LOUD at its longest, if it was; DOUBTED if the line never let up."""
        return [self._known(self._best)] if self._best else []

    def _known(self, best: Heard) -> Heard:
        over = best.dbfs - self._floor
        sure = SURE if over >= LET_UP_DB else DOUBTED
        return replace(best, over_floor_db=over, confidence=sure)

    def _follow(self, block: Block, tonal: NDArray[np.bool_]) -> None:
        levels = block.levels
        rings = _rings(block).tolist()
        skipped = tonal.tolist()
        for number in range(BLOCK_FRAMES):
            if levels[number] >= LOUD_DBFS and not skipped[number]:
                self._run += 1 + self._gap
                self._gap = 0
                self._ringing += rings[number]
                self._energy += levels[number]
                self._judge(block.first_frame + number)
            elif self._run:
                self._gap += 1
                if self._gap > GAP_FRAMES:
                    self._run = self._gap = self._ringing = 0
                    self._energy = 0.0

    def _judge(self, frame: int) -> None:
        if (
            self._run < max(LOUD_FRAMES, self._best.frames if self._best else 0)
            or self._ringing < _RINGING_FRAMES * self._run
        ):
            return
        dbfs = self._energy / self._run
        self._best = Heard(
            Sound.LOUD,
            frame + 1 - self._run,
            self._run,
            dbfs,
            dbfs - self._floor,
            DOUBTED,
            f"{self._run * FRAME_SECONDS:.1f} s",
        )


def _rings(block: Block) -> NDArray[np.bool_]:
    """Which frames have most of their energy in few places."""
    band = block.power[:, _LOW_BIN:_HIGH_BIN]
    strongest = np.partition(band, -_PLACES, axis=1)[:, -_PLACES:]
    return np.asarray(strongest.sum(1) >= RINGING_SHARE * band.sum(1) + 1e-12)
