"""From the net's opinion of each frame to a belief about the call.

A frame proves little; frames that agree with each other do. Somebody is *surely* there
when the average of 240 ms says so: quick, because he waits. That nobody is there is
judged by averages of 0.8 s, in which a single bang or squeak is no voice.
The highest average of the call counts: more audio can only add a person.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ghostfilter.net import Weights
from ghostfilter.spectra import BLOCK_FRAMES, Floats

QUICK_FRAMES = 12
SLOW_FRAMES = 40
NEAR = 0
ANY_VOICE = 1
VOICE_SHARE = np.float32(0.6)
"""How much any voice adds to the slow belief in a near one."""
NOBODY = np.float32(-8.0)
"""The logit of frames known to be a machine's, and of the time before the call."""
LOUD_FLOOR_DBFS, QUIET_FLOOR_DBFS = -48.0, -60.0
"""Noise buries people: whom the net hardly hears, he calls out of noise of the first
level or more. Where it is as quiet as the second a person is heard clearly …"""
QUIET_DOUBT = (2.2, 0.8)
"""… so there doubt begins so much higher (near, any voice), in between by degrees."""
SOFT_DBFS, LOUD_DBFS = -23.0, -15.0
"""All that holds of soft sounds. What is as loud as the second (a scream is, cloth is
not) is judged as in noise."""
FLOOR_BLOCKS, FLOOR_PLACE = 12, 1
"""How quiet it is: the second softest 160 ms of the last 2 s."""
LOUD_BLOCKS = 5
"""How loud: the loudest frame of the last 0.8 s."""
SLOPE = 0.3
"""Of the slow belief: 7.3 above `doubt` it is 0.9."""

_QUIET_DOUBT = np.array(2 * QUIET_DOUBT, np.float32)
_COLUMNS = 4
"""Near and any voice; then both once more without the frames that are pure tone."""
_KEPT = SLOW_FRAMES - 1


def _means(frames: int) -> Floats:
    """(8, frames + 7): what makes, of a row of frames, their last eight averages."""
    ends = np.arange(BLOCK_FRAMES)[:, None] + frames
    places = np.arange(frames + BLOCK_FRAMES - 1)[None]
    inside = (places < ends) & (places >= ends - frames)
    return (inside / frames).astype(np.float32)


_QUICK_FROM = SLOW_FRAMES - QUICK_FRAMES
_MEANS = np.zeros((2 * BLOCK_FRAMES, SLOW_FRAMES + BLOCK_FRAMES - 1), np.float32)
_MEANS[:BLOCK_FRAMES] = _means(SLOW_FRAMES)
_MEANS[BLOCK_FRAMES:, _QUICK_FROM:] = _means(QUICK_FRAMES)
"""Both in one product."""


class Belief:
    """One call's belief in a person near the phone, and in any voice."""

    __slots__ = (
        "_doubt",
        "_line",
        "_quick",
        "_slow",
        "_sure",
        "_levels",
        "_peaks",
        "is_machine",
    )

    def __init__(self, weights: Weights) -> None:
        self._line = np.full((_KEPT + BLOCK_FRAMES, _COLUMNS), NOBODY)
        self._quick = np.full(2, -np.inf, np.float32)
        self._slow = np.full(_COLUMNS, -np.inf, np.float32)
        self._doubt, self._sure = weights.doubt, weights.sure
        self._levels = [0.0] * FLOOR_BLOCKS
        """Mean level of each of the last blocks, dBFS."""
        self._peaks = [0.0] * LOUD_BLOCKS
        """Their loudest frames."""
        self.is_machine = False
        """Whether the call's tones are known to be a machine's: they are no voice."""

    def push(self, logits: Floats, tonal: NDArray[np.bool_], dbfs: Floats) -> Floats:
        """(8, 2) logits of a block → (8, 2) their averages over the last 240 ms.

        `tonal`: which frames are nothing but tone; `dbfs`: the frames'
        levels. Raises FloatingPointError for what
        is no number: compared with anything it is never the higher, so it would pass
        for nobody.
        """
        if not math.isfinite(float(np.add.reduce(logits, None))):
            raise FloatingPointError("the net's opinion is no number")
        line = self._line
        line[:_KEPT] = line[BLOCK_FRAMES:]
        new = line[_KEPT:]
        new[:, :2] = logits
        new[:, 0] += VOICE_SHARE * new[:, 1]
        new[:, 2:] = new[:, :2]
        if tonal.any():
            new[tonal, 2:] = NOBODY
        means = np.dot(_MEANS, line)
        slow = np.maximum.reduce(means[:BLOCK_FRAMES])
        slow -= self._quiet(dbfs) * _QUIET_DOUBT
        np.maximum(self._slow, slow, out=self._slow)
        quick: Floats = means[BLOCK_FRAMES:, :2]
        quick[:, 0] -= VOICE_SHARE * quick[:, 1]
        np.maximum(self._quick, np.maximum.reduce(quick), out=self._quick)
        return quick

    @property
    def person(self) -> float:
        """0…1, slowly judged; 0.5 at the net's `doubt` where there is noise."""
        return self._slowly(NEAR)

    @property
    def voices(self) -> float:
        """0…1, likewise, for any voice."""
        return self._slowly(ANY_VOICE)

    def sureness(self, head: int) -> float:
        """0…1, quickly judged: NEAR or ANY_VOICE; 0.9 at the net's `sure`."""
        return _logistic(float(self._quick[head] - self._sure[head]) + math.log(9.0))

    def _slowly(self, head: int) -> float:
        slow = self._slow[head + 2 * self.is_machine] - self._doubt[head]
        return _logistic(SLOPE * float(slow))

    def _quiet(self, dbfs: Floats) -> float:
        """How quiet line and sound are just now: 0 (a person may be buried) … 1."""
        self._levels.append(float(dbfs.mean()))
        self._peaks.append(float(dbfs.max()))
        del self._levels[0], self._peaks[0]
        floor, peak = sorted(self._levels)[FLOOR_PLACE], max(self._peaks)
        quiet = _share(floor, LOUD_FLOOR_DBFS, QUIET_FLOOR_DBFS)
        return quiet * _share(peak, LOUD_DBFS, SOFT_DBFS)


def _share(level: float, none: float, whole: float) -> float:
    """0 at `none` and beyond … 1 at `whole`."""
    return max(0.0, min(1.0, (none - level) / (none - whole)))


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))
