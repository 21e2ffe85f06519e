"""When calls come, and how busy that keeps operators.

Hours are the city's. An operator's busy time is ring, talk (hold is within it) and
wrap-up, counted for the first operator of a call: who a call was passed on to is not.
There is no record of shifts, so occupancy is busy time over **the clock hours in which
the operator's phone rang at all**. It says how full those hours were; in a quiet night
with one call an hour it counts more hours than a time clock would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pbx.model.call import RingOutcome
from pbx.model.category import Category
from pbx.model.reported import ReportedCall

HOUR_SECONDS = 3600
WEEKDAYS = 7
HOURS = 24


@dataclass(slots=True)
class Operator:
    """What one operator did."""

    rung: int = 0
    """Times the phone rang."""
    answered: int = 0
    missed: int = 0
    """Rang out, was refused, busy or not there; not: taken elsewhere meanwhile."""
    ring_ms: int = 0
    talk_ms: int = 0
    hold_ms: int = 0
    wrap_up_ms: int = 0
    hours: set[int] = field(default_factory=set)
    """Clock hours in which the phone rang, by `Workload`'s count of hours."""

    @property
    def busy_seconds(self) -> float:
        """Ring, talk and wrap-up together."""
        return (self.ring_ms + self.talk_ms + self.wrap_up_ms) / 1000

    @property
    def occupancy(self) -> float | None:
        """Busy time over those hours, 0…1; more where calls outlast their hour."""
        if not self.hours:
            return None
        return self.busy_seconds / (len(self.hours) * HOUR_SECONDS)

    def merge(self, other: Operator) -> None:
        """Add what another one counted."""
        self.rung += other.rung
        self.answered += other.answered
        self.missed += other.missed
        self.ring_ms += other.ring_ms
        self.talk_ms += other.talk_ms
        self.hold_ms += other.hold_ms
        self.wrap_up_ms += other.wrap_up_ms
        self.hours |= other.hours


_IN_VAIN = frozenset(
    {
        RingOutcome.NO_ANSWER,
        RingOutcome.BUSY,
        RingOutcome.REFUSED,
        RingOutcome.UNREACHABLE,
    }
)


@dataclass(frozen=True, slots=True)
class BusyHour:
    """One hour of one day."""

    begin: datetime
    calls: int


@dataclass(slots=True)
class Workload:
    """Calls by hour, and operators."""

    zone: ZoneInfo
    hours: Counter[int] = field(default_factory=Counter)
    """When a clock hour began, seconds since 1970 → calls offered in it."""
    week: list[list[int]] = field(
        default_factory=lambda: [[0] * HOURS for _ in range(WEEKDAYS)]
    )
    """Weekday (0 is Monday), hour of the day → calls."""
    by_hour: dict[Category, list[int]] = field(
        default_factory=lambda: {category: [0] * HOURS for category in Category}
    )
    """Category → calls by hour of the day."""
    operators: dict[str, Operator] = field(default_factory=dict)

    def add(self, call: ReportedCall) -> None:
        """Count one call."""
        local = call.started_at.astimezone(self.zone)
        hour = int(call.started_at.timestamp()) - local.minute * 60 - local.second
        self.hours[hour] += 1
        self.week[local.weekday()][local.hour] += 1
        self.by_hour[call.category][local.hour] += 1
        for ring in call.rings:
            operator = self._operator(ring.operator)
            operator.rung += 1
            operator.answered += ring.outcome is RingOutcome.ANSWERED
            operator.missed += ring.outcome in _IN_VAIN
            operator.ring_ms += round(ring.seconds * 1000)
            operator.hours.add(hour)
        if call.operator is not None:
            operator = self._operator(call.operator)
            operator.hours.add(hour)
            operator.talk_ms += _ms(call.talk_seconds)
            operator.hold_ms += _ms(call.hold_seconds)
            operator.wrap_up_ms += _ms(call.wrap_up_seconds)

    def _operator(self, number: str) -> Operator:
        return self.operators.setdefault(number, Operator())

    def merge(self, other: Workload) -> None:
        """Add what another one counted in the same zone."""
        self.hours.update(other.hours)
        self.week = _summed(self.week, other.week)
        for category, counts in other.by_hour.items():
            [self.by_hour[category]] = _summed([self.by_hour[category]], [counts])
        for number, operator in other.operators.items():
            self._operator(number).merge(operator)

    def busiest(self, most: int) -> Sequence[BusyHour]:
        """The hours with the most calls, the fullest first."""
        fullest = sorted(self.hours.items(), key=lambda one: (-one[1], one[0]))
        return [
            BusyHour(datetime.fromtimestamp(begin, UTC).astimezone(self.zone), calls)
            for begin, calls in fullest[:most]
        ]


def _ms(seconds: float | None) -> int:
    return round((seconds or 0.0) * 1000)


def _summed(one: Sequence[list[int]], other: Sequence[list[int]]) -> list[list[int]]:
    return [
        [a + b for a, b in zip(*rows, strict=True)]
        for rows in zip(one, other, strict=True)
    ]
