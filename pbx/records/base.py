"""What every writer of the store shares: its engine, its dialect, its outbox."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.records.database import is_current, migrate, open_engine
from pbx.records.tables import outbox


def now() -> datetime:
    """The wall clock, aware."""
    return datetime.now(UTC)


def upsert_into(connection: AsyncConnection, table: sa.Table) -> Any:
    """An INSERT that knows `on_conflict_do_…`, in the dialect of this connection."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


OPEN_DEADLINE_SECONDS = 20.0
"""To look at the schema. To change it may take as long as it takes."""

CHANNEL = "gerbang_calls"
"""PostgreSQL's notification channel; the payload is the newest cursor."""

OUTBOX_LOCK = 112_113
"""PostgreSQL's advisory lock that makes the order of cursors the order of commits."""


RECORDS_LOCK = 112_115
"""PostgreSQL's advisory lock of whoever writes records, held until commit."""


async def write_alone(connection: AsyncConnection) -> None:
    """First in a transaction that reads records in order to write them: nobody else
    does until it is committed. Else a line is taken in while its call is erased, and
    each writes over the other. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock(RECORDS_LOCK)
        await connection.execute(sa.select(lock))


async def announce(connection: AsyncConnection, call_id: str, revision: int) -> None:
    """Tell consumers that there is a new revision, in the transaction that writes it.

    A sequence counts up when it is asked, not at the commit. Of two writers the second
    could commit first, and who read the outbox then would pass over the first for ever.
    So on PostgreSQL writers of the outbox stand in line until they have committed.
    SQLite has one writer at a time anyway.
    """
    entry = sa.insert(outbox).values(
        call_id=call_id, revision=revision, written_at=now()
    )
    if connection.dialect.name != "postgresql":
        await connection.execute(entry)
        return
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(OUTBOX_LOCK)))
    written = entry.returning(outbox.c.cursor).cte("written")
    told = sa.func.pg_notify(CHANNEL, sa.cast(written.c.cursor, sa.Text))
    await connection.execute(sa.select(told))


class Store:
    """An open store."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and bring the schema up to date. Raises whatever the driver raises
        if the database is away; nothing is left open then."""
        engine = open_engine(url)
        try:
            async with asyncio.timeout(OPEN_DEADLINE_SECONDS):
                is_ours = await is_current(engine)
            if not is_ours:
                await migrate(engine)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()
