"""Taking out what may not be kept any longer, so that nothing brings it back.

Whatever is taken out of a call, its raw lines go first and the call is *sealed*: the
recorder and the rebuild take no line of it in again, from whatever file, and fold it no
more. What is left is its last revision, which is announced like any other; a record
that is gone whole is announced too, so that consumers take theirs out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.masking import EVERYTHING, Class, erased
from pbx.model.numbers import without
from pbx.records.base import announce, now, upsert_into
from pbx.records.privacy_tables import erasures, legal_holds
from pbx.records.tables import (
    call_members,
    calls,
    journal_lines,
    review_marks,
    reviews,
    witnessed_calls,
)

AT_ONCE = 500
"""Calls named in one statement."""


# ---- what recorder and rebuild respect -----------------------------------------------


async def sealed_of(
    connection: AsyncConnection, call_ids: Collection[str]
) -> frozenset[str]:
    """Which of these take no line any more, and are folded no more."""
    found: set[str] = set()
    for some in _slices(call_ids):
        found.update(
            await connection.scalars(
                sa.select(erasures.c.call_id).where(erasures.c.call_id.in_(some))
            )
        )
    return frozenset(found)


async def held_of(
    connection: AsyncConnection, call_ids: Collection[str]
) -> frozenset[str]:
    """Which of these are under a legal hold."""
    found: set[str] = set()
    for some in _slices(call_ids):
        found.update(
            await connection.scalars(
                sa.select(legal_holds.c.call_id).where(legal_holds.c.call_id.in_(some))
            )
        )
    return frozenset(found)


async def family_of(connection: AsyncConnection, call_ids: Collection[str]) -> set[str]:
    """These, and what a transfer made one with them: the raw lines are the oldest's."""
    found = set(call_ids)
    for some in _slices(call_ids):
        roots = await connection.scalars(
            sa.select(calls.c.joined_into).where(
                calls.c.call_id.in_(some), calls.c.joined_into.is_not(None)
            )
        )
        found.update(root for root in roots if root is not None)
    for some in _slices(found):
        found.update(
            await connection.scalars(
                sa.select(calls.c.call_id).where(calls.c.joined_into.in_(some))
            )
        )
    return found


async def free_of(connection: AsyncConnection, call_ids: Collection[str]) -> set[str]:
    """These with their families, but for those under a legal hold.

    Ask in the transaction that takes them out, after `write_alone`: then no hold can
    come between.
    """
    family = await family_of(connection, call_ids)
    held = await held_of(connection, family)
    if not held:
        return family
    found: set[str] = set()
    for call_id in call_ids:
        family = await family_of(connection, [call_id])
        if not family & held:
            found |= family
    return found


# ---- taking out ----------------------------------------------------------------------


async def seal(
    connection: AsyncConnection, call_ids: Collection[str], *, rule: str
) -> int:
    """Take out the raw lines; the number of lines. The records stay as they are."""
    lines = 0
    for some in _slices(call_ids):
        await _note(connection, some, rule)
        gone = await connection.execute(
            sa.delete(journal_lines).where(journal_lines.c.call_id.in_(some))
        )
        lines += gone.rowcount
    return lines


async def blank(
    connection: AsyncConnection,
    call_ids: Collection[str],
    *,
    rule: str,
    classes: frozenset[Class] = EVERYTHING,
) -> None:
    """Seal, and take personal data of these classes out of records, review rows and
    what the second witness saw. Each record that changes gets a new revision."""
    await seal(connection, call_ids, rule=rule)
    at = now()
    for some in _slices(call_ids):
        for row in await _rows(connection, some):
            await _revise(connection, row, erased(row.record, classes), at)
        if Class.NOTES in classes:
            await _blank_notes(connection, some)
        if Class.PERSONAL in classes:
            await connection.execute(
                sa.update(witnessed_calls)
                .where(witnessed_calls.c.call_id.in_(some))
                .values(ani="")
            )
        await _mark(
            connection,
            some,
            notes_at=at if Class.NOTES in classes else None,
            personal_at=at if Class.PERSONAL in classes else None,
        )


async def blank_mentions(
    connection: AsyncConnection, call_ids: Collection[str], number: str, *, rule: str
) -> None:
    """Seal the calls of others, and take out each text that mentions the number."""
    await seal(connection, call_ids, rule=rule)
    at = now()
    for some in _slices(call_ids):
        for row in await _rows(connection, some):
            await _revise(connection, row, without(row.record, number), at)
        for table in (reviews, review_marks):
            (key,) = table.primary_key.columns
            rows = await connection.execute(
                sa.select(key.label("key"), table.c.note).where(
                    table.c.call_id.in_(some), table.c.note.is_not(None)
                )
            )
            for row in rows.all():
                await connection.execute(
                    sa.update(table)
                    .where(key == row.key)
                    .values(note=without(row.note, number))
                )


async def delete(
    connection: AsyncConnection, call_ids: Collection[str], *, rule: str
) -> None:
    """Take out whole records, and all that hangs on them; a last revision is announced
    for each, which has no record any more."""
    await seal(connection, call_ids, rule=rule)
    for some in _slices(call_ids):
        for row in await _rows(connection, some):
            await announce(connection, row.call_id, row.revision + 1)
        for table in (review_marks, reviews, witnessed_calls, calls):
            await connection.execute(sa.delete(table).where(table.c.call_id.in_(some)))
        # A line that comes late finds no home, gets its own name, and that is sealed.
        await connection.execute(
            sa.delete(call_members).where(call_members.c.call_id.in_(some))
        )
        await _mark(connection, some, record_at=now())


async def delete_reviews(
    connection: AsyncConnection, call_ids: Collection[str]
) -> None:
    """Take out rows of the review list, with their marks."""
    for some in _slices(call_ids):
        for table in (review_marks, reviews):
            await connection.execute(sa.delete(table).where(table.c.call_id.in_(some)))


# ---- parts ---------------------------------------------------------------------------


def _slices(call_ids: Iterable[str]) -> Iterable[Sequence[str]]:
    ids = list(call_ids)
    return [ids[i : i + AT_ONCE] for i in range(0, len(ids), AT_ONCE)]


async def _rows(connection: AsyncConnection, call_ids: Sequence[str]) -> Sequence[Any]:
    query = (
        sa.select(calls.c.call_id, calls.c.revision, calls.c.record)
        .where(calls.c.call_id.in_(call_ids))
        .order_by(calls.c.call_id)
        .with_for_update()  # the recorder may be writing them; SQLite has one writer
    )
    return (await connection.execute(query)).all()


async def _note(
    connection: AsyncConnection, call_ids: Sequence[str], rule: str
) -> None:
    insert = upsert_into(connection, erasures)
    at = now()
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["call_id"], set_={"rule": insert.excluded.rule}
        ),
        [{"call_id": i, "sealed_at": at, "rule": rule} for i in call_ids],
    )


async def _mark(
    connection: AsyncConnection, call_ids: Sequence[str], **times: datetime | None
) -> None:
    told = {name: at for name, at in times.items() if at is not None}
    if told:
        await connection.execute(
            sa.update(erasures).where(erasures.c.call_id.in_(call_ids)).values(**told)
        )


async def _revise(
    connection: AsyncConnection, row: Any, record: dict[str, Any], at: datetime
) -> None:
    if record == row.record:
        return
    revision = row.revision + 1
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    values = {
        "revision": revision,
        "record": record | {"revision": revision, "erased_at": time},
        "written_at": at,
    }
    if record.get("ani") != row.record.get("ani"):
        values["ani"] = None
    if record.get("number") != row.record.get("number"):
        values["number"] = None
    await connection.execute(
        sa.update(calls).where(calls.c.call_id == row.call_id).values(**values)
    )
    await announce(connection, row.call_id, revision)


async def _blank_notes(connection: AsyncConnection, call_ids: Sequence[str]) -> None:
    for table in (reviews, review_marks):
        await connection.execute(
            sa.update(table)
            .where(table.c.call_id.in_(call_ids), table.c.note.is_not(None))
            .values(note=None)
        )
