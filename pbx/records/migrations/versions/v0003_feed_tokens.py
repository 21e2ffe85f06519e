"""Tokens of the services that read the feed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pbx.records.tables import Utc

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "feed_tokens",
        sa.Column("token_id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False, unique=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("expires_at", Utc, nullable=False),
        sa.Column("revoked_at", Utc),
        sa.Column("last_used_at", Utc),
    )


def downgrade() -> None:
    """Drop it; every token is gone."""
    op.drop_table("feed_tokens")
