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
VOICE_SHARE = 0.6
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

_COLUMNS = 6
_TONELESS, _QUICK = slice(2, 4), slice(4, 6)
"""Near and any voice, for the slow belief; both once more without the frames that are
pure tone; and as the net has them, for the quick one."""
_MIX = np.zeros((2, _COLUMNS), np.float32)
_MIX[NEAR, [0, 2, 4]] = _MIX[ANY_VOICE, [1, 3, 5]] = 1.0
_MIX[ANY_VOICE, [0, 2]] = VOICE_SHARE
"""Makes all of them out of the net's two in one product."""
_QUIET_DOUBT = 2 * QUIET_DOUBT
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
"""Both in one product …"""
_BOTH = (2, BLOCK_FRAMES, _COLUMNS)
"""… slow, then quick."""


class Belief:
    """One call's belief in a person near the phone, and in any voice."""

    __slots__ = (
        "_doubt",
        "_line",
        "_quick",
        "_slow",
        "_sure",
        "_new",
        "_levels",
        "_peaks",
        "highest",
        "is_machine",
    )

    def __init__(self, weights: Weights) -> None:
        self._line = np.full((_KEPT + BLOCK_FRAMES, _COLUMNS), NOBODY)
        self._line[:, _QUICK.start + NEAR] *= 1.0 - VOICE_SHARE
        """Before the call: nobody near once any voice's share is added."""
        self._new = self._line[_KEPT:]
        self._quick = [-math.inf] * 2
        self._slow = [-math.inf] * 4
        self._doubt, self._sure = weights.doubt.tolist(), weights.sure.tolist()
        self.highest = [-math.inf] * 2
        """The highest averages over 240 ms that end in the last block."""
        self._levels = [0.0] * FLOOR_BLOCKS
        """Mean level of each of the last blocks, dBFS."""
        self._peaks = [0.0] * LOUD_BLOCKS
        """Their loudest frames."""
        self.is_machine = False
        """Whether the call's tones are known to be a machine's: they are no voice."""

    def push(
        self, logits: Floats, tonal: NDArray[np.bool_], levels: list[float]
    ) -> Floats:
        """(8, 2) logits of a block → (8, 2) their averages over the last 240 ms.

        `tonal`: which frames are nothing but tone; `levels`: the frames' levels in
        dBFS. Raises FloatingPointError for what is no number: compared with anything it
        is never the higher, so it would pass for nobody.
        """
        if not math.isfinite(float(np.add.reduce(logits, None))):
            raise FloatingPointError("the net's opinion is no number")
        line = self._line
        line[:_KEPT] = line[BLOCK_FRAMES:]
        np.dot(logits, _MIX, out=self._new)
        if np.count_nonzero(tonal):
            self._new[tonal, _TONELESS] = NOBODY
        means = np.dot(_MEANS, line)
        # Six numbers twice: Python compares them at a third of what numpy takes.
        slow, quick = np.maximum.reduce(means.reshape(_BOTH), 1).tolist()
        self.highest = quick[_QUICK]
        self._quick = list(map(max, self._quick, self.highest))
        quiet = self._quiet(levels)
        self._slow = [
            max(before, now - quiet * doubt)
            for before, now, doubt in zip(self._slow, slow, _QUIET_DOUBT, strict=False)
        ]
        averages: Floats = means[BLOCK_FRAMES:, _QUICK]
        return averages

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
        return _logistic(self._quick[head] - self._sure[head] + math.log(9.0))

    def _slowly(self, head: int) -> float:
        slow = self._slow[head + 2 * self.is_machine] - self._doubt[head]
        return _logistic(SLOPE * slow)

    def _quiet(self, levels: list[float]) -> float:
        """How quiet line and sound are just now: 0 (a person may be buried) … 1."""
        self._levels.append(sum(levels) / len(levels))
        self._peaks.append(max(levels))
        del self._levels[0], self._peaks[0]
        floor, peak = sorted(self._levels)[FLOOR_PLACE], max(self._peaks)
        quiet = _share(floor, LOUD_FLOOR_DBFS, QUIET_FLOOR_DBFS)
        return quiet * _share(peak, LOUD_DBFS, SOFT_DBFS)


def _share(level: float, none: float, whole: float) -> float:
    """0 at `none` and beyond … 1 at `whole`."""
    return max(0.0, min(1.0, (none - level) / (none - whole)))


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))
