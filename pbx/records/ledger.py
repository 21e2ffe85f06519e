"""The ledger: INVITEs on the trunks against records, hour by hour.

INVITEs are counted without any fold, from two sides: each CHAN_START of a trunk that
the journal tells of, as the recorder read it line by line, and each trunk channel the
manager link saw. Every one of them must have a record, and every incoming record must
be one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.call import Direction
from pbx.records.base import upsert_into
from pbx.records.ledger_tables import invites, ledger
from pbx.records.privacy_tables import erasures
from pbx.records.tables import call_members, calls, witnessed_calls

HOUR = timedelta(hours=1)
PATIENCE = timedelta(seconds=15)
"""A call's first line, the witness's note and the record are there long before."""
MOST_NAMED = 20
"""Calls named in one row."""
HOURS_AT_A_TIME = 24
_SURE_AFTER = HOUR
_GIVEN_UP_AFTER = timedelta(days=1)
"""Until then late lines, or the second witness, may still set an hour right."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour's row."""

    hour: datetime
    """Its first moment, UTC."""
    journal: int
    """INVITEs whose CHAN_START is in the journal."""
    witness: int
    """INVITEs the manager link saw."""
    invites: int
    """Both together, each once."""
    records: int
    """Records: of these INVITEs, and of nobody's."""
    missing: tuple[str, ...]
    """INVITEs without a record."""
    unseen: tuple[str, ...]
    """Records of incoming calls whose INVITE nobody saw."""

    @property
    def is_even(self) -> bool:
        """INVITEs = records."""
        return not self.missing and not self.unseen


def hour_of(at: datetime) -> datetime:
    """The hour's first moment, UTC."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


async def count_hour(
    connection: AsyncConnection, hour: datetime, now: datetime
) -> Hour:
    """Count one hour, up to a moment ago. A call whose data was erased counts as
    recorded: it was."""
    until = min(hour + HOUR, now - PATIENCE)
    told = sa.select(invites.c.channel.label("id")).where(
        invites.c.at >= hour, invites.c.at < until
    )
    seen = sa.select(witnessed_calls.c.call_id.label("id")).where(
        witnessed_calls.c.seen_at >= hour, witnessed_calls.c.seen_at < until
    )
    # One that both saw belongs to the hour the journal says.
    only_seen = seen.where(
        ~sa.exists().where(invites.c.channel == witnessed_calls.c.call_id)
    )
    all_of_them = sa.union(told, only_seen).subquery()
    missing = await connection.scalars(
        sa.select(all_of_them.c.id)
        .where(
            ~sa.exists().where(calls.c.call_id == all_of_them.c.id),
            ~sa.exists().where(
                call_members.c.member == all_of_them.c.id,
                calls.c.call_id == call_members.c.call_id,
            ),
            ~sa.exists().where(erasures.c.call_id == all_of_them.c.id),
        )
        .order_by(all_of_them.c.id)
    )
    unseen = await connection.scalars(
        sa.select(calls.c.call_id)
        .where(
            calls.c.started_at >= hour,
            calls.c.started_at < until,
            calls.c.direction == Direction.INCOMING.value,
            ~sa.exists().where(invites.c.channel == calls.c.call_id),
            ~sa.exists().where(witnessed_calls.c.call_id == calls.c.call_id),
        )
        .order_by(calls.c.call_id)
    )
    lost, strangers = tuple(missing), tuple(unseen)
    both = await _count(connection, all_of_them)
    return Hour(
        hour,
        journal=await _count(connection, told.subquery()),
        witness=await _count(connection, seen.subquery()),
        invites=both,
        records=both - len(lost) + len(strangers),
        missing=lost,
        unseen=strangers,
    )


async def _count(connection: AsyncConnection, what: Any) -> int:
    query = sa.select(sa.func.count()).select_from(what)
    return await connection.scalar(query) or 0


async def bring_up_to_date(engine: AsyncEngine, now: datetime) -> list[Hour]:
    """Count the hours that are not settled yet, at most a day of them at a time, and
    write them down. Returns those of the last day that do not add up."""
    async with engine.begin() as connection:
        for hour in await _unsettled(connection, now):
            counted = await count_hour(connection, hour, now)
            await _write(connection, counted, now)
    return await uneven(engine, now - _GIVEN_UP_AFTER)


async def uneven(engine: AsyncEngine, since: datetime) -> list[Hour]:
    """Hours since then that do not add up, as they are written down."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            sa.select(ledger)
            .where(ledger.c.hour >= hour_of(since))
            .order_by(ledger.c.hour)
        )
        hours = [_hour(row) for row in rows]
    return [hour for hour in hours if not hour.is_even]


async def _unsettled(connection: AsyncConnection, now: datetime) -> list[datetime]:
    """Hours to count: those open, then those never counted, the oldest first.

    A clock that went before the right time and was set back leaves hours behind that
    were counted before they were: those are open again.
    """
    open_ones = await connection.scalars(
        sa.select(ledger.c.hour)
        .where(
            sa.or_(ledger.c.is_final.is_(sa.false()), ledger.c.checked_at > now),
            ledger.c.hour <= now,
        )
        .order_by(ledger.c.hour)
    )
    hours = list(open_ones)
    newest = await connection.scalar(
        sa.select(sa.func.max(ledger.c.hour)).where(ledger.c.hour <= now)
    )
    following = await _next(connection, newest, now)
    while following is not None and following <= now:
        if len(hours) >= HOURS_AT_A_TIME + 25:  # a day that is still open, and one more
            break
        hours.append(following)
        following = await _next(connection, following, now)
    return hours


async def _next(
    connection: AsyncConnection, newest: datetime | None, now: datetime
) -> datetime | None:
    """The hour to count after `newest`. Hours long over in which nothing was are passed
    over: one line of a machine that woke up in 1970 would hold up the ledger for a
    week."""
    if newest is not None and newest + HOUR > now - _GIVEN_UP_AFTER:
        return newest + HOUR
    first = await _first(connection, newest and newest + HOUR)
    if newest is None:
        return first
    open_ones = hour_of(now - _GIVEN_UP_AFTER) + HOUR
    return min(first or open_ones, open_ones)


async def _first(
    connection: AsyncConnection, since: datetime | None = None
) -> datetime | None:
    """The hour of the first of all calls, or of the first one since then."""
    columns = (invites.c.at, witnessed_calls.c.seen_at, calls.c.started_at)
    first = [
        await connection.scalar(
            sa.select(sa.func.min(column)).where(
                sa.true() if since is None else column >= since
            )
        )
        for column in columns
    ]
    known = [at for at in first if at is not None]
    return hour_of(min(known)) if known else None


async def _write(connection: AsyncConnection, hour: Hour, now: datetime) -> None:
    age = now - (hour.hour + HOUR)
    values = {
        "journal": hour.journal,
        "witness": hour.witness,
        "invites": hour.invites,
        "records": hour.records,
        "missing": list(hour.missing[:MOST_NAMED]),
        "unseen": list(hour.unseen[:MOST_NAMED]),
        "is_final": age > (_SURE_AFTER if hour.is_even else _GIVEN_UP_AFTER),
        "checked_at": now,
    }
    await connection.execute(
        upsert_into(connection, ledger)
        .values(hour=hour.hour, **values)
        .on_conflict_do_update(index_elements=["hour"], set_=values)
    )


async def ledger_of(
    engine: AsyncEngine, begin: datetime, end: datetime, now: datetime
) -> list[Hour]:
    """The hours of [begin, end): settled ones as written down, the others counted now.
    Hours without any call are left out."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            sa.select(ledger).where(
                ledger.c.hour >= hour_of(begin),
                ledger.c.hour < end,
                ledger.c.is_final.is_(sa.true()),
                ledger.c.checked_at <= now,
            )
        )
        known = {row.hour: _hour(row) for row in rows}
        first = await _first(connection)
        if first is None:
            return []
        hours = []
        hour = max(hour_of(begin), first)
        while hour < min(end, now):
            counted = known.get(hour) or await count_hour(connection, hour, now)
            if counted.invites or counted.records:
                hours.append(counted)
            hour += HOUR
    return hours


def _hour(row: Any) -> Hour:
    return Hour(
        row.hour,
        row.journal,
        row.witness,
        row.invites,
        row.records,
        tuple(row.missing),
        tuple(row.unseen),
    )
