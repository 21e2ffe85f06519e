"""Two or more knocks, taps or coughs: somebody who cannot speak may still do that.

A knock is there within 10 ms and gone within a third of a second. A step in a pocket
takes 40 ms and more to swell, and so does rustling cloth: that is what tells them
apart. A beep comes as quickly, but it is switched off, and a knock dies away. A pocket
bumps, too, so knocks are no proof that somebody wants help; they only mean that nobody
is released, and most of all where they answer a prompt (`knocking.py`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ghostfilter.peaks import two_lines
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, FRAME_SAMPLES, Block, Floats

STEP_SAMPLES = 40
"""5 ms: a knock's rise is told from a step's by steps of this length."""
STEPS_PER_FRAME = FRAME_SAMPLES // STEP_SAMPLES
_BLOCK_STEPS = BLOCK_FRAMES * STEPS_PER_FRAME

RISE_DB = 15.0
"""Over the loudest of the 25 ms before …"""
OVER_FLOOR_DB = 18.0
"""… and over the line's own floor, and …"""
LOWEST_DBFS = -50.0
"""… above this, in 5 ms."""
ATTACK_STEPS = 2
"""From the rise to 4 dB below the peak: 10 ms. Steps in the corpus take 40…115."""
DECAY_STEPS = 56
"""From the peak to 15 dB below it: 280 ms, which covers coughs, and boxes that ring."""
_LOOK_STEPS = 28
"""The peak is looked for this long after the rise (140 ms)."""
QUIET_STEPS = 20
"""A knock stands alone: the 100 ms before are 15 dB softer."""
_ATTACK_DB = 4.0
_DECAY_DB = 15.0

APART_FRAMES = (7, 150)
"""Two knocks of one answer lie 0.15…3 s apart …"""
ALIKE_DB = 12.0
"""… and are about as loud."""
LOWEST_FLOOR_DBFS = -66.0
_FLOOR_BLOCKS = 12
_BEFORE = QUIET_STEPS
_AFTER = _LOOK_STEPS + DECAY_STEPS
_KEPT = _BEFORE + _AFTER
_BLOCKS = 2 + _KEPT // _BLOCK_STEPS
TONE_HERTZ = 190.0
"""Above this a pure tone that is switched off is a beep."""
TONE_SHARE = 0.8
FLAT_DB = 5.0
SWITCHED_STEPS = 2
"""From 5 to 15 dB below the peak: what is gone within 10 ms was switched off, or cut by
a lost packet. Of 154 knocks and 126 coughs in whole calls none went in less than 15."""
LONGEST_STEPS = 48
"""From rise to end, 240 ms: no knock sounds one note so long; a busy tone does."""
_TINY = np.float32(2.5e-10)
_PER_STEP = np.float32(1.0 / STEP_SAMPLES)


@dataclass(frozen=True, slots=True)
class Knock:
    """One sharp, short, broad sound."""

    frame: int
    """Where it began."""
    frames: int
    """Until it was 15 dB down."""
    dbfs: float
    """Its loudest 5 ms."""
    over_floor_db: float
    is_switched: bool = False
    """One note that did not die away but was switched off: a beep, or what lost packets
    left of one. That is no answer, but it is a hint."""


class Knocks:
    """Listens to one call, block by block; half a second late."""

    __slots__ = ("_blocks", "_busy_until", "_floors", "_steps", "knocks")

    def __init__(self) -> None:
        self._steps = np.zeros(_KEPT + _BLOCK_STEPS, np.float32)
        """Mean power of each 5 ms, full scale 1."""
        self._blocks: deque[Block] = deque(maxlen=_BLOCKS)
        self._floors: deque[float] = deque(maxlen=_FLOOR_BLOCKS)
        self._busy_until = 0
        self.knocks: list[Knock] = []
        """Every single one, in order: the verdict may ask which followed a prompt."""

    def push(self, block: Block) -> None:
        """Hear eight frames."""
        self._blocks.append(block)
        samples = block.samples.reshape(_BLOCK_STEPS, STEP_SAMPLES)
        steps = self._steps
        steps[:_KEPT] = steps[_BLOCK_STEPS:]
        np.vecdot(samples, samples, out=steps[_KEPT:])
        steps[_KEPT:] *= _PER_STEP
        self._floors.append(sorted(block.levels)[1])
        floor = max(sorted(self._floors)[len(self._floors) // 4], LOWEST_FLOOR_DBFS)
        loudest = float(np.maximum.reduce(steps[_BEFORE : _BEFORE + _BLOCK_STEPS]))
        if loudest < 10.0 ** (0.1 * max(LOWEST_DBFS, floor + OVER_FLOOR_DB)) - _TINY:
            return
        line = 10.0 * np.log10(steps + _TINY)
        first = block.first_frame * STEPS_PER_FRAME - _KEPT
        for at in _rises(line):
            self._weigh(line, at, first, floor)

    def heard(self) -> list[Heard]:
        """KNOCKS, if two were alike."""
        alike = [
            knock
            for knock in self.knocks
            if any(_is_alike(knock, other) for other in self.knocks)
        ]
        if not alike:
            return []
        return [
            Heard(
                Sound.KNOCKS,
                alike[0].frame,
                sum(knock.frames for knock in alike),
                sum(knock.dbfs for knock in alike) / len(alike),
                sum(knock.over_floor_db for knock in alike) / len(alike),
                min(0.5 + 0.1 * len(alike), 0.9),
                f"{len(alike)} knocks",
            )
        ]

    def _weigh(self, line: Floats, at: int, first: int, floor: float) -> None:
        """Note the knock that rises at step `at` of `line`, if it is one."""
        step = first + at
        if step < self._busy_until:
            return
        ahead = line[at : at + _LOOK_STEPS]
        place = int(ahead.argmax())
        peak = float(ahead[place])
        after = line[at + place : at + place + DECAY_STEPS].tolist()
        decay = _gone_after(after, peak - _DECAY_DB)
        self._busy_until = step + max(8, place + min(decay, 20))
        if (
            peak >= max(LOWEST_DBFS, floor + OVER_FLOOR_DB)
            and int((ahead >= peak - _ATTACK_DB).argmax()) <= ATTACK_STEPS
            and decay < DECAY_STEPS
            and float(line[at - QUIET_STEPS : at - 1].max())
            <= max(floor + _DECAY_DB, peak - _DECAY_DB)
        ):
            frame = step // STEPS_PER_FRAME
            is_tone = self._is_tone(frame)
            steps = place + decay
            is_switched = is_tone and (
                steps > LONGEST_STEPS
                or _falls_in(after[:decay], peak) <= SWITCHED_STEPS
            )
            if is_switched and _is_flat(ahead):
                return
            frames = -(-steps // STEPS_PER_FRAME)
            self.knocks.append(Knock(frame, frames, peak, peak - floor, is_switched))

    def _is_tone(self, frame: int) -> bool:
        """Whether one of three frames is a pure tone above what thumps ring at."""
        begin = max(frame - self._blocks[0].first_frame, 0)
        power = np.concatenate([block.power for block in self._blocks])
        lines = two_lines(power[begin : begin + 3])
        strongest = lines.hertz[np.arange(len(lines.share)), lines.share.argmax(1)]
        pure = lines.share.sum(1) >= TONE_SHARE
        return bool((pure & (strongest >= TONE_HERTZ)).any())


def _rises(line: Floats) -> list[int]:
    """The steps of the judged stretch at which the level jumps."""
    begin, end = _BEFORE, _BEFORE + _BLOCK_STEPS
    before = line[begin - 2 : end - 2]
    for back in range(3, 7):
        before = np.maximum(before, line[begin - back : end - back])
    jump = line[begin:end] - before
    next_jump = line[begin + 1 : end + 1] - before
    rises = (jump >= 0.5 * RISE_DB) & (np.maximum(jump, next_jump) >= RISE_DB)
    return (np.flatnonzero(rises) + begin).tolist()


def _is_flat(steps: Floats) -> bool:
    """Whether a sound stays as loud as it is for 25 ms: beeps do, knocks die away."""
    peak = int(steps.argmax())
    return float(steps[1:6].min()) >= float(steps[peak]) - FLAT_DB


def _gone_after(steps: list[float], level: float) -> int:
    """The first of four steps in a row below a level; all of them if there is none."""
    for at in range(len(steps) - 3):
        if max(steps[at : at + 4]) < level:
            return at
    return len(steps)


def _falls_in(steps: list[float], peak: float) -> int:
    """How many steps a sound's end takes, from 5 dB below its peak on."""
    held = max(at for at, level in enumerate(steps) if level >= peak - FLAT_DB)
    return len(steps) - held


def _is_alike(one: Knock, other: Knock) -> bool:
    apart = abs(one.frame - other.frame)
    return (
        APART_FRAMES[0] <= apart <= APART_FRAMES[1]
        and abs(one.dbfs - other.dbfs) <= ALIKE_DB
    )
