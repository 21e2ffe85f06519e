"""The record store's tables: one set for SQLite and PostgreSQL.

A change here needs a migration in `migrations/versions/`; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

metadata = MetaData()

_COUNTED = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up only an INTEGER PRIMARY KEY."""


class Utc(TypeDecorator[datetime]):
    """Aware UTC times; SQLite, which keeps no zone, gets and gives them as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        """Refuse what names no zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} names no time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give back the zone SQLite dropped."""
        if value is None:
            return None
        at: datetime = value
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


calls = Table(
    "calls",
    metadata,
    Column("call_id", String(160), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("disposition", String(16), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("incomplete", Boolean, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("joined_into", String(160)),
    Column("started_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("last_event_at", Utc, nullable=False),
    Column("number", Text),
    Column("ani", Text),
    Column("queue", Text),
    Column("operator", Text),
    Column("verdict", Text),
    Column("reason", Text),
    Column("written_at", Utc, nullable=False),
    Column("record", JSON, nullable=False),
    Index("calls_by_start", "started_at", "call_id", "state", "joined_into"),
    Index(
        "calls_open",
        "started_at",
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)
"""One row a call; `record` is the whole of it, the columns are for finding it. A list
of a day and its count are read from `calls_by_start` alone."""

call_members = Table(
    "call_members",
    metadata,
    Column("member", String(160), primary_key=True),
    Column("call_id", String(160), nullable=False, index=True),
)
"""Every uniqueid and linkedid ever met → its call, transitively."""

journal_lines = Table(
    "journal_lines",
    metadata,
    Column("id", _COUNTED, primary_key=True, autoincrement=True),
    Column("journal", String(64), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("call_id", String(160), index=True),
    Column("starts", String(160), index=True),
    Column("raw", LargeBinary, nullable=False),
    UniqueConstraint("journal", "offset", name="journal_lines_once"),
)
"""The raw lines. `call_id` is null where a line names no call; `starts` is the uniqueid
if the line is a CHAN_START (the witness asks for it)."""

journal_offsets = Table(
    "journal_offsets",
    metadata,
    Column("journal", String(64), primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("tail", LargeBinary, nullable=False),
    Column("read_at", Utc, nullable=False),
)
"""How far each journal file has been read, and a hash of the bytes just before."""

outbox = Table(
    "outbox",
    metadata,
    Column("cursor", _COUNTED, primary_key=True, autoincrement=True),
    Column("call_id", String(160), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("written_at", Utc, nullable=False),
    UniqueConstraint("call_id", "revision", name="outbox_once"),
    sqlite_autoincrement=True,
)
"""What consumers have yet to hear of; a cursor is never used twice."""

witnessed_calls = Table(
    "witnessed_calls",
    metadata,
    Column("call_id", String(160), primary_key=True),
    Column("channel", Text, nullable=False),
    Column("trunk", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("ani", Text, nullable=False),
    Column("seen_at", Utc, nullable=False, index=True),
    Column("ended_at", Utc, index=True),
    Column("cause", Integer),
)
"""Trunk channels as the manager link saw them: the second witness."""

asterisk_boots = Table(
    "asterisk_boots", metadata, Column("started_at", Utc, primary_key=True)
)
"""When Asterisk started; calls left open by an earlier run died with it."""

reviews = Table(
    "reviews",
    metadata,
    Column("call_id", String(160), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("at", Utc, nullable=False),
    Column("ruling", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("because", Text, nullable=False),
    Column("confidence", Float),
    Column("audio", Text),
    Column("sha256", String(64)),
    Column("seconds", Float),
    Column("expires_at", Utc),
    Column("deleted_at", Utc),
    Column("review", String(16), nullable=False),
    Column("reviewer", Text),
    Column("reviewed_at", Utc),
    Column("note", Text),
    Column("acknowledged_by", Text),
    Column("acknowledged_at", Utc),
    Index("reviews_by_time", "at"),
    Index("reviews_by_review", "review"),
)
"""One row a call that was, or would have been, released. `audio` lies below the folder
of kept audio; it is null before it is found and after its days (`deleted_at`)."""

review_marks = Table(
    "review_marks",
    metadata,
    Column("id", _COUNTED, primary_key=True, autoincrement=True),
    Column("call_id", String(160), nullable=False, index=True),
    Column("review", String(16), nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("note", Text),
    Column("at", Utc, nullable=False),
)
"""Every word of every reviewer, also those another one took back."""
