"""A store from nothing: journal files in, the tables the recorder would have written.

All or nothing: on PostgreSQL one transaction, on SQLite a file that gets its name when
it is whole. So Ctrl-C, or a power cut, leaves everything as it was.

One process reads, groups and writes, the others parse and fold. What is held in memory
does not grow with the journal. A call whose lines were parted (they lay a week of
Kediri apart) is folded anew at the end, by the recorder's own `refold`.
"""

from __future__ import annotations

import glob
import multiprocessing
import os
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.records.base import OUTBOX_LOCK
from pbx.records.builder import Builder, Built, Progress
from pbx.records.bulk import building_engine, bulk_for, drop_indexes, make_indexes
from pbx.records.bulk_folding import leave_the_end_to_the_parent
from pbx.records.database import migrate
from pbx.records.erased_calls import seal_again
from pbx.records.grouping import MOST_LINES
from pbx.records.journal_files import JournalFiles
from pbx.records.tables import calls, journal_lines, journal_offsets

_ALONE_BELOW_BYTES = 8 * 1024 * 1024
"""So much is folded here before other processes have started."""


class StoreInUseError(RuntimeError):
    """The store is not empty; says what to do."""


async def build_store(
    files: JournalFiles,
    url: str,
    tell: Progress = lambda *_: None,
    *,
    workers: int | None = None,
    most_lines: int = MOST_LINES,
    erased: frozenset[str] = frozenset(),
) -> Built:
    """Fold the files into the empty store at `url`; `workers` processes beside this one
    (None: one a core), `most_lines` held in memory. What an earlier store had `erased`
    stays out. Raises StoreInUseError, OSError, the drivers' errors; then nothing was
    changed."""
    total = files.bytes_in_all
    if workers is None:
        workers = 0 if total < _ALONE_BELOW_BYTES else len(os.sched_getaffinity(0))
    async with _empty_store(url) as connection:
        await connection.run_sync(drop_indexes)
        await seal_again(connection, erased)
        bulk = await bulk_for(connection)
        builder = Builder(connection, bulk, tell, most_lines, erased)
        pool = _pool(workers) if workers else None
        try:
            await builder.take(files, pool, most_waiting=2 * workers)
        finally:
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        tell("indexes", 0, 1)
        await connection.run_sync(make_indexes)
        await builder.finish(files)
        tell("indexes", 1, 1)
    return builder.built


def _pool(workers: int) -> Executor:
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=leave_the_end_to_the_parent,
    )


@asynccontextmanager
async def _empty_store(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction on a store with tables and no rows; kept only if all goes well."""
    made = make_url(url)
    final = None
    if made.get_backend_name() == "sqlite":
        final = Path(made.database or "")
        if final.exists():
            raise StoreInUseError(
                f"there is a store at {final} already; name another one with "
                "--database, or move that one away"
            )
        final.parent.mkdir(parents=True, exist_ok=True)
    scratch = final and final.with_name(f"{final.name}.building-{os.getpid()}")
    if final is not None:
        _remove_leftovers(final)
    engine = building_engine(made, scratch)
    try:
        await migrate(engine)
        async with engine.connect() as connection:
            await _must_be_empty(connection, url)
            yield connection
            await connection.commit()
        await engine.dispose()
        if scratch is not None and final is not None:
            _put_in_place(scratch, final)
    finally:
        await engine.dispose()
        if scratch is not None:
            with suppress(FileNotFoundError):
                scratch.unlink()


def _remove_leftovers(final: Path) -> None:
    """What those left behind who were killed (-9) while building: callers' data, which
    nobody would ever delete."""
    for path in final.parent.glob(f"{glob.escape(final.name)}.building-*"):
        pid = path.name.rpartition("-")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            path.unlink(missing_ok=True)


def _put_in_place(scratch: Path, final: Path) -> None:
    """On disk first, then under its name; never over one that came meanwhile."""
    for path in (scratch, scratch.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    try:
        os.link(scratch, final)
    except FileExistsError:
        raise StoreInUseError(
            f"{final} appeared meanwhile; stop the recorder first"
        ) from None


async def _must_be_empty(connection: AsyncConnection, url: str) -> None:
    if connection.dialect.name == "postgresql":
        # A recorder that runs waits until we have committed, then reads on from here.
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(OUTBOX_LOCK)))
    for table in (calls, journal_lines, journal_offsets):
        if (await connection.execute(sa.select(table).limit(1))).first() is not None:
            shown = make_url(url).render_as_string(hide_password=True)
            raise StoreInUseError(
                f"the store {shown} is not empty; name an empty one with --database"
            )
