"""The audit's table: who did what with whose data, chained."""

from __future__ import annotations

import sqlalchemy as sa

from pbx.records.tables import Utc, metadata

audit = sa.Table(
    "audit",
    metadata,
    sa.Column(
        "seq",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("at", Utc, nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("call_id", sa.String(160), index=True),
    sa.Column("subject", sa.String(64), index=True),
    sa.Column("reason", sa.Text),
    sa.Column("seconds", sa.Float),
    sa.Column("details", sa.Text),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("mac", sa.String(64), nullable=False),
)
"""One row an entry; `seq` counts from 1 without a gap, `previous` is the `mac` of the
row before. `subject` stands for a telephone number without being one (a keyed hash);
`details` is JSON text, kept as it was written."""
