"""How fast the recorder writes, into both stores."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import asyncpg

from pbx.records.journal import MAX_BATCH_LINES, Batch
from pbx.records.store import RecordStore
from tests.bench.figures import Figure, median_of, ratio
from tests.bench.months import batches, lines_of, synthesize
from tests.bench.row import Bench, Result, Row
from tests.postgres import Postgres, own_server

LINES = 8_000
ROUNDS = 3
_TABLE = (
    "CREATE TABLE line (journal text, at bigint, raw {bytes}, UNIQUE (journal, at))"
)
_Write = Callable[[list[Batch], int], Awaitable[None]]


async def measure(bench: Bench) -> Result:
    """The same batches into fresh stores, ours and bare tables in turn."""
    bench.tell("a month of journal", 0.0)
    lines = lines_of(await synthesize(bench.scratch), 800 if bench.quick else LINES)
    told = batches(lines, MAX_BATCH_LINES)
    with own_server() as server:
        writers = _writers(bench.scratch, server)
        rates: dict[str, list[float]] = {name: [] for name in writers}
        for turn in range(1 if bench.quick else ROUNDS):
            for name, write in writers.items():
                bench.tell(f"{name}, round {turn + 1}", turn / ROUNDS)
                begin = time.monotonic()
                await write(told, turn)
                rates[name].append(len(lines) / (time.monotonic() - begin))
    return Result(
        tuple(_figures(rates)),
        (
            f"{len(lines):,} lines in batches of {MAX_BATCH_LINES}, a commit each",
            "PostgreSQL runs with fsync=off, as tests have it; SQLite with "
            "synchronous=FULL",
        ),
    )


def _figures(rates: dict[str, list[float]]) -> list[Figure]:
    figures = [median_of(name, each, "lines/s") for name, each in rates.items()]
    return figures + [
        ratio(
            f"{kind}: recorder : bare table",
            rates[f"{kind}, recorder"],
            rates[f"{kind}, bare table"],
        )
        for kind in ("SQLite", "PostgreSQL")
    ]


def _writers(scratch: Path, server: Postgres) -> dict[str, _Write]:
    async def ours_sqlite(told: list[Batch], turn: int) -> None:
        await _record(f"sqlite+aiosqlite:///{scratch}/ours-{turn}.sqlite3", told)

    async def bare_sqlite(told: list[Batch], turn: int) -> None:
        with closing(sqlite3.connect(scratch / f"bare-{turn}.sqlite3")) as store:
            store.execute("PRAGMA journal_mode=WAL")
            store.execute("PRAGMA synchronous=FULL")
            store.execute(_TABLE.format(bytes="blob"))
            for batch in told:
                with store:
                    store.executemany("INSERT INTO line VALUES (?, ?, ?)", _rows(batch))

    async def ours_postgres(told: list[Batch], turn: int) -> None:
        server.new_database()
        await _record(server.url, told)

    async def bare_postgres(told: list[Batch], turn: int) -> None:
        server.new_database()
        address = server.url.replace("+asyncpg", "")
        connection = await asyncpg.connect(address)
        try:
            await connection.execute(_TABLE.format(bytes="bytea"))
            for batch in told:
                async with connection.transaction():
                    await connection.executemany(
                        "INSERT INTO line VALUES ($1, $2, $3)", _rows(batch)
                    )
        finally:
            await connection.close()

    return {
        "SQLite, recorder": ours_sqlite,
        "SQLite, bare table": bare_sqlite,
        "PostgreSQL, recorder": ours_postgres,
        "PostgreSQL, bare table": bare_postgres,
    }


async def _record(url: str, told: list[Batch]) -> None:
    store = await RecordStore.open(url)
    try:
        for batch in told:
            await store.record(batch)
    finally:
        await store.close()


def _rows(batch: Batch) -> list[tuple[str, int, bytes]]:
    return [(batch.journal, line.offset, line.raw) for line in batch.lines]


ROW = Row(
    "stores",
    "Lines a second into the record store",
    f"""{LINES:,} lines of a synthesized month, in the recorder's own batches, into a
    fresh store by the recorder's own code: raw lines, calls folded, revisions, outbox
    and ledger, one transaction a batch; making the tables is included. The rival
    inserts the same raw lines into one bare table, a commit a batch. {ROUNDS} rounds in
    turn, wall clock.""",
    measure,
)
