"""Writing records: a batch of journal lines becomes calls, in one transaction.

Raw lines, refolded calls, outbox entries and the new offset are committed together, so
being killed at any moment loses and doubles nothing: either all of a batch happened, or
none, and then it is read again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.call import Call, State, as_record, unfolded
from pbx.model.events import (
    CallEnded,
    ChannelStarted,
    JournalEvent,
    UnreadableLineError,
    read_event,
)
from pbx.model.fold import fold
from pbx.records.base import announce, now, upsert_into
from pbx.records.journal import Batch, Position, RawLine
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

_log = logging.getLogger(__name__)

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
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, sa.exc.DBAPIError) and str(state)[:2] in _POISON_STATES


class StalePositionError(RuntimeError):
    """The store is not where the reader thinks: another recorder, or a commit whose
    answer was lost. Read the positions again."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a batch did."""

    lines: int
    unreadable: tuple[str, ...]
    """Why, one a line."""
    closed: tuple[str, ...]
    """Calls whose record is now closed and was not before."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A raw line and what could be made of it."""

    raw: RawLine
    event: JournalEvent | None
    channel: str
    linkedid: str
    why: str = ""

    @property
    def members(self) -> list[str]:
        """Its ids, the linkedid first."""
        return [i for i in (self.linkedid, self.channel) if i]


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
        lines = [_read(raw) for raw in batch.lines]
        async with self.engine.begin() as connection:
            await self._advance(connection, batch)
            homes = await find_homes(connection, [line.members for line in lines])
            await connection.execute(
                upsert_into(connection, journal_lines).on_conflict_do_nothing(),
                [_row(batch.journal, line, homes) for line in lines],
            )
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
                    _row(batch.journal, _Line(raw, None, "", ""), {})
                    for raw in batch.lines
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

        Returns the ids of those now closed that were not before.
        """
        if not call_ids:
            return []
        told = await self._lines_of(connection, call_ids)
        rebooted_at = await connection.scalar(
            sa.select(sa.func.max(asterisk_boots.c.started_at))
        )
        gone = await self._gone(connection, call_ids)
        rows = await connection.execute(
            sa.select(calls).where(calls.c.call_id.in_(call_ids))
        )
        known = {row.call_id: row for row in rows}
        closed = []
        for call_id, lines in told.items():
            call = _fold(call_id, lines, rebooted_at, gone.get(call_id))
            if call is None:
                continue
            was = known.get(call_id)
            is_new = await self.write(connection, call, was)
            if (
                is_new
                and call.state is State.CLOSED
                and (was is None or was.state != State.CLOSED.value)
            ):
                closed.append(call_id)
        return closed

    async def _lines_of(
        self, connection: AsyncConnection, call_ids: Collection[str]
    ) -> dict[str, list[bytes]]:
        rows = await connection.execute(
            sa.select(journal_lines.c.call_id, journal_lines.c.raw)
            .where(journal_lines.c.call_id.in_(call_ids))
            .order_by(journal_lines.c.id)
        )
        told: dict[str, list[bytes]] = {}
        for row in rows:
            told.setdefault(row.call_id, []).append(row.raw)
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

    async def write(self, connection: AsyncConnection, call: Call, was: Any) -> bool:
        """Write the call unless the store says the same already."""
        record = as_record(call)
        if was is not None and _same(was.record, record):
            return False
        revision = 1 if was is None else was.revision + 1
        values = _columns(call) | {
            "revision": revision,
            "record": {"revision": revision, "joined_into": None} | record,
            "written_at": now(),
        }
        if was is None:
            await connection.execute(sa.insert(calls).values(**values))
        else:
            await connection.execute(
                sa.update(calls).where(calls.c.call_id == call.call_id).values(**values)
            )
        await list_for_review(connection, call)
        await announce(connection, call.call_id, revision)
        return True


def _read(raw: RawLine) -> _Line:
    try:
        event = read_event(raw.raw)
    except UnreadableLineError as error:
        return _Line(raw, None, error.channel, error.linkedid, str(error))
    return _Line(raw, event, event.channel, event.linkedid)


def _row(journal: str, line: _Line, homes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "journal": journal,
        "offset": line.raw.offset,
        "call_id": homes[line.members[0]] if line.members else None,
        "starts": line.channel if isinstance(line.event, ChannelStarted) else None,
        "raw": line.raw.raw,
    }


def _fold(
    call_id: str,
    lines: Sequence[bytes],
    rebooted_at: datetime | None,
    gone_at: datetime | None,
) -> Call | None:
    """The record of these lines; None if not one of them can be read."""
    events: list[JournalEvent] = []
    unreadable = 0
    for raw in lines:
        try:
            events.append(read_event(raw))
        except UnreadableLineError:
            unreadable += 1
    if not events:
        return None
    try:
        call = fold(
            events, unreadable=unreadable, rebooted_at=rebooted_at, gone_at=gone_at
        )
        return replace(call, call_id=call_id)
    except Exception:  # noqa: BLE001 — a fault of ours must not stop the other calls' records
        _log.exception("call not folded", extra={"call_id": call_id})
        times = [event.at for event in events]
        return unfolded(
            call_id,
            started_at=min(times),
            last_event_at=max(times),
            is_over=gone_at is not None
            or (rebooted_at is not None and min(times) < rebooted_at)
            or any(isinstance(event, CallEnded) for event in events),
        )


def _same(stored: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    return all(stored.get(key) == value for key, value in record.items())


def _columns(call: Call) -> dict[str, Any]:
    return {
        "call_id": call.call_id,
        "state": call.state.value,
        "disposition": call.disposition.value,
        "direction": call.direction.value,
        "incomplete": call.incomplete,
        "truncated": call.truncated,
        "joined_into": None,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "last_event_at": call.last_event_at,
        "number": call.number,
        "ani": call.ani,
        "queue": call.queued[-1].queue if call.queued else None,
        "operator": call.operator,
        "verdict": call.verdict.verdict if call.verdict else None,
        "reason": call.verdict.reason if call.verdict else None,
    }
