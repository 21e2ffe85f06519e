"""Bursts of steady tone, and the machines that make them.

A burst is a stretch of frames that are one steady line, or two close together. What
makes a machine of it is that nobody sings like that: within a hertz or two of a
frequency the networks use, as loud at its end as at its beginning, for just so long
(ITU-T E.180 and its supplement 2, T.30, V.25, Q.35).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ghostfilter.evidence import LOWEST_DBFS
from ghostfilter.signals import FRAME_SECONDS


@dataclass(frozen=True, slots=True)
class Burst:
    """A stretch of one steady tone."""

    first_frame: int
    frames: int
    """From first to last, lost packets between them included."""
    hertz: float
    """Mean of the frames; of two close tones, a place between them."""
    spread_hertz: float
    """Standard deviation over the frames."""
    dbfs: float
    spread_db: float
    before_dbfs: float
    """The loudest that was heard between the burst before and this one."""

    @property
    def seconds(self) -> float:
        """How long it was heard."""
        return self.frames * FRAME_SECONDS

    @property
    def end_frame(self) -> int:
        """The first frame after it."""
        return self.first_frame + self.frames


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine recognised by its bursts."""

    name: str
    first_frame: int
    frames: int
    dbfs: float
    confidence: float
    is_fax: bool = False


STEADY_HERTZ = 2.5
"""A machine's tone bends less than this (AMR 4.75 kbit/s: 2.0), a whistle more."""
STEADY_DB = 2.4
_PAUSE_DB = 20.0
"""Between a machine's tones it is so much quieter."""
_LONG_SECONDS = 1.5
"""A tone that goes on so long needs no second one."""
_WHOLE_SECONDS = 0.4
"""Shorter pieces of a tone say little about its steadiness."""
_CNG_SECONDS = (0.40, 0.60)
_CNG_PERIOD_SECONDS = (3.0, 4.0)
_BEEPS = 3
_BEEP_FRAMES = 13
_BEEP_LOWEST_HERTZ = 500.0
_BEEP_SPREAD_HERTZ = 8.0
_BEEP_SPREAD_DB = 3.0
_BEEP_SHARE = 0.6
"""Of all that was tonal: a voice has many stretches that are not."""
_SIT_HERTZ = ((914.0, 985.0), (1371.0, 1429.0), (1777.0, 1800.0))


def machines(bursts: list[Burst]) -> list[Machine]:
    """Every machine that a call's bursts, in order, give away."""
    rules = (_answer_tone, _calling_tone, _special)
    return [machine for rule in rules if (machine := rule(bursts)) is not None]


def beeps(bursts: list[Burst]) -> Machine | None:
    """Three or more short, pure beeps out of silence: a telephone's own keys."""
    found = [
        burst
        for number, burst in enumerate(bursts)
        if 2 <= burst.frames <= _BEEP_FRAMES
        and burst.hertz >= _BEEP_LOWEST_HERTZ
        and burst.spread_hertz <= _BEEP_SPREAD_HERTZ
        and burst.spread_db <= _BEEP_SPREAD_DB
        and LOWEST_DBFS < burst.before_dbfs <= burst.dbfs - _PAUSE_DB
        and (number == 0 or burst.first_frame - bursts[number - 1].end_frame >= 3)
    ]
    if len(found) < max(_BEEPS, _BEEP_SHARE * len(bursts)):
        return None
    return _machine(f"{len(found)} beeps", found, 0.9)


def _steady(bursts: list[Burst], hertz: float, tolerance: float) -> list[Burst]:
    return [
        burst
        for burst in bursts
        if abs(burst.hertz - hertz) <= tolerance
        and burst.spread_hertz <= STEADY_HERTZ
        and burst.spread_db <= STEADY_DB
    ]


def _machine(
    name: str, bursts: list[Burst], confidence: float, *, is_fax: bool = False
) -> Machine:
    frames = sum(burst.frames for burst in bursts)
    return Machine(
        name,
        bursts[0].first_frame,
        frames,
        sum(burst.dbfs * burst.frames for burst in bursts) / frames,
        confidence,
        is_fax,
    )


def _answer_tone(bursts: list[Burst]) -> Machine | None:
    """CED and ANS (T.30, V.25): 2100 Hz for 2.6…4 s."""
    found = [b for b in _steady(bursts, 2100.0, 18.0) if b.seconds >= _WHOLE_SECONDS]
    if sum(burst.seconds for burst in found) < _LONG_SECONDS:
        return None
    return _machine("answer tone 2100 Hz", found, 0.97, is_fax=True)


def _calling_tone(bursts: list[Burst]) -> Machine | None:
    """CNG (T.30): 1100 Hz, half a second in every three and a half."""
    low, high = _CNG_SECONDS
    found = [b for b in _steady(bursts, 1100.0, 38.0) if low <= b.seconds <= high]
    for before, after in pairwise(found):
        seconds = (after.first_frame - before.first_frame) * FRAME_SECONDS
        regular = _CNG_PERIOD_SECONDS[0] <= seconds <= _CNG_PERIOD_SECONDS[1]
        if regular and _has_pauses([before, after], bursts):
            return _machine("calling tone 1100 Hz", found, 0.98, is_fax=True)
    return None


def _special(bursts: list[Burst]) -> Machine | None:
    """Special information tones (E.180, Q.35): three notes of a third of a second."""
    for three in zip(bursts, bursts[1:], bursts[2:], strict=False):
        fits = all(
            low - 10 <= burst.hertz <= high + 25 and 0.2 <= burst.seconds <= 0.45
            for burst, (low, high) in zip(three, _SIT_HERTZ, strict=True)
        )
        if fits and three[2].first_frame - three[0].end_frame < 24:
            return _machine("special information tone", list(three), 0.98)
    return None


def _has_pauses(found: list[Burst], bursts: list[Burst]) -> bool:
    """Whether nothing else was heard between them: a two-tone siren has no pauses."""
    first, last = bursts.index(found[0]), bursts.index(found[-1])
    soft = min(burst.dbfs for burst in found) - _PAUSE_DB
    return all(
        burst.before_dbfs <= soft and (burst in found or burst.dbfs <= soft)
        for burst in bursts[first + 1 : last + 1]
    )
