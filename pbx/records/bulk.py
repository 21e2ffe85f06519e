"""Many rows at once into an empty store: PostgreSQL's COPY, SQLite's executemany."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import sqlalchemy as sa
from sqlalchemy import URL, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from pbx.records.database import patient_engine
from pbx.records.ledger_tables import invites
from pbx.records.tables import calls, journal_lines, outbox, reviews

_LATER = (calls, journal_lines, outbox, reviews, invites)
"""Tables whose indexes are made when the rows are in."""
_AT_ONCE = "ix_journal_lines_call_id"
"""Needed meanwhile: by it, the lines of a call that goes on are found."""

Row = Sequence[Any]


class BulkError(SQLAlchemyError):
    """What the driver said: these rows pass SQLAlchemy by, its errors would too."""


class Bulk(Protocol):
    """Puts rows into a table, in the connection's transaction."""

    async def insert(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]
    ) -> None:
        """All of them, or BulkError."""


async def bulk_for(connection: AsyncConnection) -> Bulk:
    """The fastest way of this database."""
    raw = await connection.get_raw_connection()
    if connection.dialect.name == "postgresql":
        return _Copy(raw.driver_connection)
    return _ExecuteMany(raw.driver_connection)


class _Copy:
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def insert(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]
    ) -> None:
        try:
            await self._driver.copy_records_to_table(
                table.name, records=rows, columns=list(columns)
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise BulkError(f"{table.name}: {error}") from error


class _ExecuteMany:
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def insert(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]
    ) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" * len(columns))
        try:
            await self._driver.executemany(
                f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})',  # noqa: S608 — our own names
                _as_sqlite(table, columns, rows),
            )
        except sqlite3.Error as error:
            raise BulkError(f"{table.name}: {error}") from error


def _as_sqlite(
    table: sa.Table, columns: Sequence[str], rows: Sequence[Row]
) -> Iterable[Row]:
    """Times as SQLAlchemy writes them: UTC, without naming it, six decimals."""
    timed = {
        n
        for n, name in enumerate(columns)
        if isinstance(table.c[name].type, sa.TypeDecorator)
    }
    if not timed:
        return rows
    return [
        [_text(value) if n in timed else value for n, value in enumerate(row)]
        for row in rows
    ]


def _text(at: datetime | None) -> str | None:
    if at is None:
        return None
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def building_engine(url: URL, path: Path | None) -> AsyncEngine:
    """For PostgreSQL, patient; for SQLite the file at `path`, which nobody else knows
    and nobody misses after a crash: no journal, no fsync before the end."""
    if path is None:
        return patient_engine(url)
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", hide_parameters=True, poolclass=StaticPool
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=OFF")
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.execute("PRAGMA cache_size=-32768")  # 32 MB
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _began(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def drop_indexes(connection: sa.Connection) -> None:
    """Those that cost more to keep than to make."""
    for table in _LATER:
        for index in table.indexes:
            if index.name != _AT_ONCE:
                index.drop(connection)


def make_indexes(connection: sa.Connection) -> None:
    """What `drop_indexes` dropped."""
    for table in _LATER:
        for index in table.indexes:
            if index.name != _AT_ONCE:
                index.create(connection)
