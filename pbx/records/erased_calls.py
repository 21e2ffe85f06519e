"""Which calls were erased at a person's request, outside the database as well.

A store may be lost and made anew from journal files that are still there. By this list
(`var/secrets/erased.calls`, a call's id a line) what was erased before stays out of it.
Retention needs no list: what is over its time goes again the next night.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.records.base import now, upsert_into
from pbx.records.privacy_tables import erasures
from pbx.settings import Settings

RULE = "erased from an earlier store"
_AT_ONCE = 500


def file_of(secrets: Path | None) -> Path:
    """The list in that folder; None: where the settings say."""
    folder = secrets if secrets is not None else Settings().secrets
    return folder / "erased.calls"


def remember(secrets: Path | None, call_ids: Iterable[str]) -> None:
    """Add calls whose erasure is committed. Raises OSError."""
    path = file_of(secrets)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, "".join(f"{i}\n" for i in sorted(call_ids)).encode())
    finally:
        os.close(descriptor)


def remembered(secrets: Path | None) -> frozenset[str]:
    """All of them; none without a list. Raises OSError."""
    try:
        return frozenset(file_of(secrets).read_text().split())
    except FileNotFoundError:
        return frozenset()


async def seal_again(connection: AsyncConnection, call_ids: Iterable[str]) -> None:
    """Tell a new store what was erased before it was made."""
    ids, at = sorted(call_ids), now()
    for first in range(0, len(ids), _AT_ONCE):
        await connection.execute(
            upsert_into(connection, erasures).on_conflict_do_nothing(),
            [
                {"call_id": i, "sealed_at": at, "rule": RULE}
                for i in ids[first : first + _AT_ONCE]
            ],
        )
