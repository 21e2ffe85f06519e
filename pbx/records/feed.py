"""Reading the outbox in its order, a day's calls, and single records.

The outbox's cursors become visible in the order of their commits (`announce` sees to
that), so whoever has read up to one has missed none before it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.model.call import Direction, State
from pbx.model.numbers import spellings
from pbx.records.tables import calls, outbox

_TEXT = sa.cast(calls.c.record, sa.Text)
"""A record as the store has it: most of them go out without being understood."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: a revision that no later one has replaced."""

    cursor: int
    call_id: str
    revision: int
    written_at: datetime
    text: str | None
    """The record as JSON, as it is now; None: it is no longer there."""

    @property
    def record(self) -> dict[str, Any] | None:
        """The record itself."""
        return None if self.text is None else json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Listed:
    """One call of a list."""

    call_id: str
    revision: int
    written_at: datetime
    started_at: datetime
    text: str
    """The record as JSON."""

    @property
    def record(self) -> dict[str, Any]:
        """The record itself."""
        record: dict[str, Any] = json.loads(self.text)
        return record


@dataclass(frozen=True, slots=True)
class WantedCalls:
    """Calls that began from `since` until before `until`, in that order."""

    since: datetime
    until: datetime | None = None
    dialled: str | None = None
    incoming_only: bool = False
    caller: str | None = None
    """The number the network asserts for the caller, in any of its spellings."""
    disposition: str | None = None
    state: str | None = None
    after: tuple[datetime, str] | None = None
    """Start and id of the last call of the page before."""


async def entries_after(
    engine: AsyncEngine, cursor: int, *, most: int, closed_only: bool = False
) -> list[Entry]:
    """What changed after `cursor`, each call once, by its newest revision, in order.

    A revision that a later one has replaced is passed over: the later one comes, with
    a higher cursor. With `closed_only`, calls that still go on are too.
    """
    newer = outbox.alias("newer")
    query = (
        sa.select(
            outbox.c.cursor,
            outbox.c.call_id,
            # Of a record that is newer than the entry by a moment: its own.
            sa.func.coalesce(calls.c.revision, outbox.c.revision),
            outbox.c.written_at,
            _TEXT,
        )
        .outerjoin(calls, calls.c.call_id == outbox.c.call_id)
        .where(
            outbox.c.cursor > cursor,
            ~sa.exists().where(
                newer.c.call_id == outbox.c.call_id,
                newer.c.revision > outbox.c.revision,
            ),
        )
        .order_by(outbox.c.cursor)
        .limit(most)
    )
    if closed_only:
        query = query.where(
            sa.or_(calls.c.state == State.CLOSED.value, calls.c.call_id.is_(None))
        )
    async with engine.connect() as connection:
        return [Entry(*row) for row in await connection.execute(query)]


async def listed_calls(
    engine: AsyncEngine, wanted: WantedCalls, *, most: int
) -> list[Listed]:
    """Calls by start and id, oldest first; those that became part of another one are
    left out."""
    query = sa.select(
        calls.c.call_id,
        calls.c.revision,
        calls.c.written_at,
        calls.c.started_at,
        _TEXT,
    ).where(calls.c.joined_into.is_(None), *_tests(wanted))
    query = query.order_by(calls.c.started_at, calls.c.call_id).limit(most)
    async with engine.connect() as connection:
        return [Listed(*row) for row in await connection.execute(query)]


async def one_call(engine: AsyncEngine, call_id: str) -> Listed | None:
    """One record as it is, also of a call that became part of another one."""
    query = sa.select(
        calls.c.call_id,
        calls.c.revision,
        calls.c.written_at,
        calls.c.started_at,
        _TEXT,
    ).where(calls.c.call_id == call_id)
    async with engine.connect() as connection:
        row = (await connection.execute(query)).one_or_none()
        return None if row is None else Listed(*row)


def _tests(wanted: WantedCalls) -> list[sa.ColumnElement[bool]]:
    tests: list[sa.ColumnElement[bool]] = [calls.c.started_at >= wanted.since]
    if wanted.until is not None:
        tests.append(calls.c.started_at < wanted.until)
    for column, value in (
        (calls.c.number, wanted.dialled),
        (calls.c.disposition, wanted.disposition),
        (calls.c.state, wanted.state),
    ):
        if value is not None:
            tests.append(column == value)
    if wanted.caller is not None:
        tests.append(calls.c.ani.in_(spellings(wanted.caller)))
    if wanted.incoming_only:
        tests.append(calls.c.direction == Direction.INCOMING.value)
    if wanted.after is not None:
        at, call_id = wanted.after
        tests.append(calls.c.started_at >= at)  # for the index
        tests.append(
            sa.or_(
                calls.c.started_at > at,
                sa.and_(calls.c.started_at == at, calls.c.call_id > call_id),
            )
        )
    return tests
