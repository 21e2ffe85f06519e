"""How far a journal is read: no more the text before that point, a few bytes of its
hash. It held what callers said and survived their erasure."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_offsets = sa.table(
    "journal_offsets",
    sa.column("journal", sa.String),
    sa.column("offset", sa.BigInteger),
    sa.column("tail", sa.LargeBinary),
)
_WINDOW, _BYTES = 64, 3
"""As in pbx/records/journal.py at this revision."""


def upgrade() -> None:
    """Hash each, so that no file is taken for another and read again."""
    for row in op.get_bind().execute(sa.select(_offsets)).all():
        is_whole = len(row.tail) == min(_WINDOW, row.offset)
        _put(
            row.journal, hashlib.sha256(row.tail).digest()[:_BYTES] if is_whole else b""
        )


def downgrade() -> None:
    """Nothing to compare with: each file counts as the one it was, until it is read
    on."""
    for row in op.get_bind().execute(sa.select(_offsets)).all():
        _put(row.journal, b"")


def _put(journal: str, tail: bytes) -> None:
    op.get_bind().execute(
        sa.update(_offsets).where(_offsets.c.journal == journal).values(tail=tail)
    )
