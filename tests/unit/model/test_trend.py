"""Genuine calls per day: a fall shows, noise does not. Simulated with a fixed seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.random import Generator
from scipy import stats

from pbx.model.trend import (
    BASELINE_DAYS,
    LIMITS,
    compare,
    dispersion,
    find_fall,
)

HISTORY = BASELINE_DAYS + max(LIMITS)
WEEKDAYS = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.3, 0.7])


def years(rng: Generator, per_week: float, days: int, bursts: float) -> list[int]:
    """Steady calls; `bursts` is the variance of each day's own rate."""
    rate = np.resize(WEEKDAYS if bursts else [1.0], HISTORY + days) * per_week / 7
    if bursts:
        rate = rate * rng.gamma(1 / bursts, bursts, len(rate))
    return [int(n) for n in rng.poisson(rate)]


def first_alarm(per_day: Sequence[int]) -> int | None:
    """After how many days beyond the history it alarms."""
    return next(
        (
            day
            for day in range(1, len(per_day) - HISTORY + 1)
            if find_fall(per_day[: HISTORY + day])
        ),
        None,
    )


THE_WHOLE = pytest.param(True, marks=pytest.mark.campaign, id="whole")
"""`make test` lives a few years, `make campaign` many."""
IS_WHOLE = pytest.mark.parametrize(
    "is_whole", [pytest.param(False, id="few"), THE_WHOLE]
)


@IS_WHOLE
@pytest.mark.parametrize(("per_week", "bursts"), [(36, 0.0), (36, 0.15), (84, 0.15)])
def test_steady_noise_is_quiet(per_week: float, bursts: float, is_whole: bool) -> None:
    """Looked at every day for years: an alarm in one of six at most.

    (800 years of each, tried once: in 7 to 11 of a hundred.)
    """
    rng = np.random.default_rng(112)
    n = 240 if is_whole else 24
    alarms = [first_alarm(years(rng, per_week, 364, bursts)) for _ in range(n)]
    assert sum(alarm is not None for alarm in alarms) <= n / 6


@IS_WHOLE
def test_romania_s_fall_shows(is_whole: bool) -> None:
    """36 genuine calls a week become 22, as when the warning messages went out."""
    rng = np.random.default_rng(112)
    found = [
        first_alarm(years(rng, 36, 0, 0.0) + years(rng, 22, 0, 0.0)[:HISTORY])
        for _ in range(60 if is_whole else 12)
    ]
    days = [day for day in found if day is not None]
    assert len(days) >= 0.85 * len(found)
    assert np.median(days) <= 21


@IS_WHOLE
@pytest.mark.parametrize(("bursts", "least"), [(0.0, 0.8), (0.15, 0.5)])
def test_a_loss_of_three_in_ten_shows(
    bursts: float, least: float, is_whole: bool
) -> None:
    """84 genuine calls a week become 59. Slowly, and in bursts not always: luck takes
    as many away now and then."""
    rng = np.random.default_rng(112)
    found = [
        first_alarm(years(rng, 84, 0, bursts) + years(rng, 59, 0, bursts)[:HISTORY])
        for _ in range(60 if is_whole else 12)
    ]
    days = [day for day in found if day is not None]
    assert len(days) >= least * len(found)
    assert np.median(days) <= 35


def test_a_collapse_shows_within_ten_days() -> None:
    rng = np.random.default_rng(7)
    day = first_alarm(years(rng, 36, 0, 0.0) + [0] * 21)
    assert day is not None
    assert day <= 10


def test_it_says_what_fell() -> None:
    fall = find_fall([5] * 63 + [3, 3, 3] * 7)
    assert fall is not None
    assert (fall.days, fall.days_before) == (21, 63)
    assert fall.per_week == pytest.approx(21)
    assert fall.per_week_before == pytest.approx(35)
    assert fall.ratio_low < 0.6 < fall.ratio_high < 1
    assert fall.chance < LIMITS[21]


@pytest.mark.parametrize(
    "per_day", [[], [5] * 20 + [0] * 7, [0] * 90, [5] * 90, [3] * 63 + [9] * 21]
)
def test_nothing_to_compare_no_calls_and_more_calls_are_no_fall(
    per_day: list[int],
) -> None:
    assert find_fall(per_day) is None


def test_the_chance_is_the_exact_test_s() -> None:
    fall = compare([5] * 63, [3] * 21)
    expected = stats.binomtest(63, 63 + 315, 21 / 84, alternative="less").pvalue
    assert fall.chance == pytest.approx(expected, rel=1e-9)


def test_bursts_make_it_doubt() -> None:
    bursts = [0, 0, 0, 20, 0, 0, 15] * 9
    steady = compare([5] * 63, [3] * 21)
    assert dispersion(bursts) == 1.0, "the same each week: the weekday's own mean"
    wild = [0, 0, 35, 0, 0, 0, 0] + [35, 0, 0, 0, 0, 0, 0] + [5] * 49
    assert dispersion(wild) > 2
    assert compare(wild, [3] * 21).chance > steady.chance
    assert dispersion([9, 1, 4]) == 1.0, "too short to tell"
    assert dispersion([0] * 14) == 1.0


def test_edges_of_the_ratio() -> None:
    assert compare([0] * 7, [1] * 7).ratio_high == math.inf
    assert compare([0] * 7, [0] * 7).ratio_high == math.inf
    fall = compare([1] * 7, [0] * 7)
    assert fall.ratio_low == 0
    assert compare([0] * 60, [900] * 7).ratio_low > 1
    with pytest.raises(ValueError, match="two times"):
        compare([], [1])
