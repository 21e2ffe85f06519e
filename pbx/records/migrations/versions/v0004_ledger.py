"""The ledger, sweeps, and indexes by which a day among ten million calls is found.

INVITEs there are already are read from the raw lines' CHAN_STARTs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pbx.records.folding import invites_in, read_line
from pbx.records.tables import Utc

revision = "0004"
down_revision = "0003"

_ID = sa.String(160)
_AT_A_TIME = 5000


def upgrade() -> None:
    """Make the tables, count the INVITEs, change the indexes."""
    invites = op.create_table(
        "invites",
        sa.Column("channel", _ID, primary_key=True),
        sa.Column("at", Utc, nullable=False),
    )
    op.create_index("ix_invites_at", "invites", ["at"])
    op.create_table(
        "ledger",
        sa.Column("hour", Utc, primary_key=True),
        sa.Column("journal", sa.Integer, nullable=False),
        sa.Column("witness", sa.Integer, nullable=False),
        sa.Column("invites", sa.Integer, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("missing", sa.JSON, nullable=False),
        sa.Column("unseen", sa.JSON, nullable=False),
        sa.Column("is_final", sa.Boolean, nullable=False),
        sa.Column("checked_at", Utc, nullable=False),
    )
    op.create_table(
        "sweeps",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("swept_at", Utc, nullable=False),
        sa.Column("differences", sa.Integer, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
    )
    op.drop_index("calls_by_start", "calls")
    op.drop_index("calls_by_state", "calls")
    op.create_index(
        "calls_by_start", "calls", ["started_at", "call_id", "state", "joined_into"]
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "calls_open",
        "calls",
        ["started_at"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    _count_invites(invites)


def _count_invites(invites: sa.Table) -> None:
    lines = sa.table(
        "journal_lines", sa.column("id"), sa.column("starts"), sa.column("raw")
    )
    connection = op.get_bind()
    seen: set[str] = set()
    last = 0
    while True:
        rows = connection.execute(
            sa.select(lines.c.id, lines.c.raw)
            .where(lines.c.id > last, lines.c.starts.is_not(None))
            .order_by(lines.c.id)
            .limit(_AT_A_TIME)
        ).all()
        if not rows:
            return
        last = rows[-1].id
        found = invites_in(read_line(row.raw) for row in rows)
        news = {i.channel: i.at for i in found if i.channel not in seen}
        seen |= news.keys()
        if news:
            connection.execute(
                invites.insert(), [{"channel": c, "at": at} for c, at in news.items()]
            )


def downgrade() -> None:
    """Drop the tables, bring the old indexes back."""
    op.drop_index("calls_open", "calls")
    op.drop_index("calls_by_start", "calls")
    op.create_index("calls_by_start", "calls", ["started_at"])
    op.create_index("calls_by_state", "calls", ["state"])
    op.drop_table("sweeps")
    op.drop_table("ledger")
    op.drop_table("invites")
