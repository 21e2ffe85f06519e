"""Webhooks and their deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pbx.records.tables import Utc

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("types", sa.JSON, nullable=False),
        sa.Column("personal", sa.Boolean, nullable=False),
        sa.Column("private", sa.Boolean, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_secret_until", Utc),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("disabled_at", Utc),
        sa.Column("disabled_why", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("call_id", sa.String(160), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("queued_at", Utc, nullable=False),
        sa.Column("due_at", Utc, nullable=False),
        sa.Column("tried_at", Utc),
        sa.Column("status", sa.Integer),
        sa.Column("why", sa.Text),
    )
    op.create_index(
        "webhook_deliveries_due", "webhook_deliveries", ["webhook", "state", "due_at"]
    )


def downgrade() -> None:
    """Drop both; whoever was told before must subscribe again."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
