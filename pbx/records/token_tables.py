"""Who may read the feed: one row a token, never the token itself."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, String, Table, Text

from pbx.records.tables import Utc, metadata

feed_tokens = Table(
    "feed_tokens",
    metadata,
    Column("token_id", String(16), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("revoked_at", Utc),
    Column("last_used_at", Utc),
)
"""`token_id` stands in the token and finds its row; `scopes` has spaces between. A name
is never used again: the audit knows tokens by it. `last_used_at` is a minute late."""
