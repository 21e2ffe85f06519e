"""Stretches of time: how long, and how long together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

Span = tuple[datetime, datetime]
"""From, to; a clock set back may put `to` first: that lasts no time."""


def seconds_between(begin: datetime | None, end: datetime | None) -> float | None:
    """Seconds to the millisecond, never negative: the wall clock may be set back."""
    if begin is None or end is None:
        return None
    return round(max(0.0, (end - begin).total_seconds()), 3)


def seconds_within(spans: Iterable[Span]) -> float:
    """Seconds that lie in at least one of them; what is in two counts once."""
    seconds, until = 0.0, None
    for begin, end in sorted(spans):
        start = begin if until is None else max(begin, until)
        seconds += max(0.0, (end - start).total_seconds())
        until = end if until is None else max(until, end)
    return round(seconds, 3)


def common(some: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Where a span of the one lies over a span of the other."""
    others = list(others)
    pairs = (
        (max(begin, start), min(end, stop))
        for begin, end in some
        for start, stop in others
    )
    return [(begin, end) for begin, end in pairs if begin < end]
