"""How long callers wait for a person, by the world's yardsticks.

- NENA: 90 % of calls answered within 15 s, 95 % within 20 s (NENA-STA-020.1-2020).
- Ofcom: 95 % of calls wait at most 5 s in any 24 hours; kept on a 15-minute basis
  (General Condition 4 and the performance of emergency call handling agents, 2013).
- European Union: mean answer time, share within 10 s, mean of the longest 10 %,
  abandon rate (key performance indicators of the 112 questionnaire, COCOM 15-11).

**Where the clock starts.** `offered`: the INVITE reaches us. It ends when an operator's
voice does. Greeting and filter count, since the caller waits through them and the
yardsticks count calls as they arrive; an answer by a machine is none. `queued`: the
caller joins the queue; what the operators alone owe. Yardsticks go by `offered`.

**Whose wait counts.** Calls that were put through to operators, and those we lost.
Released calls, and callers who left before the queue, asked for nobody as far as anyone
knows; their numbers stand beside it.

**Who gives up.** A caller who gave up after the limit is a miss. One who gave up within
it counts neither way: nobody was late yet. A lost call is always a miss.
`strict_share` counts every caller who gave up as a miss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pbx.model.call import Disposition
from pbx.model.category import Category
from pbx.model.reported import ReportedCall
from pbx.model.waits import AnswerTimes, Level, Yardstick

SLOT_SECONDS = 900
SLOTS_A_DAY = 96

NENA_15 = Yardstick("nena-15", 15, 0.90)
NENA_20 = Yardstick("nena-20", 20, 0.95)
OFCOM = Yardstick("ofcom-5", 5, 0.95)
YARDSTICKS = (NENA_15, NENA_20, OFCOM)
EU_WITHIN_SECONDS = 10
LIMITS = (5, 10, 15, 20)
"""Seconds each slot is counted for."""


@dataclass(slots=True)
class Slot:
    """A quarter of an hour: calls that were offered in it, by the clock `offered`."""

    calls: int = 0
    answered: int = 0
    gave_up: int = 0
    lost: int = 0
    met: list[int] = field(default_factory=lambda: [0] * len(LIMITS))
    """Answered within each of `LIMITS`."""
    neutral: list[int] = field(default_factory=lambda: [0] * len(LIMITS))
    """Gave up within each of `LIMITS`."""
    longest_seconds: float = 0.0

    def level(self, i: int) -> Level:
        """Of `LIMITS[i]`."""
        every = self.answered + self.gave_up + self.lost
        met, neutral = self.met[i], self.neutral[i]
        return Level(met, every - met - neutral, neutral)

    def merge(self, other: Slot) -> None:
        """Add what another one counted of the same time."""
        self.calls += other.calls
        self.answered += other.answered
        self.gave_up += other.gave_up
        self.lost += other.lost
        self.met = [a + b for a, b in zip(self.met, other.met, strict=True)]
        self.neutral = [a + b for a, b in zip(self.neutral, other.neutral, strict=True)]
        self.longest_seconds = max(self.longest_seconds, other.longest_seconds)


@dataclass(frozen=True, slots=True)
class Days:
    """Every 24 hours within the period, a quarter of an hour apart, by Ofcom's measure.

    Days in which no wait counts are not among them.
    """

    kept: int
    all: int
    worst: float | None
    """The lowest share, 0…1."""
    worst_from: datetime | None
    """When the worst 24 hours began."""


@dataclass(slots=True)
class ServiceLevel:
    """Answer times of some time."""

    offered: AnswerTimes = field(default_factory=AnswerTimes)
    queued: AnswerTimes = field(default_factory=AnswerTimes)
    people: AnswerTimes = field(default_factory=AnswerTimes)
    """By `offered`, without ghosts: those wait behind everybody else on purpose."""
    released: int = 0
    left: int = 0
    """Hung up before the queue."""
    open_ended: int = 0
    """Records that lack what a wait is made of, or tell no end: no wait is counted."""
    slots: dict[int, Slot] = field(default_factory=dict)
    """Quarter of an hour since 1970 → what was in it."""

    def add(self, call: ReportedCall) -> None:
        """Count one call."""
        number = int(call.started_at.timestamp()) // SLOT_SECONDS
        slot = self.slots.setdefault(number, Slot())
        slot.calls += 1
        match call.disposition:
            case Disposition.CONNECTED:
                self._answered(call, slot)
            case Disposition.ABANDONED:
                self._gave_up(call, slot)
            case Disposition.LOST:
                self.offered.lost += 1
                self.people.lost += call.category is not Category.GHOST
                self.queued.lost += call.queued_at is not None
                slot.lost += 1
            case Disposition.RELEASED:
                self.released += 1
            case Disposition.LEFT:
                self.left += 1
            case _:
                self.open_ended += 1

    def _answered(self, call: ReportedCall, slot: Slot) -> None:
        if call.connected_at is None:
            self.open_ended += 1
            return
        seconds = _between(call.started_at, call.connected_at)
        self.offered.answered.add(seconds)
        if call.category is not Category.GHOST:
            self.people.answered.add(seconds)
        if call.wait_seconds is not None and call.queued_at is not None:
            self.queued.answered.add(call.wait_seconds)
        slot.answered += 1
        slot.longest_seconds = max(slot.longest_seconds, seconds)
        _count_within(slot.met, seconds)

    def _gave_up(self, call: ReportedCall, slot: Slot) -> None:
        if call.ended_at is None:
            self.open_ended += 1
            return
        seconds = _between(call.started_at, call.ended_at)
        self.offered.gave_up.add(seconds)
        if call.category is not Category.GHOST:
            self.people.gave_up.add(seconds)
        if call.wait_seconds is not None:
            self.queued.gave_up.add(call.wait_seconds)
        slot.gave_up += 1
        slot.longest_seconds = max(slot.longest_seconds, seconds)
        _count_within(slot.neutral, seconds)

    def merge(self, other: ServiceLevel) -> None:
        """Add what another one counted."""
        self.offered.merge(other.offered)
        self.queued.merge(other.queued)
        self.people.merge(other.people)
        self.released += other.released
        self.left += other.left
        self.open_ended += other.open_ended
        for number, slot in other.slots.items():
            self.slots.setdefault(number, Slot()).merge(slot)

    @property
    def abandon_rate(self) -> float | None:
        """Of all calls presented, those whose caller hung up before an answer, 0…1.

        As the European questionnaire asks; whoever left before the queue is among them.
        """
        every = self.offered.n + self.released + self.left
        return (self.offered.gave_up.n + self.left) / every if every else None

    def any_24_hours(self, begin: datetime, end: datetime) -> Days:
        """Ofcom's "any 24 hours", between two borders of quarters."""
        return _windows(self.slots, begin, end)


def _between(begin: datetime, end: datetime) -> float:
    """Seconds, never negative: the wall clock may have been set back."""
    return max(0.0, (end - begin).total_seconds())


def _count_within(counts: list[int], seconds: float) -> None:
    for i, limit in enumerate(LIMITS):
        counts[i] += round(seconds * 1000) <= limit * 1000


def _windows(slots: Mapping[int, Slot], begin: datetime, end: datetime) -> Days:
    first = int(begin.timestamp()) // SLOT_SECONDS
    after = int(end.timestamp()) // SLOT_SECONDS
    kept = every = 0
    worst, worst_from = None, None
    for number, level in _sliding(slots, first, after):
        share = level.share
        if share is None:
            continue
        every += 1
        kept += share >= OFCOM.share
        if worst is None or share < worst:
            worst, worst_from = share, number
    return Days(
        kept=kept,
        all=every,
        worst=worst,
        worst_from=None
        if worst_from is None
        else datetime.fromtimestamp(worst_from * SLOT_SECONDS, UTC),
    )


def _sliding(
    slots: Mapping[int, Slot], first: int, after: int
) -> Iterator[tuple[int, Level]]:
    """Each 24 hours that lie between two slots: its first slot, its level."""
    at = LIMITS.index(OFCOM.within_seconds)
    met = missed = neutral = 0
    for number in range(first, after):
        for slot, sign in (
            (slots.get(number), 1),
            (
                slots.get(number - SLOTS_A_DAY)
                if number - SLOTS_A_DAY >= first
                else None,
                -1,
            ),
        ):
            if slot is not None:
                level = slot.level(at)
                met += sign * level.met
                missed += sign * level.missed
                neutral += sign * level.neutral
        if number - first + 1 >= SLOTS_A_DAY:
            yield number - SLOTS_A_DAY + 1, Level(met, missed, neutral)
