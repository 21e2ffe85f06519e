"""Periods: what one may ask for, and where days begin when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.model.period import PeriodError, read_period

JAKARTA = ZoneInfo("Asia/Jakarta")
ZONES = [
    "Asia/Jakarta",
    "Europe/Berlin",
    "America/Santiago",  # clocks change at midnight
    "Australia/Lord_Howe",  # by half an hour
    "Atlantic/Azores",
    "Asia/Kathmandu",  # 5:45 ahead
]


@pytest.mark.parametrize(
    ("text", "parts", "unit", "first", "last"),
    [
        ("2025-10", 31, "day", "2025-10-01", "2025-10-31"),
        ("2025-04..2025-10", 7, "month", "2025-04", "2025-10"),
        ("2025-12..2026-01", 2, "month", "2025-12", "2026-01"),
        ("2025-10-03", 24, "hour", "2025-10-03T00", "2025-10-03T23"),
        ("2025-10-03..2025-10-05", 3, "day", "2025-10-03", "2025-10-05"),
        ("2025", 12, "month", "2025-01", "2025-12"),
        ("2024..2025", 24, "month", "2024-01", "2025-12"),
        (" 2025-10..2025-10 ", 31, "day", "2025-10-01", "2025-10-31"),
    ],
)
def test_periods(text: str, parts: int, unit: str, first: str, last: str) -> None:
    period = read_period(text, JAKARTA)
    assert (len(period.parts), period.unit) == (parts, unit)
    assert (period.parts[0].name, period.parts[-1].name) == (first, last)


def test_a_month_begins_at_the_citys_midnight() -> None:
    period = read_period("2025-10", JAKARTA)
    assert period.name == "2025-10"
    assert period.begin == datetime(2025, 9, 30, 17, 0, tzinfo=UTC)
    assert period.end == datetime(2025, 10, 31, 17, 0, tzinfo=UTC)
    just_before = period.end - timedelta(microseconds=1)
    assert period.part_of(period.begin) == 0
    assert period.part_of(just_before) == 30
    assert period.part_of(period.parts[1].begin) == 1
    with pytest.raises(PeriodError):
        period.part_of(period.end)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no period; write a month"),
        ("..", "is no period"),
        ("last month", "is no period"),
        ("2025-1", "is no period"),
        ("٢٠٢٥", "is no period"),
        ("2025-13", "there is no 2025-13; write"),
        ("2025-02-30", "there is no 2025-02-30"),
        ("2025-10..2025-04", "ends before it begins; swap the two"),
        ("2025..2025-04", "mixes years and months; write"),
        ("2015..2025", "longer than five years"),
        ("9999", "beyond the calendar"),
        ("9999-12", "beyond the calendar"),
        ("0001-01", "beyond the calendar"),
    ],
)
def test_no_periods(text: str, why: str) -> None:
    with pytest.raises(PeriodError, match=why):
        read_period(text, JAKARTA)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Asia/Jakarta", "2025-10-26", 24),
        ("Europe/Berlin", "2025-10-26", 25),
        ("Europe/Berlin", "2025-03-30", 23),
        ("America/Santiago", "2025-09-07", 23),
        ("America/Santiago", "2025-04-05", 25),
        ("Australia/Lord_Howe", "2025-04-06", 24.5),
    ],
)
def test_days_when_clocks_change(zone: str, day: str, hours: float) -> None:
    period = read_period(day, ZoneInfo(zone))
    assert period.end - period.begin == timedelta(hours=hours)
    names = [part.name for part in period.parts]
    assert len(set(names)) == len(names)


@given(
    st.sampled_from(ZONES),
    st.dates(datetime(1990, 1, 1).date(), datetime(2037, 1, 1).date()),  # noqa: DTZ001
    st.sampled_from([4, 7, 10]),
)
def test_parts_leave_no_gap(zone: str, day: object, digits: int) -> None:
    period = read_period(str(day)[:digits], ZoneInfo(zone))
    assert period.parts[0].begin == period.begin
    assert period.parts[-1].end == period.end
    for one, after in pairwise(period.parts):
        assert one.begin < one.end == after.begin
        assert period.part_of(one.begin) + 1 == period.part_of(one.end)
