"""Bursts of steady tone, and the machines that make them.

A burst is a stretch of frames that are one steady line, or two close together. What
makes a machine of it is that nobody sings like that: within a hertz or two of a
frequency the networks use, as loud at its end as at its beginning, for just so long
(ITU-T E.180 and its supplement 2, T.30, V.25, Q.35).
"""

from __future__ import annotations

from dataclasses import dataclass

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


NETWORK_HERTZ = (350.0, 640.0)
"""Ring-back, busy, congestion and dialling tones of all networks lie in here."""
_SINGLE_HERTZ = (400.0, 425.0, 440.0, 450.0)
_SINGLE_TOLERANCE = 6.0
STEADY_HERTZ = 2.5
"""A single tone bends less than this; a hummed note bends 3 Hz and more."""
STEADY_DB = 1.2
_RING_SECONDS = (0.35, 2.3)
_LONG_SECONDS = 1.5
"""A tone that goes on so long needs no second one: dialling tone, or CED."""
_CNG_SECONDS = (0.40, 0.60)
_CNG_PERIOD_SECONDS = (3.0, 4.0)
_SIT_HERTZ = ((914.0, 985.0), (1371.0, 1429.0), (1777.0, 1800.0))


def machines(bursts: list[Burst]) -> list[Machine]:
    """Every machine that a call's bursts, in order, give away."""
    found = [_answer_tone(bursts), _calling_tone(bursts), _special(bursts)]
    found.append(_network(bursts))
    return [machine for machine in found if machine is not None]


def _steady(bursts: list[Burst], hertz: float, tolerance: float) -> list[Burst]:
    return [
        burst
        for burst in bursts
        if abs(burst.hertz - hertz) <= tolerance
        and burst.spread_hertz <= 2 * STEADY_HERTZ
        and burst.spread_db <= 2 * STEADY_DB
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
    found = _steady(bursts, 2100.0, 18.0)
    if sum(burst.seconds for burst in found) < _LONG_SECONDS:
        return None
    return _machine("answer tone 2100 Hz", found, 0.97, is_fax=True)


def _calling_tone(bursts: list[Burst]) -> Machine | None:
    """CNG (T.30): 1100 Hz, half a second in every three and a half."""
    low, high = _CNG_SECONDS
    found = [b for b in _steady(bursts, 1100.0, 38.0) if low <= b.seconds <= high]
    for before, after in zip(found, found[1:], strict=False):
        seconds = (after.first_frame - before.first_frame) * FRAME_SECONDS
        if _CNG_PERIOD_SECONDS[0] <= seconds <= _CNG_PERIOD_SECONDS[1]:
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


def _network(bursts: list[Burst]) -> Machine | None:
    """Ring-back, busy and congestion: equal bursts at equal distances."""
    for hertz in _SINGLE_HERTZ:
        found = [
            burst
            for burst in bursts
            if abs(burst.hertz - hertz) <= _SINGLE_TOLERANCE
            and burst.spread_hertz <= STEADY_HERTZ
            and burst.spread_db <= STEADY_DB
            and burst.seconds >= 0.15
        ]
        confidence = _cadence(found)
        if confidence:
            return _machine(f"network tone {hertz:.0f} Hz", found, confidence)
    return None


def _cadence(found: list[Burst]) -> float:
    """How sure bursts of one tone are a network's: 0 for not at all."""
    whole = [burst for burst in found[:-1] if burst.seconds <= _RING_SECONDS[1]]
    if (
        len(whole) >= 2
        and max(b.frames for b in whole) - min(b.frames for b in whole) <= 2
    ):
        return 0.98
    return 0.9 if sum(burst.seconds for burst in found) >= _LONG_SECONDS else 0.0
