"""Reading records: for people and for those who follow along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.model.call import State
from pbx.records.tables import calls, outbox


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: the last `most` that began at or after `since`."""

    most: int = 20
    since: datetime | None = None
    with_open: bool = False
    """Also calls that still go on."""


async def last_calls(engine: AsyncEngine, wanted: Wanted) -> list[dict[str, Any]]:
    """The records as they were written, oldest first; calls that became part of
    another one are left out."""
    query = sa.select(calls.c.record).where(_is_wanted(wanted))
    query = query.order_by(calls.c.started_at.desc(), calls.c.call_id.desc())
    async with engine.begin() as connection:
        rows = await connection.scalars(query.limit(wanted.most))
        return list(rows)[::-1]


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list."""

    count: int
    """How many calls there are in all pages."""
    rows: tuple[sa.RowMapping, ...]
    """A row each, with the columns of `LIST_COLUMNS`."""


LIST_COLUMNS = (
    calls.c.call_id,
    calls.c.started_at,
    calls.c.ended_at,
    calls.c.direction,
    calls.c.disposition,
    calls.c.number,
    calls.c.ani,
    calls.c.queue,
    calls.c.operator,
    calls.c.verdict,
    calls.c.reason,
    calls.c.incomplete,
)


async def list_calls(
    engine: AsyncEngine,
    begin: datetime,
    end: datetime,
    *,
    after: tuple[datetime, str] | None = None,
    most: int = 100,
) -> Listed:
    """Closed calls that began in [begin, end), oldest first: one page, and how many
    there are. `after` is the last row's `started_at` and `call_id` of the page before.

    Page and count come from the index `calls_by_start` alone, plus the page's own rows:
    some 10 ms for a day among ten million calls (docs/records.md).
    """
    wanted = sa.and_(
        calls.c.started_at >= begin,
        calls.c.started_at < end,
        calls.c.state == State.CLOSED.value,
        calls.c.joined_into.is_(None),
    )
    page = sa.select(*LIST_COLUMNS).where(wanted)
    if after is not None:
        page = page.where(
            calls.c.started_at >= after[0],  # for the index; the pair decides
            sa.tuple_(calls.c.started_at, calls.c.call_id) > sa.tuple_(*after),
        )
    page = page.order_by(calls.c.started_at, calls.c.call_id).limit(most)
    async with engine.connect() as connection:
        counted = await connection.scalar(
            sa.select(sa.func.count()).select_from(calls).where(wanted)
        )
        rows = (await connection.execute(page)).mappings().all()
    return Listed(counted or 0, tuple(rows))


async def newest_cursor(engine: AsyncEngine) -> int:
    """The cursor of the last change."""
    async with engine.begin() as connection:
        return await connection.scalar(sa.select(sa.func.max(outbox.c.cursor))) or 0


async def changed_calls(
    engine: AsyncEngine, cursor: int, wanted: Wanted
) -> tuple[int, Sequence[dict[str, Any]]]:
    """The new cursor, and what changed after `cursor`: each record once, as it is."""
    async with engine.begin() as connection:
        rows = await connection.execute(
            sa.select(outbox.c.cursor, outbox.c.call_id)
            .where(outbox.c.cursor > cursor)
            .order_by(outbox.c.cursor)
            .limit(500)
        )
        changes = rows.all()
        if not changes:
            return cursor, []
        found = await connection.scalars(
            sa.select(calls.c.record)
            .where(
                calls.c.call_id.in_({c.call_id for c in changes}), _is_wanted(wanted)
            )
            .order_by(calls.c.started_at)
        )
        return changes[-1].cursor, list(found)


def _is_wanted(wanted: Wanted) -> sa.ColumnElement[bool]:
    tests: list[sa.ColumnElement[bool]] = [calls.c.joined_into.is_(None)]
    if wanted.since is not None:
        tests.append(calls.c.started_at >= wanted.since)
    if not wanted.with_open:
        tests.append(calls.c.state == State.CLOSED.value)
    return sa.and_(*tests)
