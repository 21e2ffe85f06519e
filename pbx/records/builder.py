"""Groups of lines into tables, in one transaction of a store that was empty.

A group none of whose ids the tables know yet is written as it was folded. One that goes
on with a call already written is put down line by line, as the recorder would, and the
call is folded anew at the end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.review import Review
from pbx.records.base import now
from pbx.records.bulk import Bulk
from pbx.records.bulk_folding import CallRows, fold_chunk
from pbx.records.folding import invites_in, read_line
from pbx.records.grouping import Group, Groups, Placed
from pbx.records.invites import note_invites
from pbx.records.journal_files import JournalFiles
from pbx.records.ledger_tables import invites
from pbx.records.members import find_homes
from pbx.records.store import RecordStore
from pbx.records.tables import (
    call_members,
    calls,
    journal_lines,
    journal_offsets,
    outbox,
    reviews,
)

CHUNK = 200
"""Calls a worker folds at a time."""
_LINES_A_LOOK = 500
_LINE_COLUMNS = ("journal", "offset", "call_id", "starts", "raw")

Progress = Callable[[str, int, int], None]
"""What is being done, how much is done, of how much."""


@dataclass(slots=True)
class Built:
    """What was made."""

    lines: int = 0
    calls: int = 0
    late: int = 0
    """Calls whose lines were parted, folded anew at the end."""


@dataclass(frozen=True, slots=True)
class _Sheaf:
    """One call's lines, in the order in which they are folded."""

    call_id: str
    members: set[str]
    lines: list[Placed]


@dataclass(slots=True)
class Builder:
    """Fills the tables; `take` everything, then `finish`."""

    connection: AsyncConnection
    bulk: Bulk
    tell: Progress
    most_lines: int
    erased: frozenset[str] = frozenset()
    """Calls an earlier store had erased: none of their lines is taken."""
    built: Built = field(default_factory=Built)
    _late: set[str] = field(default_factory=set)
    _waiting: deque[tuple[list[_Sheaf], asyncio.Future[list[CallRows]]]] = field(
        default_factory=deque
    )

    async def take(
        self, files: JournalFiles, pool: Executor | None, *, most_waiting: int
    ) -> None:
        """Every line into a row, every call into a record."""
        total = files.bytes_in_all
        groups = Groups(self.most_lines)
        ready: list[Group] = []
        for count, line in enumerate(files.read(), 1):
            groups.add(line)
            if count % _LINES_A_LOOK == 0:
                ready += self._not_erased(groups.overflow())
                await self._keep_nameless(groups)
                while len(ready) >= CHUNK:
                    await self._fold(ready[:CHUNK], pool, most_waiting)
                    del ready[:CHUNK]
                    self.tell("calls", files.bytes_read, total)
        await self._keep_nameless(groups)
        for group in self._not_erased(groups.rest()):
            ready.append(group)
            if len(ready) >= CHUNK:
                await self._fold(ready, pool, most_waiting)
                ready = []
        await self._fold(ready, pool, most_waiting)
        while self._waiting:
            await self._write_next()
        self.tell("calls", total, total)

    def _not_erased(self, groups: Iterable[Group]) -> Iterator[Group]:
        return (g for g in groups if self.erased.isdisjoint(g.members))

    async def finish(self, files: JournalFiles) -> None:
        """Fold the parted calls anew; note how far the files are read."""
        store = RecordStore(self.connection.engine)
        late = sorted(self._late)
        for first in range(0, len(late), CHUNK):
            self.tell("parted calls", first, len(late))
            await store.refold(self.connection, late[first : first + CHUNK])
        self.built.late = len(late)
        at = now()
        await self.bulk.insert(
            journal_offsets,
            ("journal", "offset", "tail", "read_at"),
            [(j, p.offset, p.tail, at) for j, p in files.positions.items()],
        )

    async def _fold(
        self, groups: list[Group], pool: Executor | None, most_waiting: int
    ) -> None:
        sheaves = [_Sheaf(g.call_id, g.members, g.placed()) for g in groups]
        raw = [(s.call_id, tuple(line.raw for line in s.lines)) for s in sheaves]
        loop = asyncio.get_running_loop()
        if pool is None:
            told: asyncio.Future[list[CallRows]] = loop.create_future()
            told.set_result(fold_chunk(raw))
        else:
            told = loop.run_in_executor(pool, fold_chunk, raw)
        self._waiting.append((sheaves, told))
        while len(self._waiting) > most_waiting:
            await self._write_next()

    async def _write_next(self) -> None:
        sheaves, told = self._waiting.popleft()
        folded = await told
        known = await self._known(sheaves)
        whole: list[tuple[_Sheaf, CallRows]] = []
        for sheaf, rows in zip(sheaves, folded, strict=True):
            if known.isdisjoint(sheaf.members):
                whole.append((sheaf, rows))
                known |= sheaf.members
        await self._write_whole(whole)
        fresh = {id(sheaf) for sheaf, _ in whole}
        for sheaf in sheaves:
            if id(sheaf) not in fresh:
                await self._write_parted(sheaf)

    async def _known(self, sheaves: Iterable[_Sheaf]) -> set[str]:
        """Which of their ids the tables have already."""
        members = [member for sheaf in sheaves for member in sheaf.members]
        return set(
            await self.connection.scalars(
                sa.select(call_members.c.member).where(
                    call_members.c.member.in_(members)
                )
            )
        )

    async def _write_whole(self, whole: list[tuple[_Sheaf, CallRows]]) -> None:
        await self._lines(
            (line.journal, line.offset, sheaf.call_id, starts, line.raw)
            for sheaf, rows in whole
            for line, starts in zip(sheaf.lines, rows.starts, strict=True)
        )
        await self.bulk.insert(
            call_members,
            ("member", "call_id"),
            [(member, s.call_id) for s, _ in whole for member in s.members],
        )
        await self.bulk.insert(
            invites, ("channel", "at"), [i for _, rows in whole for i in rows.invites]
        )
        at = now()
        made = [row | {"written_at": at} for _, rows in whole for row in rows.calls]
        self.built.calls += len(made)
        await self._rows(calls, made)
        await self._rows(
            outbox,
            [
                {"call_id": r["call_id"], "revision": r["revision"], "written_at": at}
                for r in made
            ],
        )
        await self._rows(
            reviews,
            [
                rows.review | {"call_id": s.call_id, "review": Review.UNREVIEWED.value}
                for s, rows in whole
                if rows.review is not None
            ],
        )

    async def _write_parted(self, sheaf: _Sheaf) -> None:
        """Lines of a call the tables know already, written as the recorder does."""
        lines = [read_line(line.raw) for line in sheaf.lines]
        homes = await find_homes(self.connection, [line.members for line in lines])
        await self._lines(
            (at.journal, at.offset, homes[line.members[0]], line.starts, line.raw)
            for at, line in zip(sheaf.lines, lines, strict=True)
        )
        await note_invites(self.connection, invites_in(lines))
        self._late |= set(homes.values())

    async def _keep_nameless(self, groups: Groups) -> None:
        """Lines that name no call are kept as they are."""
        if groups.nameless:
            await self._lines(
                (line.journal, line.offset, None, None, line.raw)
                for line in groups.nameless
            )
            groups.nameless.clear()

    async def _lines(self, rows: Iterable[tuple[Any, ...]]) -> None:
        kept = list(rows)
        self.built.lines += len(kept)
        await self.bulk.insert(journal_lines, _LINE_COLUMNS, kept)

    async def _rows(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            columns = list(rows[0])
            await self.bulk.insert(
                table, columns, [tuple(row[c] for c in columns) for row in rows]
            )
