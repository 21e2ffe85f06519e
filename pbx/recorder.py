"""The recorder: two journals → records, for as long as the process lives.

Asterisk's journal tells of calls; our own processes add in theirs what Asterisk cannot
know (`pbx.notes`: holds, wrap-up, the operator's word).


Nothing that happens here may end it. The journal waits on disk while the database is
away; a line nobody understands is kept as it is; what the journal did not tell is made
up for by the second witness. Alarms say so in words.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from pbx.records import erased_calls
from pbx.records.base import now
from pbx.records.database import explain
from pbx.records.journal import MAX_BATCH_LINES, NOTES, Batch, Journal
from pbx.records.proofs import Proofs
from pbx.records.reconcile import reconcile
from pbx.records.store import Recorded, RecordStore, StalePositionError, is_poison
from pbx.status import Status

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often the journal is looked at when it is quiet."""
CHECK_SECONDS = 1.0
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 5.0
STORE_DEADLINE_SECONDS = 20.0
"""Longer than any wait inside the store: only a hang beneath it gets here."""
LEAST_FREE_BYTES = 1024 * 1024
"""Below this the journal's file system counts as full: some 2,000 lines are left."""
_DAY_SECONDS = 86_400.0
_UNREADABLE_STANDS_SECONDS = 600.0


class Recorder:
    """One recorder. `run` returns after `stop`, with the batch in hand stored."""

    def __init__(
        self,
        journal_path: Path,
        database_url: str,
        status: Status,
        notes_path: Path | None = None,
        proofs: Proofs | None = None,
        secrets: Path | None = None,
    ) -> None:
        """`secrets`: the folder with the list of erased calls; None: where the
        settings say."""
        self.proofs = proofs
        self.secrets = secrets
        self.journal_path = journal_path
        self.database_url = database_url
        self.status = status
        self._stop = asyncio.Event()
        self._store: RecordStore | None = None
        self._journals = [Journal(journal_path, {})]
        if notes_path is not None:
            self._journals.append(Journal(notes_path, {}, NOTES))
        self._unreadable: set[Path] = set()
        self._most_lines = MAX_BATCH_LINES
        self._is_writable = True
        self._unreadable_until = 0.0
        self._checked_whole = False
        self._next_check = 0.0
        self._next_look = 0.0
        self._told = ""

    def stop(self) -> None:
        """Finish the batch in hand, then return from `run`."""
        self._stop.set()

    async def run(self) -> None:
        """Record until stopped."""
        retry = FIRST_RETRY_SECONDS
        while not self._stop.is_set():
            self._look_around()
            try:
                is_busy = await self._work()
            except StalePositionError as error:
                _log.warning("journal position is not what the store says: %s", error)
                await self._let_go()
                is_busy, retry = False, FIRST_RETRY_SECONDS
            except Exception as error:  # noqa: BLE001 — disk or database: try again
                self._complain(error)
                await self._let_go()
                await self._rest(retry)
                retry = min(retry * 2, LONGEST_RETRY_SECONDS)
                continue
            retry = FIRST_RETRY_SECONDS
            if not is_busy:
                await self._rest(POLL_SECONDS)
        if self.proofs is not None:
            await self.proofs.close()
        await self._let_go()
        self.status.write()

    def _look_around(self) -> None:
        """Once a second, busy or not: can Asterisk write? And say how we are."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + CHECK_SECONDS
            self._watch_disk()
            self.status.write()

    async def _rest(self, seconds: float) -> None:
        """Sleep, but no longer than until `stop`."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _work(self) -> bool:
        """One step; whether there is more to do at once."""
        store = await self._open_store()
        is_busy = False
        for journal in self._journals:
            batch = await self._read(journal)
            if batch is not None:
                recorded = await self._record(store, batch)
                journal.advance(batch)
                self._note(batch, recorded)
                is_busy = True
        if not is_busy and time.monotonic() >= self._next_check:
            await self._check(store)
        return is_busy

    async def _open_store(self) -> RecordStore:
        if self._store is None:
            self._store = await RecordStore.open(self.database_url)
            async with asyncio.timeout(STORE_DEADLINE_SECONDS):
                await self._leave_out_the_erased(self._store)
                positions = await self._store.positions()
                for journal in self._journals:
                    journal.reset(positions)
            self._checked_whole = False
            self.status.clear_alarm("database-unreachable")
            self._told = ""
            _log.info("record store open")
        return self._store

    async def _leave_out_the_erased(self, store: RecordStore) -> None:
        """A store that was lost is made anew from the journal: not those calls. If
        their list cannot be read, a store that has read nothing yet must wait."""
        try:
            agreed = await erased_calls.agree(store.engine, self.secrets)
        except erased_calls.ErasedListError as error:
            self.status.raise_alarm("erased-list-unusable", f"{error}.")
            if await erased_calls.is_new(store.engine):
                raise
            return
        self.status.clear_alarm("erased-list-unusable")
        if agreed.sealed:
            _log.warning("%d calls erased earlier are left out", agreed.sealed)
        if agreed.whole:
            _log.warning(
                "%d calls of %s stand in the store unerased: after a backup was "
                "restored, or an erasure broken off, repeat `gerbang privacy erase`",
                agreed.whole,
                erased_calls.file_of(self.secrets),
            )

    async def _let_go(self) -> None:
        """Drop what may be half done; the next step begins from what is stored."""
        for journal in self._journals:
            journal.close()
        store, self._store = self._store, None
        if store is not None:
            try:
                async with asyncio.timeout(2):
                    await store.close()
            except Exception as error:  # noqa: BLE001 — dead ones may die loudly
                _log.debug("closing the store: %r", error)

    async def _read(self, journal: Journal) -> Batch | None:
        try:
            batch = await asyncio.to_thread(journal.read, self._most_lines)
        except OSError as error:
            journal.close()
            self._unreadable.add(journal.path)
            self.status.raise_alarm(
                "journal-unreadable",
                f"The journal {journal.path} cannot be read ({error}). Calls go "
                "on; their records wait. Check the disk and the file's owner.",
            )
            return None
        self._unreadable.discard(journal.path)
        self._tell_passed_over()
        if not self._unreadable:
            self.status.clear_alarm("journal-unreadable")
        return batch

    def _tell_passed_over(self) -> None:
        """Rotated files that cannot be read; the alarm stands as long as they do."""
        passed = {p: e for j in self._journals for p, e in j.unreadable.items()}
        if not passed:
            self.status.clear_alarm("journal-file-unreadable")
            return
        path, error = next(iter(passed.items()))
        self.status.raise_alarm(
            "journal-file-unreadable",
            f"The rotated journal file {path} cannot be read ({error}). What came "
            "after it is recorded all the same; calls told of in it alone have no "
            "record, or one marked incomplete, until it can be. Check the disk and the "
            "file's owner; if it is no journal, move it away.",
        )

    async def _record(self, store: RecordStore, batch: Batch) -> Recorded:
        """Store the batch. If something in it cannot be stored, halve it until the
        one poisoned line is alone, and keep that as it is."""
        try:
            async with asyncio.timeout(STORE_DEADLINE_SECONDS):
                recorded = await store.record(batch)
        except Exception as error:
            if not is_poison(error):
                raise
            if len(batch.lines) > 1:
                self._most_lines = len(batch.lines) // 2
                raise StalePositionError(f"poisoned batch halved: {error!r}") from error
            _log.exception("line kept as it is")
            async with asyncio.timeout(STORE_DEADLINE_SECONDS):
                recorded = await store.keep(batch, why=repr(error)[:200])
        self._most_lines = min(self._most_lines * 2, MAX_BATCH_LINES)
        return recorded

    def _note(self, batch: Batch, recorded: Recorded) -> None:
        figures = self.status.figures
        figures["lines"] = figures.get("lines", 0) + recorded.lines
        figures["calls_closed"] = figures.get("calls_closed", 0) + len(recorded.closed)
        for call_id in recorded.closed:
            _log.info("record closed", extra={"call_id": call_id})
        if recorded.unreadable:
            figures["unreadable_lines"] = figures.get("unreadable_lines", 0) + len(
                recorded.unreadable
            )
            self._unreadable_until = time.monotonic() + _UNREADABLE_STANDS_SECONDS
            self.status.raise_alarm(
                "journal-unreadable-line",
                f"A line of the journal could not be understood "
                f"({recorded.unreadable[0]}; {batch.journal} near byte "
                f"{batch.lines[0].offset}). It is kept as it is in journal_lines; "
                "records it belongs to are marked incomplete. Report it as a fault.",
            )

    async def _check(self, store: RecordStore) -> None:
        """Once a second, when the journal is read: ask the second witness."""
        self._next_check = time.monotonic() + CHECK_SECONDS
        async with asyncio.timeout(STORE_DEADLINE_SECONDS):
            found = await reconcile(
                store,
                now(),
                within_seconds=_DAY_SECONDS if self._checked_whole else None,
            )
        self._checked_whole = found.marked == 0 and found.closed == 0
        if found.marked:
            _log.error("%d calls got a record marked incomplete", found.marked)
        if found.gaps:
            self.status.raise_alarm(
                "journal-gap",
                f"{len(found.gaps)} calls of the last minute are not in the journal, "
                f"first {found.gaps[0]}. They are served, and get records marked "
                "incomplete. Check Asterisk's log directory, its disk and cel_custom.",
            )
        elif self._is_writable:
            self.status.clear_alarm("journal-gap")
        if time.monotonic() > self._unreadable_until:
            self.status.clear_alarm("journal-unreadable-line")
        if self.proofs is not None:
            async with asyncio.timeout(STORE_DEADLINE_SECONDS):
                await self.proofs.look(store.engine)

    def _watch_disk(self) -> None:
        """Asterisk itself loses lines in silence; so we look where it writes."""
        why = _why_unwritable(self.journal_path)
        self._is_writable = why is None
        if why is None:
            self.status.clear_alarm("journal-unwritable")
        else:
            self.status.raise_alarm(
                "journal-unwritable",
                f"Asterisk cannot write its journal: {why}. Calls are served; those "
                "the journal misses get records marked incomplete. Make room, or "
                f"make the directory {self.journal_path.parent} again.",
            )

    def _complain(self, error: Exception) -> None:
        if isinstance(error, erased_calls.ErasedListError):
            return  # its own alarm stands
        self.status.raise_alarm(
            "database-unreachable",
            "The record store does not take records. Calls are served and the journal "
            f"waits on disk, nothing is lost. {type(error).__name__}: "
            f"{explain(error)}.",
        )
        why = f"{type(error).__name__}: {explain(error)}"
        if why == self._told:
            return  # tried again every few seconds; the alarm stands
        self._told = why
        is_ours = not isinstance(
            error, OSError | TimeoutError | SQLAlchemyError | CommandError
        )
        _log.warning("store: %s", why, exc_info=error if is_ours else None)


def _why_unwritable(journal: Path) -> str | None:
    directory = journal.parent
    try:
        if not directory.is_dir():
            return f"there is no directory {directory}"
        room = os.statvfs(directory)
    except OSError as error:
        return str(error)
    if room.f_bavail * room.f_frsize < LEAST_FREE_BYTES:
        return f"the disk under {directory} is full"
    if room.f_favail == 0 and room.f_files:
        return f"no file can be made under {directory} (no inodes left)"
    return None
