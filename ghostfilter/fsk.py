"""Two tones in turn, 300 times a second: ITU-T V.21.

Its upper channel (1650/1850 Hz) is what every fax says first (T.30, flags for 0.85 s
and more). Its lower channel (980/1180 Hz) is what a *calling* text telephone sends
(V.18 annex F), and no fax does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ghostfilter.spectra import BINS, HZ_PER_BIN, Block, Floats

FRAMES = 35
"""0.7 s."""
LOWEST_DBFS = -50.0
BAND_SHARE = 0.85
"""Of a frame's energy in the channel."""
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
    """Where one channel's energy is, in hertz."""

    band: tuple[float, float]
    low: tuple[float, float]
    high: tuple[float, float]


UPPER = Channel((1480.0, 2020.0), (1590.0, 1720.0), (1780.0, 1910.0))
LOWER = Channel((820.0, 1340.0), (920.0, 1050.0), (1110.0, 1240.0))
_CHANNELS = (UPPER, LOWER)


def _weights() -> Floats:
    weights = np.zeros((BINS, 1 + 3 * len(_CHANNELS)), np.float32)
    weights[3:, 0] = 1.0
    bands = [edges for c in _CHANNELS for edges in (c.band, c.low, c.high)]
    for column, (begin, end) in enumerate(bands, 1):
        weights[math.ceil(begin / HZ_PER_BIN) : int(end / HZ_PER_BIN) + 1, column] = 1.0
    return weights


_WEIGHTS = _weights()


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

    def push(self, block: Block) -> None:
        """Hear eight frames."""
        self.is_sending = False
        sums = block.power @ _WEIGHTS
        inside = sums[:, 1::3] >= BAND_SHARE * sums[:, :1]
        inside &= (block.dbfs >= LOWEST_DBFS)[:, None]
        for number, run in enumerate(self._runs):
            if run or inside[:, number].any():
                self._follow(number, block, sums, inside[:, number].tolist())

    def _follow(
        self, number: int, block: Block, sums: Floats, inside: list[bool]
    ) -> None:
        run = self._runs[number]
        parts = sums[:, 1 + 3 * number : 4 + 3 * number].tolist()
        for place, (band, low, high) in enumerate(parts):
            frame = block.first_frame + place
            if inside[place]:
                run.append((frame, low / band, high / band, float(block.dbfs[place])))
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
