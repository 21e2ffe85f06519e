"""Two tones in turn, 300 times a second: ITU-T V.21.

Its upper channel (1650/1850 Hz) is what every fax says first (T.30, flags for 0.85 s
and more). Its lower channel (980/1180 Hz) is what a *calling* text telephone sends
(V.18 annex F), and no fax does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostfilter import sums
from ghostfilter.spectra import Block

FRAMES = 35
"""0.7 s."""
LOWEST_DBFS = -50.0
EACH_SHARE = 0.25
"""Of the channel's energy at each of its tones …"""
BOTH_SHARE = 0.78
"""… and at both."""
LOW_SPREAD = 0.1
"""The lower tone's share jumps from frame to frame; a held pair of tones does not."""
LEVEL_SPREAD_DB = 2.5
PURE_SHARE = 0.95
"""A frame with so much at one tone is a single one …"""
PURE_FRAMES = 0.3
"""… and few are, for 32 ms hold ten bits; of a whistle that slides, most."""
_GAP_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Channel:
    """Where one channel's energy is, in columns of `Block.sums`."""

    band: int
    low: int
    """Its lower tone's; the higher one's follows."""


UPPER = Channel(sums.UPPER, sums.UPPER_LOW)
LOWER = Channel(sums.LOWER, sums.LOWER_LOW)
_CHANNELS = (UPPER, LOWER)


_Frame = tuple[int, float, float, float]
"""Number, share of the lower and of the higher tone, level."""


@dataclass(frozen=True, slots=True)
class Modulated:
    """V.21 was heard."""

    channel: Channel
    first_frame: int
    frames: int
    dbfs: float


class Fsk:
    """Listens to one call, block by block."""

    __slots__ = ("_runs", "found", "is_sending")

    def __init__(self) -> None:
        self._runs: list[list[_Frame]] = [[], []]
        self.found: dict[Channel, Modulated] = {}
        """The longest stretch of each channel."""
        self.is_sending = False
        """Whether the last block was part of one."""

    @property
    def is_idle(self) -> bool:
        """Whether neither channel is being heard."""
        return not (self._runs[0] or self._runs[1])

    def push(self, block: Block, inside: NDArray[np.bool_]) -> None:
        """Hear eight frames; `inside` (8, 2): which are within each channel's band."""
        self.is_sending = False
        for number, run in enumerate(self._runs):
            column: list[bool] = inside[:, number].tolist()
            if run or any(column):
                self._follow(number, block, column)

    def _follow(self, number: int, block: Block, inside: list[bool]) -> None:
        run, channel = self._runs[number], _CHANNELS[number]
        bands = block.sums[:, channel.band].tolist()
        tones = block.sums[:, channel.low : channel.low + 2].tolist()
        for place, (low, high) in enumerate(tones):
            frame, level = block.first_frame + place, block.levels[place]
            if inside[place] and level >= LOWEST_DBFS:
                run.append((frame, low / bands[place], high / bands[place], level))
            elif run and frame - run[-1][0] >= _GAP_FRAMES:
                self._judge(number)
                run.clear()
        self._judge(number)

    def _judge(self, number: int) -> None:
        run = self._runs[number]
        if len(run) < FRAMES or not _is_modulated(run):
            return
        self.is_sending = True
        channel = _CHANNELS[number]
        before = self.found.get(channel)
        if before is None or before.frames < len(run):
            dbfs = sum(one[3] for one in run) / len(run)
            self.found[channel] = Modulated(channel, run[0][0], len(run), dbfs)


def _is_modulated(run: list[_Frame]) -> bool:
    _, low, high, dbfs = np.array(run[2:-2]).T
    return bool(
        low.mean() >= EACH_SHARE
        and high.mean() >= EACH_SHARE
        and (low + high).mean() >= BOTH_SHARE
        and low.std() >= LOW_SPREAD
        and (np.maximum(low, high) >= PURE_SHARE).mean() <= PURE_FRAMES
        and dbfs.std() <= LEVEL_SPREAD_DB
    )
