"""Reviews of releases, and every mark ever made. Releases there are already get a row,
without audio: none was kept of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pbx.records.tables import Utc

revision = "0002"
down_revision = "0001"

_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ID = sa.String(160)


def upgrade() -> None:
    """Make the tables and list what was released so far."""
    op.create_table(
        "reviews",
        sa.Column("call_id", _ID, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", Utc, nullable=False),
        sa.Column("ruling", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("because", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float),
        sa.Column("audio", sa.Text),
        sa.Column("sha256", sa.String(64)),
        sa.Column("seconds", sa.Float),
        sa.Column("expires_at", Utc),
        sa.Column("deleted_at", Utc),
        sa.Column("review", sa.String(16), nullable=False),
        sa.Column("reviewer", sa.Text),
        sa.Column("reviewed_at", Utc),
        sa.Column("note", sa.Text),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("acknowledged_at", Utc),
    )
    op.create_index("reviews_by_time", "reviews", ["at"])
    op.create_index("reviews_by_review", "reviews", ["review"])
    op.create_table(
        "review_marks",
        sa.Column("id", _COUNTED, primary_key=True, autoincrement=True),
        sa.Column("call_id", _ID, nullable=False),
        sa.Column("review", sa.String(16), nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("at", Utc, nullable=False),
    )
    op.create_index("ix_review_marks_call_id", "review_marks", ["call_id"])
    op.execute(
        "INSERT INTO reviews (call_id, kind, at, ruling, reason, because, review) "
        "SELECT call_id, 'released', started_at, 'release', "
        "substr(coalesce(reason, ''), 1, 32), '', 'unreviewed' FROM calls "
        "WHERE state = 'closed' AND disposition = 'released' AND joined_into IS NULL"
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("review_marks")
    op.drop_table("reviews")
