"""From the net's opinion of each frame to a belief about the call.

A frame proves little; frames that agree with each other do. Somebody is *surely* there
when their sum says so (`ghostfilter.cusum`): quick, because he waits. That nobody is
there is judged by averages of 0.8 s, in which a single bang or squeak is no voice.
The highest average of the call counts: more audio can only add a person.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ghostfilter.averages import last_averages
from ghostfilter.cusum import Cusum
from ghostfilter.net import Weights
from ghostfilter.spectra import BLOCK_FRAMES, HALF_FRAMES, Floats
from ghostfilter.weighing import Weighing

NEAR, ANY_VOICE = 0, 1
"""The net's two opinions of a frame: somebody near, any voice."""
SLOW_FRAMES = 40
"""0.8 s."""
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
not) is judged as in noise …"""
LOUD_DOUBT = (1.0, 0.5)
"""… and out of a line that is softer, by degrees, doubt begins so much lower …"""
ALARMING_DBFS = (-20.0, -12.0)
"""… from the first of these levels to the second …"""
STILL_DBFS = (-30.0, -42.0)
"""… and from the first of these floors to the second."""
ECHO_DOUBT = 1.5
CLEAR_ECHO_DB, BURIED_ECHO_DB = 10.0, 6.0
"""Where our own prompt comes back hardly louder than the line's noise, little is left
of whoever speaks meanwhile: so much lower doubt begins, by degrees, from the first of
these heights over the floor to the second."""
LOUD_BLOCKS = 5
"""How loud: the loudest frame of the last 0.8 s."""
VOICE_DRIFT = 1.0
"""Logit of a frame that speaks neither for nor against any voice; for a near one
`ghostfilter.weighing` knows."""
SURE_SLOPE = 0.1
"""Of sureness: 8 short of the sum that is `sure`, 0.8; at it, 0.9."""
SLOPE = 0.3
"""Of the slow belief: 7.3 above `doubt` it is 0.9."""

_COLUMNS = 4
_TONELESS = slice(2, 4)
"""Near and any voice, for the slow belief; and both once more without the frames that
are pure tone."""
_MIX = np.zeros((2, _COLUMNS), np.float32)
_MIX[NEAR, [0, 2]] = _MIX[ANY_VOICE, [1, 3]] = 1.0
_MIX[ANY_VOICE, [0, 2]] = VOICE_SHARE
"""Makes all of them out of the net's two in one product."""
_SHIFTS = list(zip(2 * QUIET_DOUBT, 2 * LOUD_DOUBT, strict=True))
"""How much higher doubt begins in each column in a quiet line, and how much lower
where a sound is loud."""
_MEANS = last_averages(SLOW_FRAMES, SLOW_FRAMES)
_KEPT = SLOW_FRAMES - 1


class Belief:
    """One call's belief in a person near the phone, and in any voice."""

    __slots__ = (
        "_doubt",
        "_line",
        "_new",
        "_peaks",
        "_slow",
        "_weighing",
        "echo_doubt",
        "is_machine",
        "sums",
    )

    def __init__(self, weights: Weights) -> None:
        self._line = np.full((_KEPT + BLOCK_FRAMES, _COLUMNS), NOBODY)
        """What the net thought of the last frames, in columns …"""
        self._new = self._line[_KEPT:]
        """… and where a block's go."""
        self._slow = [-math.inf] * _COLUMNS
        """The highest average of each column so far."""
        self._doubt = weights.doubt.tolist()
        self.sums = [Cusum(sum_) for sum_ in weights.sure.tolist()]
        """Of each kind, NEAR and ANY_VOICE: when is it sure?"""
        self._peaks = [0.0] * LOUD_BLOCKS
        """The last blocks' loudest frames, dBFS."""
        self._weighing = Weighing()
        self.echo_doubt = 0.0
        """How much lower doubt begins because our own prompt is known to come back."""
        self.is_machine = False
        """Whether the call's tones are known to be a machine's: they are no voice."""

    def push(
        self, logits: Floats, tonal: NDArray[np.bool_], levels: list[float]
    ) -> bool:
        """(8, 2) logits of a block; is any of the `sums` sure in it?

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
        weights = self._weighing.push(logits, levels)
        means = np.dot(_MEANS, line)
        # Four numbers: Python compares them at a third of what numpy takes.
        slow = np.maximum.reduce(means).tolist()
        quiet, loud = self._surroundings(levels)
        self._slow = [
            max(before, now - quiet * more + loud * less)
            for before, now, (more, less) in zip(self._slow, slow, _SHIFTS, strict=True)
        ]
        near = self.sums[NEAR].push(weights)
        heard: list[float] = (logits[:, ANY_VOICE] - VOICE_DRIFT).tolist()
        return self.sums[ANY_VOICE].push(heard) or near

    @property
    def is_rising(self) -> bool:
        """Whether somebody near is on his way to be sure."""
        return 0.0 < self.sums[NEAR].value < self.sums[NEAR].threshold

    def is_sure_with(self, logits: Floats, levels: list[float]) -> bool:
        """Half a block, twice, which will come again, whole: is somebody surely near
        with its first half? Believes it, if so."""
        weights = self._weighing.look(logits, levels)
        return self.sums[NEAR].is_sure_with(weights[:HALF_FRAMES])

    def learn(self, other: Belief) -> None:
        """Believe what `other` does as well: the highest counts."""
        self._slow = list(map(max, self._slow, other._slow))
        self.learn_sums(other)

    def learn_sums(self, other: Belief) -> None:
        """Be as sure as `other` is; what is judged slowly stays."""
        for mine, its in zip(self.sums, other.sums, strict=True):
            mine.highest = max(mine.highest, its.highest)

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
        one = self.sums[head]
        return _logistic(SURE_SLOPE * (one.highest - one.threshold) + math.log(9.0))

    def _slowly(self, head: int) -> float:
        slow = self._slow[head + 2 * self.is_machine] - self._doubt[head]
        if head == NEAR:
            slow += self.echo_doubt
        return _logistic(SLOPE * slow)

    def _surroundings(self, levels: list[float]) -> tuple[float, float]:
        """How quiet line and sound are just now, 0 (a person may be buried) … 1; and
        how alarming a sound is, 0 … 1 (loud, out of a line that is softer)."""
        self._peaks.append(max(levels))
        del self._peaks[0]
        floor, peak = self._weighing.floor_dbfs, max(self._peaks)
        quiet = _share(floor, LOUD_FLOOR_DBFS, QUIET_FLOOR_DBFS)
        loud = _share(peak, *ALARMING_DBFS) * _share(floor, *STILL_DBFS)
        return quiet * _share(peak, LOUD_DBFS, SOFT_DBFS), loud


def echo_doubt(over_floor_db: float) -> float:
    """How much lower doubt begins if our prompt comes back at that height."""
    return ECHO_DOUBT * _share(over_floor_db, CLEAR_ECHO_DB, BURIED_ECHO_DB)


def _share(level: float, none: float, whole: float) -> float:
    """0 at `none` and beyond … 1 at `whole`."""
    return max(0.0, min(1.0, (none - level) / (none - whole)))


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))
