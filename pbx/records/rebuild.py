"""Every record computed anew from what the store was told, and compared bit for bit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.call import Call
from pbx.records.base import write_alone
from pbx.records.database import must_be_current
from pbx.records.erasures import sealed_of
from pbx.records.folding import columns_of, record_of
from pbx.records.reconcile import witnessed_call
from pbx.records.store import RecordStore
from pbx.records.tables import call_members, calls, witnessed_calls

AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that is not what its lines say."""

    call_id: str
    fields: tuple[str, ...]
    """Which; empty: there is no record at all."""

    def __str__(self) -> str:
        if not self.fields:
            return f"{self.call_id}: has lines and no record"
        return f"{self.call_id}: {', '.join(self.fields)}"


@dataclass(slots=True)
class Looked:
    """How many calls were looked at."""

    compared: int = 0
    sealed: int = 0
    """Not compared: their lines were taken out for good."""


Tell = Callable[[str, int, int], None]


async def compare(
    engine: AsyncEngine,
    tell: Tell = lambda *_: None,
    *,
    mends: bool,
    looked: Looked | None = None,
) -> AsyncIterator[Difference]:
    """What differs, call by call; with `mends` each gets a new revision, 200 calls a
    transaction. A record without lines and without a witness is left alone: its lines
    were deleted, as the city's retention asks. Raises OtherTablesError."""
    await must_be_current(engine)
    store = RecordStore(engine)
    async with engine.connect() as connection:
        total = await connection.scalar(sa.select(sa.func.count()).select_from(calls))
    done, last = 0, ""
    while True:
        async with engine.connect() as connection:
            if mends:
                await write_alone(connection)
            ids = await _next_ids(connection, last)
            if not ids:
                return
            last = ids[-1]
            if looked is not None:
                sealed = len(await sealed_of(connection, ids))
                looked.sealed += sealed
                looked.compared += len(ids) - sealed
            different = [d async for d in differences(store, connection, ids)]
            if mends:
                await _mend(store, connection, [d.call_id for d in different])
                await connection.commit()
        for difference in different:
            yield difference
        done += len(ids)
        tell("records compared", done, max(total or 0, done))


async def differences(
    store: RecordStore, connection: AsyncConnection, ids: Collection[str]
) -> AsyncIterator[Difference]:
    """Which of these calls' records, or of those joined to them, are not as told."""
    ids = set(ids) - await sealed_of(connection, ids)
    told = await _as_told(store, connection, ids)
    rows = await connection.execute(sa.select(calls).where(calls.c.call_id.in_(told)))
    known = {row.call_id: row for row in rows}
    for call_id, (call, joined_into) in sorted(told.items()):
        row = known.get(call_id)
        if row is None:
            yield Difference(call_id, ())
        elif fields := _differing(row, call, joined_into):
            yield Difference(call_id, fields)


async def _next_ids(connection: AsyncConnection, last: str) -> list[str]:
    """Calls by their rows, and by their lines should they have no row."""
    by_row = sa.select(calls.c.call_id).where(
        calls.c.call_id > last, calls.c.joined_into.is_(None)
    )
    by_line = sa.select(call_members.c.call_id).where(call_members.c.call_id > last)
    both = [
        q.distinct().order_by("call_id").limit(AT_A_TIME) for q in (by_row, by_line)
    ]
    found: set[str] = set()
    for query in both:
        found |= set(await connection.scalars(query))
    return sorted(found)[:AT_A_TIME]


async def _as_told(
    store: RecordStore, connection: AsyncConnection, ids: Collection[str]
) -> dict[str, tuple[Call, str | None]]:
    told: dict[str, tuple[Call, str | None]] = {}
    ids = set(ids) - await sealed_of(connection, ids)
    for folded in await store.fold_stored(connection, ids):
        told[folded.call.call_id] = (folded.call, None)
        for part in folded.joined:
            told[part.call_id] = (part, folded.call.call_id)
    seen = await connection.execute(
        sa.select(witnessed_calls).where(
            witnessed_calls.c.call_id.in_(ids - told.keys()),
            witnessed_calls.c.ended_at.is_not(None),
        )
    )
    for row in seen:
        told[row.call_id] = (witnessed_call(row), None)
    return told


def _differing(row: Any, call: Call, joined_into: str | None) -> tuple[str, ...]:
    record = {"revision": row.revision} | record_of(call, joined_into)
    stored = row.record
    fields = [
        key
        for key in sorted(record.keys() | stored.keys())
        if key not in record or key not in stored or record[key] != stored[key]
    ]
    if not fields and json.dumps(stored) != json.dumps(record):
        fields = ["order of fields"]
    columns = columns_of(call, joined_into)
    fields += [
        f"column {c}" for c, value in columns.items() if getattr(row, c) != value
    ]
    return tuple(fields)


async def _mend(
    store: RecordStore, connection: AsyncConnection, ids: Collection[str]
) -> None:
    homes = set(
        await connection.scalars(
            sa.select(call_members.c.call_id).where(call_members.c.member.in_(ids))
        )
    )
    rows = await connection.execute(sa.select(calls).where(calls.c.call_id.in_(ids)))
    known = {row.call_id: row for row in rows}
    told = await _as_told(store, connection, homes | set(ids))
    for call_id in ids:
        if call_id not in told:
            continue  # sealed since it was compared
        call, joined_into = told[call_id]
        await store.rewrite(connection, call, known.get(call_id), joined_into)
