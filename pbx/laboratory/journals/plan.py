"""Which call comes when: every one of the mix, on the city's days and hours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pbx.laboratory.journals.mix import HOURS, MONTHS, TYPES, WAYS, Mix, Way
from pbx.model.category import Category

_SURVEYED = (Category.VALID, Category.INFORMATION)
"""Who is asked how it was."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One call to be."""

    at_ms: int
    """Milliseconds of the epoch."""
    category: Category
    way: Way
    type: str = ""
    score: int = 0
    """0: did not answer the survey."""


def plan(
    mix: Mix, months: list[date], zone: ZoneInfo, dice: random.Random
) -> list[Planned]:
    """All calls, in order of time. `months` are first days."""
    shares = [MONTHS[n % len(MONTHS)] for n in range(len(months))]
    found = [
        Planned(_moment(month, zone, dice), category, way, _type(category, dice))
        for category, count in mix.counts.items()
        for month, way in zip(
            _spread(count, months, shares),
            dice.choices(WAYS[category], [w.weight for w in WAYS[category]], k=count),
            strict=True,
        )
    ]
    found = _with_scores(found, mix, dice)
    return sorted(found, key=lambda call: call.at_ms)


def _spread(count: int, months: list[date], shares: list[int]) -> Iterator[date]:
    """`count` months, as many of each as its share; the rest goes to the last."""
    given = 0
    for n, (month, share) in enumerate(zip(months, shares, strict=True)):
        is_last = n == len(months) - 1
        some = count - given if is_last else round(count * share / sum(shares))
        some = min(some, count - given)
        given += some
        yield from [month] * some


def _moment(month: date, zone: ZoneInfo, dice: random.Random) -> int:
    days = (following(month) - month).days
    day = month + timedelta(days=dice.randrange(days))
    (hour,) = dice.choices(range(24), HOURS)
    begins = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    last = 3_000_000 if hour == 23 else 3_600_000  # ends before midnight
    return int(begins.timestamp()) * 1000 + dice.randrange(last)


def following(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def _type(category: Category, dice: random.Random) -> str:
    if category is not Category.VALID:
        return ""
    return dice.choices(list(TYPES), list(TYPES.values()))[0]


def _with_scores(found: list[Planned], mix: Mix, dice: random.Random) -> list[Planned]:
    scores = [score for score, count in mix.scores.items() for _ in range(count)]
    asked = [n for n, call in enumerate(found) if call.category in _SURVEYED]
    for n, score in zip(dice.sample(asked, len(scores)), scores, strict=True):
        call = found[n]
        found[n] = Planned(call.at_ms, call.category, call.way, call.type, score)
    return found
