"""Do fewer people get through than before? Genuine calls per day, watched. Pure.

A deterrent that also scares real callers must show: in Romania warning messages cut
pranks by 36.8 % and genuine calls by 39.1 %. So the genuine calls of the last days are
held against those of the nine weeks before, by the exact test for two Poisson rates
(given the sum of both, the later count is binomial: J. Przyborowski, H. Wilenski,
Biometrika 31, 1940). Calls come in bursts (storms, Saturdays), so counts are first
divided by how much more than Poisson the nine weeks varied (quasi-likelihood: P.
McCullagh, J. A. Nelder, Generalized Linear Models, 1989, section 4.5).

Three windows: a week finds a collapse, three weeks find a loss of two fifths, six weeks
one of a third and less. The limits are set by simulation
(`tests/unit/model/test_trend.py`): on steady noise about one false alarm in ten years,
while a fall from 36 to 22 a week is found nine times of ten, mostly within three weeks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pbx.model.intervals import at_most, clopper_pearson

BASELINE_DAYS = 63
LEAST_BASELINE_DAYS = 28
LIMITS = {7: 0.0002, 21: 0.0008, 42: 0.0003}
"""Days of the window → a fall less likely than this is no luck."""
WEEK = 7


@dataclass(frozen=True, slots=True)
class Fall:
    """Two times compared."""

    days: int
    calls: int
    """In the later time."""
    days_before: int
    calls_before: int
    chance: float
    """That luck alone makes the later count so low."""
    ratio_low: float
    ratio_high: float
    """95 % interval of the later rate over the earlier; infinite: no calls before."""

    @property
    def per_week(self) -> float:
        """Calls a week, later."""
        return self.calls / self.days * WEEK

    @property
    def per_week_before(self) -> float:
        """Calls a week, before."""
        return self.calls_before / self.days_before * WEEK


def find_fall(per_day: Sequence[int]) -> Fall | None:
    """The clearest fall at the end of these days, if any is beyond luck.

    One count a whole day, oldest first, without gaps. None also with less than four
    weeks to compare with.
    """
    found = []
    for days, limit in LIMITS.items():
        later = per_day[-days:]
        before = per_day[-days - BASELINE_DAYS : -days]
        if len(before) >= LEAST_BASELINE_DAYS and _chance(before, later) < limit:
            found.append(compare(before, later))
    return min(found, key=lambda fall: fall.chance, default=None)


def compare(before: Sequence[int], later: Sequence[int]) -> Fall:
    """The later days against the earlier ones. Raises ValueError if either is empty."""
    if not before or not later:
        raise ValueError("two times are needed to compare: one of them has no day")
    low, high = clopper_pearson(*_effective(before, later))
    odds = len(before) / len(later)
    return Fall(
        days=len(later),
        calls=sum(later),
        days_before=len(before),
        calls_before=sum(before),
        chance=_chance(before, later),
        ratio_low=low / (1 - low) * odds if low < 1 else math.inf,
        ratio_high=high / (1 - high) * odds if high < 1 else math.inf,
    )


def _chance(before: Sequence[int], later: Sequence[int]) -> float:
    k, n = _effective(before, later)
    return at_most(k, n, len(later) / (len(later) + len(before)))


def _effective(before: Sequence[int], later: Sequence[int]) -> tuple[int, int]:
    """The later count and the sum of both, as if they were Poisson."""
    more = dispersion(before)
    k = math.ceil(sum(later) / more)
    return k, max(k, round((sum(later) + sum(before)) / more))


def dispersion(per_day: Sequence[int]) -> float:
    """How much more than Poisson these days vary, at least 1 (Pearson's X² a degree of
    freedom): from week to week, or from day to day beside the weekday's own mean."""
    whole = len(per_day) // WEEK * WEEK
    weeks = [
        list(per_day[at : at + WEEK])
        for at in range(len(per_day) - whole, len(per_day), WEEK)
    ]
    if len(weeks) < 2:
        return 1.0
    by_week = _pearson([[sum(week) for week in weeks]])
    by_day = _pearson([list(day) for day in zip(*weeks, strict=True)])
    return max(1.0, by_week, by_day)


def _pearson(groups: Sequence[Sequence[int]]) -> float:
    """Σ(x − mean)²/mean over all groups, each with its own mean, by degrees of
    freedom; 0 where nothing was counted."""
    total, freedom = 0.0, 0
    for group in groups:
        mean = sum(group) / len(group)
        if mean > 0:
            total += sum((x - mean) ** 2 for x in group) / mean
            freedom += len(group) - 1
    return total / freedom if freedom else 0.0
