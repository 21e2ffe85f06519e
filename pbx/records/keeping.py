"""Retention in the store: each class of data goes when its days are over.

Carried out by `gerbang control`, not by the recorder: a record must be readable two
seconds after its call, and nothing that can wait may stand in its way. So the work is
done in short transactions, each with its own certificate, and is stopped and begun anew
at any point. What a call is kept by is its start, and that of those a transfer made one
with it: the newest counts. A legal hold stops everything; it is looked for in the
transaction that takes out, and placed in one that waits for that (`write_alone`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.call import Direction
from pbx.model.category import Category, category_of
from pbx.model.masking import Class
from pbx.model.retention import Retention
from pbx.model.review import Review
from pbx.records import erasures
from pbx.records.base import write_alone
from pbx.records.certificates import Certificate, certificate, certify
from pbx.records.database import empty_wal
from pbx.records.privacy_tables import erasures as erased_table
from pbx.records.privacy_tables import legal_holds
from pbx.records.tables import calls, journal_lines, reviews

ACTOR = "retention"
AT_ONCE = 200
"""Calls a transaction; on SQLite the recorder waits meanwhile, some 50 ms."""
_BREATH_SECONDS = 0.05
"""Between two transactions, for whoever waits to write."""

TakeOut = Callable[[AsyncConnection, Collection[str], str], Any]


def cutoff(now: datetime, days: int) -> datetime:
    """Calls that began before have had their whole days (UTC), as kept audio."""
    day = now.astimezone(UTC).date() - timedelta(days=days)
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One class of data: which calls are due, and how it is taken out."""

    what: str
    setting: str
    is_due: sa.ColumnElement[bool]
    take_out: TakeOut
    wants: Callable[[Mapping[str, Any]], bool] | None = None
    """A look at the record, where the columns do not tell."""


def _is_ghost(record: Mapping[str, Any]) -> bool:
    return (
        record.get("direction") == Direction.INCOMING.value
        and category_of(record) is Category.GHOST
    )


async def _delete(connection: AsyncConnection, ids: Collection[str], rule: str) -> None:
    await erasures.delete(connection, ids, rule=rule)


async def _blank(connection: AsyncConnection, ids: Collection[str], rule: str) -> None:
    await erasures.blank(connection, ids, rule=rule)


async def _blank_notes(
    connection: AsyncConnection, ids: Collection[str], rule: str
) -> None:
    notes = frozenset({Class.NOTES})
    await erasures.blank(connection, ids, rule=rule, classes=notes)


async def _seal(connection: AsyncConnection, ids: Collection[str], rule: str) -> None:
    await erasures.seal(connection, ids, rule=rule)


_RULES = (
    _Rule("whole records", "record_days", sa.true(), _delete),
    _Rule("records of ghosts", "ghost_record_days", sa.true(), _delete, _is_ghost),
    _Rule("numbers", "number_days", erased_table.c.personal_at.is_(None), _blank),
    _Rule("notes", "note_days", erased_table.c.notes_at.is_(None), _blank_notes),
    _Rule("raw lines", "raw_line_days", erased_table.c.call_id.is_(None), _seal),
)
"""In this order: what goes whole needs no blanking before."""


async def carry_out(
    engine: AsyncEngine, retention: Retention, now: datetime, *, secrets: Path | None
) -> list[Certificate]:
    """Take out all that is due at `now`, a certificate each transaction.

    Raises SQLAlchemyError, OSError, AuditKeyError; what was done by then stands.
    """
    made: list[Certificate] = []
    for rule in _RULES:
        days = getattr(retention, rule.setting)
        until, told = cutoff(now, days), f"{rule.setting} = {days}"
        async for due in _due(engine, rule, until):
            async with engine.begin() as connection:
                await write_alone(connection)
                ids = await erasures.free_of(connection, due)
                if not ids:
                    continue
                await rule.take_out(connection, ids, told)
                done = certificate(rule.what, told, until, ids)
                await certify(connection, done, actor=ACTOR, secrets=secrets)
            made.append(done)
            await asyncio.sleep(_BREATH_SECONDS)
    made += await _reviews(engine, retention, now, secrets)
    made += await _stray_lines(engine, retention, now, secrets)
    if made:
        await empty_wal(engine)
    return made


async def _due(
    engine: AsyncEngine, rule: _Rule, until: datetime
) -> AsyncIterator[Sequence[str]]:
    """Calls that began before `until`, with their families, some at a time."""
    at: tuple[datetime, str] | None = None
    record = sa.null() if rule.wants is None else calls.c.record
    while True:
        query = (
            sa.select(calls.c.call_id, calls.c.started_at, record.label("record"))
            .outerjoin(erased_table, erased_table.c.call_id == calls.c.call_id)
            .where(
                calls.c.started_at < until,
                calls.c.joined_into.is_(None),
                rule.is_due,
            )
            .order_by(calls.c.started_at, calls.c.call_id)
            .limit(AT_ONCE)
        )
        if at is not None:
            query = query.where(
                calls.c.started_at >= at[0],
                sa.or_(calls.c.started_at > at[0], calls.c.call_id > at[1]),
            )
        async with engine.connect() as connection:
            rows = (await connection.execute(query)).all()
            wanted = [
                row.call_id
                for row in rows
                if rule.wants is None or rule.wants(row.record)
            ]
            young = await _young(connection, wanted, until)
        if ids := [call_id for call_id in wanted if call_id not in young]:
            yield ids
        if len(rows) < AT_ONCE:
            return
        at = (rows[-1].started_at, rows[-1].call_id)


async def _young(
    connection: AsyncConnection, ids: Collection[str], until: datetime
) -> set[str]:
    """Those that a call which began later is part of."""
    roots = await connection.scalars(
        sa.select(calls.c.joined_into).where(
            calls.c.joined_into.in_(ids), calls.c.started_at >= until
        )
    )
    return {root for root in roots if root is not None}


async def _reviews(
    engine: AsyncEngine, retention: Retention, now: datetime, secrets: Path | None
) -> list[Certificate]:
    """Rows of the review list, but for people nobody has answered for."""
    until = cutoff(now, retention.review_row_days)
    rule = f"review_row_days = {retention.review_row_days}"
    query = (
        sa.select(reviews.c.call_id)
        .where(
            reviews.c.at < until,
            sa.or_(
                reviews.c.review != Review.PERSON.value,
                reviews.c.acknowledged_at.is_not(None),
            ),
            reviews.c.call_id.not_in(sa.select(legal_holds.c.call_id)),
        )
        .order_by(reviews.c.at)
        .limit(AT_ONCE)
    )
    made: list[Certificate] = []
    while True:
        async with engine.begin() as connection:
            await write_alone(connection)  # no hold comes between look and deletion
            ids = list(await connection.scalars(query))
            if not ids:
                return made
            await erasures.delete_reviews(connection, ids)
            done = certificate("review rows", rule, until, ids)
            await certify(connection, done, actor=ACTOR, secrets=secrets)
        made.append(done)
        await asyncio.sleep(_BREATH_SECONDS)


async def _stray_lines(
    engine: AsyncEngine, retention: Retention, now: datetime, secrets: Path | None
) -> list[Certificate]:
    """Raw lines that belong to no call and came before the oldest that still does.

    They tell no time that could be trusted; but lines stand in the order they came.
    """
    until = cutoff(now, retention.raw_line_days)
    rule = f"raw_line_days = {retention.raw_line_days}"
    oldest = (
        sa.select(sa.func.min(journal_lines.c.id))
        .where(journal_lines.c.call_id.is_not(None))
        .scalar_subquery()
    )
    is_due = sa.and_(journal_lines.c.call_id.is_(None), journal_lines.c.id < oldest)
    async with engine.begin() as connection:
        ids = list(
            await connection.scalars(sa.select(journal_lines.c.id).where(is_due))
        )
        if not ids:
            return []
        await connection.execute(
            sa.delete(journal_lines).where(
                journal_lines.c.call_id.is_(None), journal_lines.c.id <= max(ids)
            )
        )
        done = certificate("stray lines", rule, until, map(str, ids))
        await certify(connection, done, actor=ACTOR, secrets=secrets)
    return [done]
