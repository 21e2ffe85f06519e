"""The time a report is about: days, months or years as the city's clocks tell them.

Borders are the city's own midnights, turned into moments; a day may have 23 or 25
hours. `begin` belongs to a span, `end` to the next.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
LONGEST_DAYS = 366 * 5
"""A typing error in a year must not become an hour of reading."""
_CURE = (
    "write a month (2025-10), a day (2025-10-03), a year (2025), or two of one kind "
    "with two dots between (2025-04..2025-10)"
)


class PeriodError(ValueError):
    """No period; the text says why, and the cure."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some time, with its name."""

    name: str
    """`2025-10`, `2025-10-03`, or `2025-10-03T07` for an hour."""
    begin: datetime
    end: datetime
    """Both aware UTC."""


@dataclass(frozen=True, slots=True)
class Period:
    """The time asked for, and the parts it is shown in."""

    name: str
    begin: datetime
    end: datetime
    parts: tuple[Span, ...]
    """Without gaps: years in months, a month in days, a day in hours."""
    unit: str
    """What a part is: month, day or hour."""
    zone: ZoneInfo

    def part_of(self, at: datetime) -> int:
        """Which part this moment lies in. Raises PeriodError if in none."""
        if not self.begin <= at < self.end:
            raise PeriodError(f"{at} does not lie in {self.name}")
        return bisect_right(self.parts, at, key=lambda part: part.begin) - 1


def read_period(text: str, zone: ZoneInfo) -> Period:
    """`2025-10`, `2025-04..2025-10`, `2025-10-03`, `2025`, … Raises PeriodError."""
    head, dots, tail = text.strip().partition("..")
    first, kind = _read(head, text)
    last, other = _read(tail, text) if dots else (first, kind)
    if kind is not other:
        raise PeriodError(f"{text!r} mixes {kind.name}s and {other.name}s; {_CURE}")
    if last < first:
        raise PeriodError(f"{text!r} ends before it begins; swap the two")
    try:
        after = kind.next(last)
        if (after - first).days > LONGEST_DAYS:
            raise PeriodError(
                f"{text!r} is longer than five years; ask for less at once"
            )
        spans = tuple(_parts(first, after, kind, zone, is_range=last > first))
    except (OverflowError, ValueError) as error:
        if isinstance(error, PeriodError):
            raise
        raise PeriodError(f"{text!r} lies beyond the calendar; {_CURE}") from error
    unit = {7: "month", 10: "day"}.get(len(spans[0].name), "hour")
    name = kind.text(first) if last == first else f"{head.strip()}..{tail.strip()}"
    return Period(name, spans[0].begin, spans[-1].end, spans, unit, zone)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Years, months or days."""

    name: str
    pattern: re.Pattern[str]
    next: Callable[[date], date]
    digits: int
    """Of an ISO date that name one."""

    def text(self, day: date) -> str:
        return day.isoformat()[: self.digits]


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


_YEAR = _Kind(
    "year", re.compile("[0-9]{4}"), lambda day: day.replace(year=day.year + 1), 4
)
_MONTH = _Kind("month", re.compile("[0-9]{4}-[0-9]{2}"), _next_month, 7)
_DAY = _Kind(
    "day",
    re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    lambda day: day + timedelta(days=1),
    10,
)


def _read(text: str, whole: str) -> tuple[date, _Kind]:
    for kind in (_YEAR, _MONTH, _DAY):
        if kind.pattern.fullmatch(text.strip()):
            try:
                return date.fromisoformat(f"{text.strip()}-01-01"[:10]), kind
            except ValueError as error:
                raise PeriodError(f"{whole!r}: there is no {text}; {_CURE}") from error
    raise PeriodError(f"{whole!r} is no period; {_CURE}")


def _parts(
    first: date, after: date, kind: _Kind, zone: ZoneInfo, *, is_range: bool
) -> Iterator[Span]:
    """Years in months, several months in months, one month in days, …"""
    if kind is _DAY and not is_range:
        yield from _hours(first, zone)
        return
    in_days = kind is _DAY or (kind is _MONTH and not is_range)
    step = _DAY if in_days else _MONTH
    begin = first
    while begin < after:
        end = step.next(begin)
        yield Span(step.text(begin), midnight(begin, zone), midnight(end, zone))
        begin = end


def _hours(day: date, zone: ZoneInfo) -> Iterator[Span]:
    """The hours of a day; where clocks change, 23 or 25, and one perhaps shorter."""
    begin, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    while begin < end:
        local = begin.astimezone(zone)
        after = min(begin + HOUR - timedelta(minutes=local.minute), end)
        name = f"{local:%Y-%m-%dT%H}" + ("b" if local.fold else "")
        yield Span(name, begin, after)
        begin = after


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When that day begins there, UTC; where clocks skip midnight, the skip itself."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
