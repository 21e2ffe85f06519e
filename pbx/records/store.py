"""Writing records: a batch of journal lines becomes calls, in one transaction.

Raw lines, refolded calls, outbox entries and the new offset are committed together, so
being killed at any moment loses and doubles nothing: either all of a batch happened, or
none, and then it is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.call import Call, State
from pbx.records.base import announce, now, upsert_into, write_alone
from pbx.records.database import sqlstate
from pbx.records.erasures import sealed_of
from pbx.records.folding import (
    Folded,
    Line,
    columns_of,
    fold_lines,
    invites_in,
    is_nameless,
    is_same,
    named,
    read_line,
    record_of,
)
from pbx.records.invites import note_invites
from pbx.records.journal import Batch, Position, RawLine, is_notes
from pbx.records.members import find_homes
from pbx.records.review_rows import list_for_review
from pbx.records.tables import (
    asterisk_boots,
    calls,
    journal_lines,
    journal_offsets,
    witnessed_calls,
)
from pbx.records.witness import WitnessStore

WITNESS_PATIENCE_SECONDS = 5.0
"""How long after a witnessed end the journal may still tell of it."""


POISON = (
    sa.exc.DataError,
    sa.exc.IntegrityError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
)
"""What storing raises when the fault is in the lines, or ours, not the database's."""

_POISON_STATES = ("22", "23", "54")
"""PostgreSQL's SQLSTATE classes for data it refuses, constraints, limits of a row."""


def is_poison(error: BaseException) -> bool:
    """Whether to store the same lines again would fail again.

    For asyncpg SQLAlchemy knows no DataError: what PostgreSQL refuses arrives as a bare
    DBAPIError that only its SQLSTATE tells from a server that is away.
    """
    if isinstance(error, POISON):
        return True
    return (
        isinstance(error, sa.exc.DBAPIError) and sqlstate(error)[:2] in _POISON_STATES
    )


def last_boot(at: datetime) -> sa.Select[Any]:
    """When Asterisk last started. One that starts before the clock is set right may
    have done so later than now; until then it says nothing of what came before."""
    boot = asterisk_boots.c.started_at
    return sa.select(sa.func.max(boot)).where(boot <= at)


class StalePositionError(RuntimeError):
    """The store is not where the reader thinks: another recorder, another writer of
    the same record, or a commit whose answer was lost. Read the positions again."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a batch did."""

    lines: int
    unreadable: tuple[str, ...]
    """Why, one a line."""
    closed: tuple[str, ...]
    """Calls whose record is now closed and was not before."""


class RecordStore(WitnessStore):
    """The part of the store the recorder writes."""

    # ---- the journal ----------------------------------------------------------------

    async def positions(self) -> dict[str, Position]:
        """How far each journal file has been read."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(sa.select(journal_offsets))
            return {r.journal: Position(r.offset, r.tail) for r in rows}

    async def record(self, batch: Batch) -> Recorded:
        """Store a batch whole. Raises StalePositionError, or the driver's errors."""
        lines = [read_line(raw.raw) for raw in batch.lines]
        async with self.engine.begin() as connection:
            await write_alone(connection)
            await self._advance(connection, batch)
            homes = await find_homes(connection, [line.members for line in lines])
            sealed = await sealed_of(connection, set(homes.values()))
            rows = [
                _row(batch.journal, at, line, homes)
                for at, line in zip(batch.lines, lines, strict=True)
            ]
            if taken := [row for row in rows if row["call_id"] not in sealed]:
                await connection.execute(
                    upsert_into(connection, journal_lines).on_conflict_do_nothing(),
                    taken,
                )
            await note_invites(connection, invites_in(lines))
            closed = await self.refold(connection, set(homes.values()))
        return Recorded(
            len(lines), tuple(line.why for line in lines if line.why), tuple(closed)
        )

    async def keep(self, batch: Batch, *, why: str) -> Recorded:
        """Store the lines as they are and fold nothing: the last resort for what
        cannot be stored otherwise."""
        async with self.engine.begin() as connection:
            await self._advance(connection, batch)
            await connection.execute(
                upsert_into(connection, journal_lines).on_conflict_do_nothing(),
                [
                    _row(batch.journal, at, Line(at.raw, None, "", ""), {})
                    for at in batch.lines
                ],
            )
        return Recorded(len(batch.lines), (why,) * len(batch.lines), ())

    async def _advance(self, connection: AsyncConnection, batch: Batch) -> None:
        values = {
            "offset": batch.after.offset,
            "tail": batch.after.tail,
            "read_at": now(),
        }
        mine = journal_offsets.c.journal == batch.journal
        if batch.before is None:
            done = await connection.execute(
                upsert_into(connection, journal_offsets)
                .values(journal=batch.journal, **values)
                .on_conflict_do_nothing()
            )
        else:
            done = await connection.execute(
                sa.update(journal_offsets)
                .where(mine, journal_offsets.c.offset == batch.before.offset)
                .values(**values)
            )
        if done.rowcount != 1:
            raise StalePositionError(batch.journal)

    # ---- folding --------------------------------------------------------------------

    async def refold(
        self, connection: AsyncConnection, call_ids: Collection[str]
    ) -> list[str]:
        """Fold these calls anew from all their lines; write those that changed.

        Those that are sealed (`pbx.records.erasures`) stay as they are. Returns the ids
        of those now closed that were not before.
        """
        call_ids = set(call_ids) - await sealed_of(connection, call_ids)
        if not call_ids:
            return []
        rows = await connection.execute(
            sa.select(calls).where(calls.c.call_id.in_(call_ids))
        )
        known = {row.call_id: row for row in rows}
        closed = []
        for folded in await self.fold_stored(connection, call_ids):
            call, was = folded.call, known.get(folded.call.call_id)
            is_new = await self.write(connection, call, was)
            if (
                is_new
                and call.state is State.CLOSED
                and (was is None or was.state != State.CLOSED.value)
            ):
                closed.append(call.call_id)
            if folded.joined:
                await self._write_joined(connection, folded)
        return closed

    async def fold_stored(
        self, connection: AsyncConnection, call_ids: Collection[str]
    ) -> list[Folded]:
        """These calls as their raw lines tell them; writes nothing."""
        told = await self._lines_of(connection, call_ids)
        rebooted_at = await connection.scalar(last_boot(now()))
        gone = await self._gone(connection, call_ids)
        folded = (
            fold_lines(
                call_id, lines, rebooted_at=rebooted_at, gone_at=gone.get(call_id)
            )
            for call_id, lines in told.items()
        )
        return await self._completed(connection, [f for f in folded if f is not None])

    async def _completed(
        self, connection: AsyncConnection, folded: list[Folded]
    ) -> list[Folded]:
        """Whose first lines are lost, the witness may still know who called."""
        nameless = [f.call.call_id for f in folded if is_nameless(f.call)]
        if not nameless:
            return folded
        rows = await connection.execute(
            sa.select(witnessed_calls).where(witnessed_calls.c.call_id.in_(nameless))
        )
        seen = {row.call_id: row for row in rows}
        return [
            replace(f, call=named(f.call, row.trunk, row.number, row.ani))
            if (row := seen.get(f.call.call_id))
            else f
            for f in folded
        ]

    async def _lines_of(
        self, connection: AsyncConnection, call_ids: Collection[str]
    ) -> dict[str, list[Line]]:
        """Each call's lines: Asterisk's in their order, then our own processes'. Which
        of the two journals was read first must not show in a record."""
        rows = await connection.execute(
            sa.select(
                journal_lines.c.call_id, journal_lines.c.journal, journal_lines.c.raw
            )
            .where(journal_lines.c.call_id.in_(call_ids))
            .order_by(journal_lines.c.id)
        )
        told: dict[str, list[Line]] = {}
        notes: dict[str, list[Line]] = {}
        for row in rows:
            mine = notes if is_notes(row.journal) else told
            mine.setdefault(row.call_id, []).append(read_line(row.raw))
        for call_id, lines in notes.items():
            told.setdefault(call_id, []).extend(lines)
        return told

    async def _gone(
        self, connection: AsyncConnection, call_ids: Collection[str]
    ) -> dict[str, datetime]:
        """Which of these the witness saw end, long enough ago."""
        rows = await connection.execute(
            sa.select(witnessed_calls.c.call_id, witnessed_calls.c.ended_at).where(
                witnessed_calls.c.call_id.in_(call_ids),
                witnessed_calls.c.ended_at.is_not(None),
            )
        )
        at = now()
        return {
            row.call_id: row.ended_at
            for row in rows
            if (at - row.ended_at).total_seconds() > WITNESS_PATIENCE_SECONDS
        }

    async def _write_joined(self, connection: AsyncConnection, folded: Folded) -> None:
        """The rows of those that became part of this call."""
        ids = [part.call_id for part in folded.joined]
        rows = await connection.execute(
            sa.select(calls).where(calls.c.call_id.in_(ids))
        )
        known = {row.call_id: row for row in rows}
        for part in folded.joined:
            await self.write(
                connection, part, known.get(part.call_id), folded.call.call_id
            )

    async def write(
        self,
        connection: AsyncConnection,
        call: Call,
        was: Any,
        joined_into: str | None = None,
    ) -> bool:
        """Write the call unless the store says the same already."""
        if was is not None and is_same(was.record, record_of(call, joined_into)):
            return False
        await self.rewrite(connection, call, was, joined_into)
        return True

    async def rewrite(
        self,
        connection: AsyncConnection,
        call: Call,
        was: Any,
        joined_into: str | None = None,
    ) -> None:
        """Write the next revision after `was`, whatever that says. Raises
        StalePositionError if the store has another one by now."""
        record = record_of(call, joined_into)
        revision = 1 if was is None else was.revision + 1
        values = columns_of(call, joined_into) | {
            "revision": revision,
            "record": {"revision": revision} | record,
            "written_at": now(),
        }
        if was is None:
            written = await connection.execute(
                upsert_into(connection, calls).values(**values).on_conflict_do_nothing()
            )
        else:
            written = await connection.execute(
                sa.update(calls)
                .where(
                    calls.c.call_id == call.call_id, calls.c.revision == was.revision
                )
                .values(**values)
            )
        if written.rowcount != 1:
            raise StalePositionError(f"{call.call_id}: written by somebody else")
        if joined_into is None:
            await list_for_review(connection, call)
        await announce(connection, call.call_id, revision)


def _row(
    journal: str, at: RawLine, line: Line, homes: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "journal": journal,
        "offset": at.offset,
        "call_id": homes[line.members[0]] if line.members else None,
        "starts": line.starts,
        "raw": line.raw,
    }
