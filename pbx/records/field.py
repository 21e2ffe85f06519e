"""Calls as the filter's figures look at them, from the record store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.model.call import Direction, Disposition, State
from pbx.model.figures import FieldCall, talked_long
from pbx.model.review import Kind, Review
from pbx.model.trend import BASELINE_DAYS, LIMITS
from pbx.records.tables import calls, reviews


async def field_calls(
    engine: AsyncEngine, since: datetime | None, until: datetime | None = None
) -> list[FieldCall]:
    """Closed incoming calls that began then, oldest first."""
    query = (
        sa.select(
            calls.c.record,
            calls.c.started_at,
            calls.c.disposition,
            reviews.c.kind,
            reviews.c.review,
        )
        .outerjoin(reviews, reviews.c.call_id == calls.c.call_id)
        .where(
            calls.c.state == State.CLOSED.value,
            calls.c.direction == Direction.INCOMING.value,
            calls.c.joined_into.is_(None),
        )
        .order_by(calls.c.started_at)
    )
    if since is not None:
        query = query.where(calls.c.started_at >= since)
    if until is not None:
        query = query.where(calls.c.started_at < until)
    async with engine.begin() as connection:
        rows = await connection.stream(query)
        return [_call(row) async for row in rows]


async def genuine_per_day(engine: AsyncEngine, now: datetime, zone: str) -> list[int]:
    """Calls talked long of each whole day of the city's, oldest first, up to yesterday.

    As many days as the watch wants, but none before the first record.
    """
    city = ZoneInfo(zone)
    today = now.astimezone(city).date()
    first = today - timedelta(days=BASELINE_DAYS + max(LIMITS))
    told = await field_calls(engine, _midnight(first, city), _midnight(today, city))
    if not told:
        return []
    return per_day(told, city, max(first, told[0].at.astimezone(city).date()), today)


def per_day(
    told: Sequence[FieldCall], city: ZoneInfo, first: date, until: date
) -> list[int]:
    """Calls talked long of each day from `first` up to the day before `until`."""
    counted = Counter(c.at.astimezone(city).date() for c in told if talked_long(c))
    days = (until - first).days
    return [counted[first + timedelta(days=day)] for day in range(days)]


def _midnight(day: date, city: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=city)


def _call(row: Any) -> FieldCall:
    record = row.record
    verdict = record.get("verdict") or {}
    return FieldCall(
        call_id=record["call_id"],
        at=row.started_at,
        disposition=Disposition(row.disposition),
        is_answered=record.get("answered_at") is not None,
        ani=record.get("ani") or "",
        ruling=verdict.get("verdict"),
        reason=verdict.get("reason"),
        was_rescued=bool(record.get("rescued") or record.get("degraded")),
        was_greeted=bool(record.get("prompts")) or not verdict,
        said=(record.get("classified") or {}).get("category"),
        talk_seconds=record.get("talk_seconds"),
        kind=Kind(row.kind) if row.kind else None,
        review=Review(row.review) if row.review else Review.UNREVIEWED,
    )
