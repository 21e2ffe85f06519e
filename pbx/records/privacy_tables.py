"""What has been taken out of the store for good, and what must not be."""

from __future__ import annotations

import sqlalchemy as sa

from pbx.records.tables import Utc, metadata

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("call_id", sa.String(160), primary_key=True),
    sa.Column("sealed_at", Utc, nullable=False),
    sa.Column("notes_at", Utc),
    sa.Column("personal_at", Utc),
    sa.Column("record_at", Utc),
    sa.Column("rule", sa.Text, nullable=False),
)
"""One row a call whose raw lines are gone (`sealed_at`): its record is final. No line
of it is taken in again, wherever it is read, so nothing erased comes back. The other
times say what else is gone: notes, personal data, the whole record. `rule`: by which,
last. The row has no personal data and stays."""

legal_holds = sa.Table(
    "legal_holds",
    metadata,
    sa.Column("call_id", sa.String(160), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("held_by", sa.Text, nullable=False),
    sa.Column("at", Utc, nullable=False),
)
"""Calls nothing is deleted of, whatever the city declares or anybody asks."""
