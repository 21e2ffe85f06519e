"""Which calls were erased at a person's request, outside the database as well.

A store may be lost and made anew from journal files that are still there. By this list
(`var/secrets/erased.calls`, a call's id a line) what was erased before stays out of it,
whoever makes the store: the recorder when it opens one, or `gerbang records rebuild`.
Retention needs no list: what is over its time goes again the next night.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.records.base import now, upsert_into
from pbx.records.erasures import sealed_of
from pbx.records.privacy_tables import erasures
from pbx.records.private_files import append
from pbx.records.tables import calls, journal_offsets
from pbx.settings import Settings

REQUEST = "request"
"""The rule of what a person asked for."""
RULE = "erased from an earlier store"
_AT_ONCE = 500


class ErasedListError(RuntimeError):
    """The list cannot be used; the text says the cure."""


def file_of(secrets: Path | None) -> Path:
    """The list in that folder; None: where the settings say."""
    folder = secrets if secrets is not None else Settings().secrets
    return folder / "erased.calls"


def remember(secrets: Path | None, call_ids: Iterable[str]) -> None:
    """Add calls that are about to be erased; on disk when this returns.

    Before the commit: an id too many keeps nothing out that is in the store already,
    one too few brings a person back. Raises OSError.
    """
    # The line feed before: another one's line may be torn by a full disk.
    told = "".join(f"{i}\n" for i in sorted(call_ids))
    append(file_of(secrets), f"\n{told}", is_synced=True)


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


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was done so that store and list say the same."""

    sealed: int = 0
    """Calls the store did not know of, and takes no line of."""
    listed: int = 0
    """Calls the list did not know of."""
    whole: int = 0
    """Calls of the list that stand in the store unerased: it came from a backup, or an
    erasure was broken off. They are left as they are."""


async def agree(engine: AsyncEngine, secrets: Path | None) -> Agreed:
    """Before a line is read: the store learns what the list knows, and the other way.

    Raises ErasedListError if the list cannot be read or written, the driver's errors.
    """
    with _curable(secrets):
        known = remembered(secrets)
    async with engine.begin() as connection:
        there = await _whole(connection, known)
        missing = known - there - await sealed_of(connection, known)
        await seal_again(connection, missing)
        asked = await connection.scalars(
            sa.select(erasures.c.call_id).where(erasures.c.rule.in_((REQUEST, RULE)))
        )
        unlisted = set(asked) - known
    if unlisted:
        with _curable(secrets):
            remember(secrets, unlisted)
    return Agreed(len(missing), len(unlisted), len(there))


@contextmanager
def _curable(secrets: Path | None) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise ErasedListError(
            f"{file_of(secrets)}: {error}. It lists calls erased at a person's "
            "request; without it a new store would bring them back. Give it, and its "
            "folder, to the user who runs us, and make room on its disk"
        ) from error


async def is_new(engine: AsyncEngine) -> bool:
    """Whether no journal has been read into this store yet."""
    async with engine.connect() as connection:
        found = await connection.execute(sa.select(journal_offsets.c.journal).limit(1))
        return found.first() is None


async def _whole(connection: AsyncConnection, call_ids: frozenset[str]) -> set[str]:
    """Which of these have a record and are not sealed."""
    found: set[str] = set()
    ids = sorted(call_ids)
    for first in range(0, len(ids), _AT_ONCE):
        found.update(
            await connection.scalars(
                sa.select(calls.c.call_id)
                .outerjoin(erasures, erasures.c.call_id == calls.c.call_id)
                .where(
                    calls.c.call_id.in_(ids[first : first + _AT_ONCE]),
                    erasures.c.call_id.is_(None),
                )
            )
        )
    return found
