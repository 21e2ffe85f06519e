"""Tables that prove the others: INVITEs, the hours' ledger, the nights' sweeps.

None of them holds a caller's number, so they outlive the records.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Date, Integer, String, Table

from pbx.records.tables import Utc, metadata

invites = Table(
    "invites",
    metadata,
    Column("channel", String(160), primary_key=True),
    Column("at", Utc, nullable=False, index=True),
)
"""Every INVITE on a trunk whose CHAN_START the journal has; written line by line, in
the transaction of the line, without the fold."""

ledger = Table(
    "ledger",
    metadata,
    Column("hour", Utc, primary_key=True),
    Column("journal", Integer, nullable=False),
    Column("witness", Integer, nullable=False),
    Column("invites", Integer, nullable=False),
    Column("records", Integer, nullable=False),
    Column("missing", JSON, nullable=False),
    Column("unseen", JSON, nullable=False),
    Column("is_final", Boolean, nullable=False),
    Column("checked_at", Utc, nullable=False),
)
"""One row an hour (its first moment, UTC): INVITEs the journal told of, those the
manager link saw, both together, and records; who is in the one and not in the other."""

sweeps = Table(
    "sweeps",
    metadata,
    Column("day", Date, primary_key=True),
    Column("swept_at", Utc, nullable=False),
    Column("differences", Integer, nullable=False),
    Column("report", JSON, nullable=False),
)
"""One row a day of the city: what the comparison of that night found."""
