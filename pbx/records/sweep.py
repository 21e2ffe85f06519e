"""The nightly sweep: journal files, queue log and tables, compared for one day.

Nothing is mended here; every difference is told. What the recorder would mend in its
next second (a line just written) is left out: a sweep looks at days that are over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.call import State
from pbx.model.events import UnreadableLineError, read_event
from pbx.records.base import now, upsert_into
from pbx.records.database import must_be_current
from pbx.records.erasures import sealed_of
from pbx.records.grouping import Placed
from pbx.records.journal_files import JournalFiles, NoJournalError
from pbx.records.ledger import ledger_of
from pbx.records.ledger_tables import sweeps
from pbx.records.queue_log import begins_at, read_queue_log
from pbx.records.rebuild import differences
from pbx.records.store import RecordStore
from pbx.records.tables import call_members, calls, journal_lines

MOST_TOLD = 200
"""Differences told in full; all are counted."""
_LINES_AT_A_TIME = 400
_CALLS_AT_A_TIME = 200
_GENERATIONS = range(1, 4)
"""Of one file, beside the first; more in a night is no accident."""
_OPEN_AFTER = timedelta(hours=2)
"""A call of a day that is over may still be going on; not for this long."""


@dataclass(frozen=True, slots=True)
class Found:
    """One difference."""

    kind: str
    what: str
    """A call's id, or a file and the byte in it."""
    detail: str = ""


@dataclass(slots=True)
class Sweep:
    """What a sweep looked at, and what it found."""

    day: date
    files: int = 0
    lines: int = 0
    calls: int = 0
    waited: int | None = None
    """Callers in the queue log; None: there is none."""
    differences: int = 0
    told: list[Found] = field(default_factory=list)

    def tell(self, kind: str, what: str, detail: str = "") -> None:
        """Count a difference, and keep the first of them."""
        self.differences += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(Found(kind, what, detail))

    def as_json(self) -> dict[str, Any]:
        """For programs, and for the table."""
        return asdict(self) | {"day": self.day.isoformat()}


@dataclass(frozen=True, slots=True)
class Places:
    """Where a sweep looks."""

    journals: Path
    """The directory of Asterisk's journal."""
    notes: Path
    queue_log: Path
    """The directory it lies in."""


async def sweep(
    engine: AsyncEngine, day: date, zone: ZoneInfo, places: Places
) -> Sweep:
    """Compare one day of the city's. Raises OSError, OtherTablesError, the drivers'
    errors."""
    await must_be_current(engine)
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    found = Sweep(day)
    for directory in (places.journals, places.notes):
        await _sweep_files(engine, directory, begin, end, found)
    await _sweep_records(engine, begin, end, found)
    await _sweep_queue_log(engine, places.queue_log, begin, end, found)
    for hour in await ledger_of(engine, begin, end, now()):
        for call_id in hour.missing:
            found.tell("invite-without-record", call_id)
        for call_id in hour.unseen:
            found.tell("record-without-invite", call_id)
    return found


async def keep(engine: AsyncEngine, found: Sweep) -> None:
    """Write the day's row; a later sweep of the same day takes its place."""
    values = {
        "swept_at": now(),
        "differences": found.differences,
        "report": found.as_json(),
    }
    async with engine.begin() as connection:
        await connection.execute(
            upsert_into(connection, sweeps)
            .values(day=found.day, **values)
            .on_conflict_do_update(index_elements=["day"], set_=values)
        )


# ---- journal files: every line of that day is in the store, as it stands there -------


async def _sweep_files(
    engine: AsyncEngine, directory: Path, begin: datetime, end: datetime, found: Sweep
) -> None:
    try:
        files = JournalFiles.below(directory, passes_over=True)
    except NoJournalError:
        return
    found.files += len(files.asterisk) + len(files.notes)
    lines = (line for line in files.read() if _is_of(line.raw, begin, end))
    while some := await asyncio.to_thread(_take, lines):
        found.lines += len(some)
        async with engine.connect() as connection:
            await _compare_lines(connection, some, found)
    for path, why in (files.unreadable or {}).items():
        found.tell("file-unreadable", str(path), why)


def _take(lines: Iterable[Placed]) -> list[Placed]:
    return list(islice(lines, _LINES_AT_A_TIME))


def _is_of(raw: bytes, begin: datetime, end: datetime) -> bool:
    """Whether the line says it was written that day. What says nothing readable is
    told by the recorder's own alarm."""
    try:
        return begin <= read_event(raw).at < end
    except UnreadableLineError:
        return False


async def _compare_lines(
    connection: AsyncConnection, lines: Sequence[Placed], found: Sweep
) -> None:
    places = sa.tuple_(journal_lines.c.journal, journal_lines.c.offset)
    rows = await connection.execute(
        sa.select(
            journal_lines.c.journal, journal_lines.c.offset, journal_lines.c.raw
        ).where(places.in_([(line.journal, line.offset) for line in lines]))
    )
    stored = {(row.journal, row.offset): row.raw for row in rows}
    odd = [
        line for line in lines if stored.get((line.journal, line.offset)) != line.raw
    ]
    if odd:
        odd = await _never_read(connection, odd)
    if not odd:
        return
    ids = {line: read_event(line.raw).linkedid for line in odd}
    sealed = await _sealed(connection, set(ids.values()))
    for line in odd:
        if ids[line] not in sealed:
            is_there = (line.journal, line.offset) in stored
            kind = "line-differs" if is_there else "line-not-stored"
            found.tell(kind, f"{line.journal}:{line.offset}", ids[line])


async def _never_read(
    connection: AsyncConnection, odd: Sequence[Placed]
) -> list[Placed]:
    """Those that were not read later either: a file that lost its end, as by a power
    cut, and grew again is read anew as its next generation (`pbx.records.journal`)."""
    again = {
        (f"{line.journal.rpartition('.')[0]}.{generation}", line.offset): line
        for line in odd
        for generation in _GENERATIONS
    }
    rows = await connection.execute(
        sa.select(
            journal_lines.c.journal, journal_lines.c.offset, journal_lines.c.raw
        ).where(sa.tuple_(journal_lines.c.journal, journal_lines.c.offset).in_(again))
    )
    read = {
        line for row in rows if (line := again[row.journal, row.offset]).raw == row.raw
    }
    return [line for line in odd if line not in read]


async def _sealed(connection: AsyncConnection, ids: set[str]) -> set[str]:
    """Which of these lost their lines because the law, or the caller, asked for it."""
    rows = await connection.execute(
        sa.select(call_members).where(call_members.c.member.in_(ids))
    )
    homes = {row.member: row.call_id for row in rows}
    sealed = await sealed_of(connection, ids | set(homes.values()))
    return {i for i in ids if i in sealed or homes.get(i) in sealed}


# ---- records: each is what its lines say, and has ended ------------------------------


async def _sweep_records(
    engine: AsyncEngine, begin: datetime, end: datetime, found: Sweep
) -> None:
    store = RecordStore(engine)
    after = (begin.astimezone(UTC), "")
    while True:
        async with engine.connect() as connection:
            rows = (await connection.execute(_page(after, end))).all()
            if not rows:
                return
            after = (rows[-1].started_at, rows[-1].call_id)
            found.calls += len(rows)
            whole = [row.call_id for row in rows if row.joined_into is None]
            async for difference in differences(store, connection, whole):
                fields = ", ".join(difference.fields)
                found.tell("record-differs", difference.call_id, fields)
        for row in rows:
            if row.state == State.OPEN.value and row.started_at < now() - _OPEN_AFTER:
                found.tell("call-still-open", row.call_id, f"{row.started_at:%F %T}")


def _page(after: tuple[datetime, str], end: datetime) -> sa.Select[Any]:
    started, call_id = after
    return (
        sa.select(
            calls.c.call_id, calls.c.started_at, calls.c.state, calls.c.joined_into
        )
        .where(
            calls.c.started_at >= started,
            calls.c.started_at < end,
            sa.or_(calls.c.started_at > started, calls.c.call_id > call_id),
        )
        .order_by(calls.c.started_at, calls.c.call_id)
        .limit(_CALLS_AT_A_TIME)
    )


# ---- the queue log: who waited, and who was answered ---------------------------------


async def _sweep_queue_log(
    engine: AsyncEngine, directory: Path, begin: datetime, end: datetime, found: Sweep
) -> None:
    try:
        waited = await asyncio.to_thread(read_queue_log, directory, begin, end)
        since = await asyncio.to_thread(begins_at, directory)
    except OSError as error:
        found.tell("file-unreadable", str(directory), str(error))
        return
    if waited is None:
        return
    found.waited = len(waited)
    ids = sorted(waited)
    for first in range(0, len(ids), _CALLS_AT_A_TIME):
        some = ids[first : first + _CALLS_AT_A_TIME]
        async with engine.connect() as connection:
            records = await _records_of(connection, some)
        for call_id in some:
            record = records.get(call_id)
            if record is None:
                found.tell("queue-log-without-record", call_id)
            elif not record.get("queued"):
                found.tell("queue-log-differs", call_id, "waited, says the queue log")
            elif waited[call_id].connected and not record.get("connected_at"):
                found.tell("queue-log-differs", call_id, "an operator answered")
    if since is not None:
        await _sweep_unlogged(engine, max(begin, since), end, set(ids), found)


async def _records_of(
    connection: AsyncConnection, ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The record each of these channels belongs to; an erased one agrees."""
    rows = await connection.execute(
        sa.select(call_members.c.member, calls.c.record)
        .join(calls, calls.c.call_id == call_members.c.call_id)
        .where(call_members.c.member.in_(ids))
    )
    found = {row.member: row.record for row in rows}
    agreeing = {"queued": True, "connected_at": True}
    return found | dict.fromkeys(await _sealed(connection, set(ids)), agreeing)


async def _sweep_unlogged(
    engine: AsyncEngine, begin: datetime, end: datetime, logged: set[str], found: Sweep
) -> None:
    """Records that say a caller waited, of whom the queue log knows nothing. Who waited
    need not be the channel that names the call: a transfer may have made his part of
    an operator's own, older one."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            sa.select(calls.c.call_id, call_members.c.member)
            .outerjoin(call_members, call_members.c.call_id == calls.c.call_id)
            .where(
                calls.c.started_at >= begin,
                calls.c.started_at < end - timedelta(minutes=5),
                calls.c.queue.is_not(None),
                calls.c.joined_into.is_(None),
            )
        )
        known: dict[str, bool] = {}
        for call_id, member in rows:
            is_known = member in logged or call_id in logged
            known[call_id] = known.get(call_id, False) or is_known
    for call_id in (call_id for call_id, is_known in known.items() if not is_known):
        found.tell("queue-log-misses", call_id)
