"""Webhooks: who is told of changes, and how far each delivery came."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from pbx.records.tables import Utc, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("url", Text, nullable=False),
    Column("types", JSON, nullable=False),
    Column("personal", Boolean, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_secret_until", Utc),
    Column("cursor", BigInteger, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("disabled_at", Utc),
    Column("disabled_why", Text),
    sqlite_autoincrement=True,
)
"""One row a subscription; an id is never used again. `cursor`: all of the outbox up to
there has become deliveries. The secrets stand here whole: signing needs them."""

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("webhook", Integer, primary_key=True, autoincrement=False),
    Column("call_id", String(160), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("queued_at", Utc, nullable=False),
    Column("due_at", Utc, nullable=False),
    Column("tried_at", Utc),
    Column("status", Integer),
    Column("why", Text),
    Index("webhook_deliveries_due", "webhook", "state", "due_at"),
)
"""The newest revision of each call a subscription is to have: `pending`, `delivered` or
`dead`. One row a call, so a call's revisions never overtake one another."""
