"""What the journal did not tell: compared every second with the second witness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.call import Call, State, witnessed
from pbx.records.base import write_alone
from pbx.records.privacy_tables import erasures
from pbx.records.store import WITNESS_PATIENCE_SECONDS, RecordStore, last_boot
from pbx.records.tables import (
    call_members,
    calls,
    journal_lines,
    witnessed_calls,
)

GAP_PATIENCE_SECONDS = 2.0
"""A witnessed channel's CHAN_START stands in the journal within milliseconds."""
GAP_MEMORY_SECONDS = 60.0
"""How far back the alarm looks, and so how long it stands after the last gap."""
NAMELESS_SECONDS = 600.0
"""So long after a call's end it is seen to that the record knows its caller, if only
the witness does."""
MOST_AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class Findings:
    """What a comparison found and mended."""

    marked: int
    """Calls that got a record marked incomplete: the journal has nothing of them."""
    closed: int
    """Open calls closed, since Asterisk started anew or their caller is long gone."""
    gaps: tuple[str, ...]
    """Channels of the last minute whose CHAN_START is not in the journal."""


async def reconcile(
    store: RecordStore, at: datetime, *, within_seconds: float | None
) -> Findings:
    """Give every witnessed call a record and every dead call an end.

    Looks at calls witnessed in the last `within_seconds` (None: all there are). Only
    to be called when the journal has been read to its end.
    """
    since = None if within_seconds is None else at - timedelta(seconds=within_seconds)
    async with store.engine.begin() as connection:
        await write_alone(connection)
        marked = await _mark(store, connection, at, since)
        dead = await _dead(connection, at, since)
        closed = await store.refold(connection, dead)
        gaps = await _gaps(connection, at)
    return Findings(marked, len(closed), gaps)


async def _mark(
    store: RecordStore,
    connection: AsyncConnection,
    at: datetime,
    since: datetime | None,
) -> int:
    """Calls that ended, as the witness says, and have no record at all."""
    home = sa.func.coalesce(call_members.c.call_id, witnessed_calls.c.call_id)
    query = (
        sa.select(witnessed_calls)
        .outerjoin(call_members, call_members.c.member == witnessed_calls.c.call_id)
        .outerjoin(calls, calls.c.call_id == home)
        .outerjoin(erasures, erasures.c.call_id == home)
        .where(
            witnessed_calls.c.ended_at
            < at - timedelta(seconds=WITNESS_PATIENCE_SECONDS),
            calls.c.call_id.is_(None),
            erasures.c.call_id.is_(None),
        )
        .limit(MOST_AT_A_TIME)
    )
    if since is not None:
        query = query.where(witnessed_calls.c.ended_at > since)
    rows = (await connection.execute(query)).all()
    for row in rows:
        await store.write(connection, witnessed_call(row), None)
    return len(rows)


def witnessed_call(row: Any) -> Call:
    """The record of a row of `witnessed_calls` that ended."""
    return witnessed(
        row.call_id,
        trunk=row.trunk,
        number=row.number or None,
        ani=row.ani or None,
        seen_at=row.seen_at,
        ended_at=row.ended_at,
        cause=row.cause,
    )


async def _dead(
    connection: AsyncConnection, at: datetime, since: datetime | None
) -> list[str]:
    """Calls to be folded anew. Open ones that the journal will never close: begun
    before Asterisk's last start, or their caller is gone, as the witness says. And
    those whose caller only the witness knows, which told of him later."""
    is_open = calls.c.state == State.OPEN.value
    boot = last_boot(at).scalar_subquery()
    cut_off = sa.select(calls.c.call_id).where(is_open, calls.c.started_at < boot)
    long_gone = (
        sa.select(calls.c.call_id)
        .join(witnessed_calls, witnessed_calls.c.call_id == calls.c.call_id)
        .where(
            is_open,
            witnessed_calls.c.ended_at
            < at - timedelta(seconds=WITNESS_PATIENCE_SECONDS),
        )
    )
    if since is not None:
        long_gone = long_gone.where(witnessed_calls.c.ended_at > since)
    nameless = (
        sa.select(calls.c.call_id)
        .join(witnessed_calls, witnessed_calls.c.call_id == calls.c.call_id)
        .where(
            calls.c.incomplete,
            calls.c.ani.is_(None),
            witnessed_calls.c.ani != "",
            witnessed_calls.c.ended_at > at - timedelta(seconds=NAMELESS_SECONDS),
        )
    )
    wanted = sa.union(cut_off, long_gone, nameless)
    rows = await connection.scalars(wanted.limit(MOST_AT_A_TIME))
    return list(rows)


async def _gaps(connection: AsyncConnection, at: datetime) -> tuple[str, ...]:
    rows = await connection.scalars(
        sa.select(witnessed_calls.c.call_id)
        .outerjoin(journal_lines, journal_lines.c.starts == witnessed_calls.c.call_id)
        .where(
            witnessed_calls.c.seen_at > at - timedelta(seconds=GAP_MEMORY_SECONDS),
            witnessed_calls.c.seen_at < at - timedelta(seconds=GAP_PATIENCE_SECONDS),
            journal_lines.c.id.is_(None),
        )
        .limit(MOST_AT_A_TIME)
    )
    return tuple(rows)
