"""The first tables: calls, raw lines, offsets, outbox, the second witness."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pbx.records.tables import Utc

revision = "0001"
down_revision = None

_COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ID = sa.String(160)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "calls",
        sa.Column("call_id", _ID, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("disposition", sa.String(16), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("incomplete", sa.Boolean, nullable=False),
        sa.Column("truncated", sa.Boolean, nullable=False),
        sa.Column("joined_into", _ID),
        sa.Column("started_at", Utc, nullable=False),
        sa.Column("ended_at", Utc),
        sa.Column("last_event_at", Utc, nullable=False),
        sa.Column("number", sa.Text),
        sa.Column("ani", sa.Text),
        sa.Column("queue", sa.Text),
        sa.Column("operator", sa.Text),
        sa.Column("verdict", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("written_at", Utc, nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_index("calls_by_start", "calls", ["started_at"])
    op.create_index("calls_by_state", "calls", ["state"])
    op.create_table(
        "call_members",
        sa.Column("member", _ID, primary_key=True),
        sa.Column("call_id", _ID, nullable=False),
    )
    op.create_index("ix_call_members_call_id", "call_members", ["call_id"])
    op.create_table(
        "journal_lines",
        sa.Column("id", _COUNTED, primary_key=True, autoincrement=True),
        sa.Column("journal", sa.String(64), nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("call_id", _ID),
        sa.Column("starts", _ID),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("journal", "offset", name="journal_lines_once"),
    )
    op.create_index("ix_journal_lines_call_id", "journal_lines", ["call_id"])
    op.create_index("ix_journal_lines_starts", "journal_lines", ["starts"])
    op.create_table(
        "journal_offsets",
        sa.Column("journal", sa.String(64), primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("tail", sa.LargeBinary, nullable=False),
        sa.Column("read_at", Utc, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("cursor", _COUNTED, primary_key=True, autoincrement=True),
        sa.Column("call_id", _ID, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("written_at", Utc, nullable=False),
        sa.UniqueConstraint("call_id", "revision", name="outbox_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "witnessed_calls",
        sa.Column("call_id", _ID, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("trunk", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("ani", sa.Text, nullable=False),
        sa.Column("seen_at", Utc, nullable=False),
        sa.Column("ended_at", Utc),
        sa.Column("cause", sa.Integer),
    )
    op.create_index("ix_witnessed_calls_seen_at", "witnessed_calls", ["seen_at"])
    op.create_index("ix_witnessed_calls_ended_at", "witnessed_calls", ["ended_at"])
    op.create_table("asterisk_boots", sa.Column("started_at", Utc, primary_key=True))


def downgrade() -> None:
    """Drop them all."""
    for table in (
        "asterisk_boots",
        "witnessed_calls",
        "outbox",
        "journal_offsets",
        "journal_lines",
        "call_members",
        "calls",
    ):
        op.drop_table(table)
