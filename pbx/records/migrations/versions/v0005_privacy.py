"""The audit, a chained row for everything done with callers' data; what was erased for
good; and calls of which nothing may be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pbx.records.tables import Utc

revision = "0005"
down_revision = "0004"

_ID = sa.String(160)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("at", Utc, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("call_id", _ID),
        sa.Column("subject", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("seconds", sa.Float),
        sa.Column("details", sa.Text),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
    )
    for column in ("at", "call_id", "subject"):
        op.create_index(f"ix_audit_{column}", "audit", [column])
    op.create_table(
        "erasures",
        sa.Column("call_id", _ID, primary_key=True),
        sa.Column("sealed_at", Utc, nullable=False),
        sa.Column("notes_at", Utc),
        sa.Column("personal_at", Utc),
        sa.Column("record_at", Utc),
        sa.Column("rule", sa.Text, nullable=False),
    )
    op.create_table(
        "legal_holds",
        sa.Column("call_id", _ID, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("held_by", sa.Text, nullable=False),
        sa.Column("at", Utc, nullable=False),
    )


def downgrade() -> None:
    """Drop them. Whoever does keeps a dump: what was erased stays erased, but a journal
    file read again would bring it back. The audit's anchors stay in their file."""
    op.drop_table("legal_holds")
    op.drop_table("erasures")
    op.drop_table("audit")
