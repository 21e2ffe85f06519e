"""The recorder under every fault: nothing lost, nothing doubled, never ended."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from pbx import recorder as recorder_module
from pbx.model.call import Call, as_record
from pbx.model.events import read_event
from pbx.model.fold import fold
from pbx.recorder import Recorder
from pbx.records import erased_calls, erasures, folding, store
from pbx.records.database import open_engine
from pbx.records.queries import Wanted, last_calls
from pbx.records.store import RecordStore
from pbx.records.tables import calls, journal_lines, outbox
from pbx.status import Status
from tests.fakes.journal_lines import greeted, line
from tests.fakes.journal_writer import append, call_id, interleaved, whole_call
from tests.patience import until

COMMAND = """
import typer
from pbx.commands import recorder
app = typer.Typer()
recorder.register(app)
app()
"""
"""`gerbang recorder` and nothing else: it starts in half the time."""

ALL = Wanted(most=10_000, with_open=True)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "asterisk" / "log" / "cel-custom" / "journal.jsonl"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    found: str = request.getfixturevalue(name)
    return found


# ---- the real process, killed -------------------------------------------------------


@dataclass(slots=True)
class Process:
    """`gerbang recorder` as a process of its own."""

    state: Path
    url: str
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {
            "GERBANG_STATE": str(self.state),
            "GERBANG_DATABASE_URL": self.url,
        }
        with (self.state / "recorder.log").open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-c", COMMAND],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def end(self, number: int) -> int:
        if self.running is None:
            return 0
        self.running.send_signal(number)
        return self.running.wait(10)


@pytest.fixture
def process(tmp_path: Path, url: str, journal: Path) -> Iterator[Process]:
    child = Process(tmp_path, url)
    yield child
    if child.running is not None and child.running.poll() is None:
        child.end(signal.SIGKILL)


async def count(engine: Any, table: sa.Table) -> int:
    async with engine.begin() as connection:
        found: int = await connection.scalar(
            sa.select(sa.func.count()).select_from(table)
        )
        return found


async def test_killed_again_and_again_nothing_is_lost_or_doubled(
    process: Process, journal: Path, url: str
) -> None:
    await (await RecordStore.open(url)).close()
    engine = open_engine(url, writes=False)
    chance = random.Random(9)
    lines = list(interleaved(0, 400))
    written = 0
    kills_in_work = 0
    while written < len(lines):
        process.start()
        before = await count(engine, journal_lines)
        # A backlog to be killed in, and lines that come while it is read.
        for _ in range(1500):
            if written < len(lines):
                append(journal, lines[written])
                written += 1
        await until(lambda least=before: _more_than(engine, least))
        for _ in range(chance.randrange(60)):
            if written < len(lines):
                append(journal, lines[written])
                written += 1
            await asyncio.sleep(0.001)
        process.end(signal.SIGKILL)
        stored = await count(engine, journal_lines)
        kills_in_work += before < stored < written
    assert kills_in_work >= 3, "the kills all came when there was nothing to do"
    process.start()
    await until(lambda: _has(engine, len(lines)))
    assert process.end(signal.SIGTERM) == 0
    await _are_whole(engine, 400)
    async with engine.begin() as connection:
        raw = list(await connection.scalars(sa.select(journal_lines.c.raw)))
    assert Counter(raw) == Counter(lines)
    await engine.dispose()


async def _more_than(engine: Any, before: int) -> bool:
    return await count(engine, journal_lines) > before


async def _has(engine: Any, number: int) -> bool:
    return await count(engine, journal_lines) == number


async def _are_whole(engine: Any, number: int) -> None:
    """Exactly one record a call, equal to the fold of its lines; the outbox tells
    each revision once."""
    records = await last_calls(engine, ALL)
    assert sorted(r["call_id"] for r in records) == sorted(
        call_id(n) for n in range(number)
    )
    for record in records:
        n = int(record["call_id"].split("-1795")[1].split(".")[0]) - 300000
        whole = as_record(fold(read_event(raw) for raw in whole_call(n)))
        assert {k: record[k] for k in whole} == whole
    async with engine.begin() as connection:
        told = (await connection.execute(sa.select(outbox))).all()
    revisions: dict[str, list[int]] = {}
    for entry in told:
        revisions.setdefault(entry.call_id, []).append(entry.revision)
    for record in records:
        assert revisions[record["call_id"]] == list(range(1, record["revision"] + 1))


# ---- in this process, with the faults at hand ---------------------------------------


@dataclass(slots=True)
class Running:
    """A recorder running in this loop."""

    recorder: Recorder
    status: Status
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.recorder.stop()
        await asyncio.wait_for(self.task, 10)

    def has_alarm(self, name: str) -> bool:
        return name in self.status.alarms


@dataclass(slots=True)
class Starter:
    journal: Path
    notes: Path
    run: Path
    started: list[Running] = field(default_factory=list)

    def __call__(self, url: str) -> Running:
        status = Status(self.run, "recorder")
        worker = Recorder(
            self.journal, url, status, self.notes, secrets=self.run.parent / "secrets"
        )
        one = Running(worker, status, asyncio.create_task(worker.run()))
        self.started.append(one)
        return one


@pytest_asyncio.fixture
async def start(journal: Path, tmp_path: Path) -> AsyncIterator[Starter]:
    notes = tmp_path / "notes" / "notes.jsonl"
    starter = Starter(journal, notes, tmp_path / "run")
    yield starter
    for one in starter.started:
        if not one.task.done():
            await one.stop()


async def closed(url: str) -> list[str]:
    return [r["call_id"] for r in await everything(url) if r["state"] == "closed"]


async def is_closed(url: str, n: int) -> bool:
    return call_id(n) in await closed(url)


def write_call(journal: Path, n: int) -> None:
    for raw in whole_call(n):
        append(journal, raw)


async def test_a_record_is_there_within_a_second_of_the_hang_up(
    start: Starter, journal: Path, url: str
) -> None:
    running = start(url)
    write_call(journal, 0)
    await until(lambda: is_closed(url, 0))
    delays = []
    for n in range(1, 6):
        *before, last = whole_call(n)
        for raw in before[:-4]:
            append(journal, raw)
        await asyncio.sleep(0.15)
        for raw in [*before[-4:], last]:
            append(journal, raw)
        hung_up = time.monotonic()
        n_now = n
        await until(lambda n=n_now: is_closed(url, n))
        delays.append(time.monotonic() - hung_up)
    await running.stop()
    print(f"record after hang-up: {[round(d, 3) for d in delays]} s")
    assert sorted(delays)[2] < 1.0
    assert max(delays) < 2.0


async def test_who_was_erased_stays_out_of_a_store_made_anew(
    process: Process, journal: Path, url: str, tmp_path: Path
) -> None:
    """The store is lost; the journal and the list beside the key are not."""
    erased_calls.remember(tmp_path / "secrets", [call_id(0)])
    write_call(journal, 0)
    write_call(journal, 1)
    process.start()
    await until(lambda: is_closed(url, 1))
    process.end(signal.SIGTERM)
    assert [r["call_id"] for r in await everything(url)] == [call_id(1)]
    engine = open_engine(url, writes=False)
    async with engine.connect() as connection:
        lines = await connection.scalars(sa.select(journal_lines.c.call_id))
        assert set(lines) == {call_id(1)}
    await engine.dispose()


async def test_without_the_list_a_new_store_waits_and_an_old_one_does_not(
    start: Starter, journal: Path, sqlite_url: str, tmp_path: Path
) -> None:
    broken = erased_calls.file_of(tmp_path / "secrets")
    broken.mkdir(parents=True)  # root may read every file; a folder it cannot
    write_call(journal, 0)
    running = start(sqlite_url)
    await until(lambda: running.has_alarm("erased-list-unusable"))
    assert "Give it" in running.status.alarms["erased-list-unusable"]["sentence"]
    assert await everything(sqlite_url) == []
    broken.rmdir()
    await until(lambda: is_closed(sqlite_url, 0))
    assert not running.has_alarm("erased-list-unusable")
    await running.stop()
    broken.mkdir()
    running = start(sqlite_url)
    write_call(journal, 1)
    await until(lambda: is_closed(sqlite_url, 1))
    assert running.has_alarm("erased-list-unusable")


async def test_an_older_store_gets_its_list(
    start: Starter, journal: Path, url: str, tmp_path: Path
) -> None:
    write_call(journal, 0)
    running = start(url)
    await until(lambda: is_closed(url, 0))
    await running.stop()
    engine = open_engine(url)
    async with engine.begin() as connection:
        await erasures.blank(connection, [call_id(0)], rule="request")
        await erasures.seal(connection, ["retained"], rule="raw_line_days = 90")
    await engine.dispose()
    erased_calls.remember(tmp_path / "secrets", [call_id(1)])
    running = start(url)
    await until(lambda: call_id(0) in erased_calls.remembered(tmp_path / "secrets"))
    await running.stop()
    assert erased_calls.remembered(tmp_path / "secrets") == {call_id(0), call_id(1)}


async def test_rotation_while_running(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    start(sqlite_url)
    await until(lambda: _exists(sqlite_url))
    lines = list(interleaved(0, 30))
    for i, raw in enumerate(lines):
        append(journal, raw)
        if i % 100 == 99:
            journal.rename(journal.with_name(f"journal.jsonl-{i}"))
        await asyncio.sleep(0.002)
    engine = open_engine(sqlite_url, writes=False)
    await until(lambda: _has(engine, len(lines)))
    await _are_whole(engine, 30)
    await engine.dispose()


@pytest.mark.postgres
async def test_postgresql_stopped_and_started(
    start: Starter, journal: Path, postgres_url: str, postgres_server: Any
) -> None:
    running = start(postgres_url)
    write_call(journal, 0)
    await until(lambda: is_closed(postgres_url, 0))
    await asyncio.to_thread(postgres_server.stop)
    write_call(journal, 1)
    await until(lambda: running.has_alarm("database-unreachable"))
    write_call(journal, 2)
    await asyncio.to_thread(postgres_server.start)
    await until(lambda: is_closed(postgres_url, 2))
    assert not running.has_alarm("database-unreachable")
    assert sorted(await closed(postgres_url)) == [call_id(n) for n in range(3)]


@pytest.mark.postgres
async def test_postgresql_hung(
    start: Starter,
    journal: Path,
    postgres_url: str,
    postgres_server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A database that takes the connection and says no more is away, too."""
    monkeypatch.setattr(recorder_module, "STORE_DEADLINE_SECONDS", 1.0)
    running = start(postgres_url)
    write_call(journal, 0)
    await until(lambda: is_closed(postgres_url, 0))
    first = (postgres_server.home / "data" / "postmaster.pid").read_text().split()[0]
    pids = [int(first), *_children(int(first))]
    _tell(pids, signal.SIGSTOP)
    try:
        write_call(journal, 1)
        await until(lambda: running.has_alarm("database-unreachable"))
    finally:
        _tell(pids, signal.SIGCONT)
    await until(lambda: is_closed(postgres_url, 1))
    await until(lambda: not running.has_alarm("database-unreachable"))


def _tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a connection may have ended meanwhile
            os.kill(pid, number)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


async def test_sqlite_locked_by_another(
    start: Starter,
    journal: Path,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pbx.records.database._BUSY_MILLISECONDS", 300)
    running = start(sqlite_url)
    write_call(journal, 0)
    await until(lambda: is_closed(sqlite_url, 0))
    path = tmp_path / "records.sqlite3"
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.isolation_level = None
        # In a thread: the recorder, in this loop, may hold the lock right now.
        await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")
        write_call(journal, 1)
        await until(lambda: running.has_alarm("database-unreachable"))
        other.execute("ROLLBACK")
    await until(lambda: is_closed(sqlite_url, 1))
    assert not running.has_alarm("database-unreachable")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=True
    )
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 64, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


async def test_sqlites_file_is_deleted_under_it(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    """It has a store again at once, of the journal files that are there."""
    running = start(sqlite_url)
    write_call(journal, 0)
    await until(lambda: is_closed(sqlite_url, 0))
    file = Path(sqlite_url.partition("///")[2])
    for part in file.parent.glob(f"{file.name}*"):
        part.unlink()
    write_call(journal, 1)
    await until(lambda: _exists(sqlite_url))
    await until(lambda: is_closed(sqlite_url, 1))
    assert len(await everything(sqlite_url)) == 2
    await until(lambda: not running.has_alarm("database-unreachable"))


async def test_the_databases_disk_is_full(
    start: Starter, journal: Path, tiny_disk: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tiny_disk / 'records.sqlite3'}"
    running = start(url)
    write_call(journal, 0)
    await until(lambda: is_closed(url, 0))
    filler = fill(tiny_disk)
    for n in range(1, 60):
        write_call(journal, n)
    await until(lambda: running.has_alarm("database-unreachable"))
    filler.unlink()
    await until(lambda: is_closed(url, 59))
    assert sorted(await closed(url)) == sorted(call_id(n) for n in range(60))
    await until(lambda: not running.has_alarm("database-unreachable"))


async def test_the_journals_disk_is_full(
    tiny_disk: Path, sqlite_url: str, tmp_path: Path
) -> None:
    """Asterisk loses lines in silence then, and may leave half of one behind; the
    alarm comes at once, the witness's calls get records."""
    journal = tiny_disk / "journal.jsonl"
    start = Starter(journal, tmp_path / "notes.jsonl", tmp_path / "run")
    running = start(sqlite_url)
    write_call(journal, 0)
    await until(lambda: is_closed(sqlite_url, 0))
    for raw in greeted()[:3]:
        append(journal, raw.replace(b"1795293664", b"1795300001"))
    filler = fill(tiny_disk)
    with pytest.raises(OSError, match="space"):
        write_call(journal, 2)
    await until(lambda: running.has_alarm("journal-unwritable"))
    store = await RecordStore.open(sqlite_url)
    ended = datetime.now(UTC) - timedelta(seconds=6)
    for lost in (call_id(1), call_id(100)):
        await store.witness_seen(
            lost, channel="PJSIP/carrier-1", trunk="carrier", seen_at=ended
        )
        await store.witness_ended(lost, ended_at=ended, cause=16)
    await store.close()
    await until(lambda: is_closed(sqlite_url, 100))
    await until(lambda: is_closed(sqlite_url, 1))
    await until(lambda: running.has_alarm("journal-gap"))
    filler.unlink()
    write_call(journal, 50)  # glued to the half line left behind
    await until(lambda: is_closed(sqlite_url, 50))
    await until(lambda: not running.has_alarm("journal-unwritable"))
    records = {r["call_id"]: r for r in await everything(sqlite_url)}
    assert records[call_id(1)]["incomplete"]
    assert records[call_id(100)]["incomplete"]
    assert not records[call_id(50)]["incomplete"]
    await running.stop()


async def everything(url: str) -> list[dict[str, Any]]:
    """Every record; none while the store is away or not there yet."""
    try:
        engine = open_engine(url, writes=False)
    except FileNotFoundError:
        return []
    try:
        return await last_calls(engine, ALL)
    except (sa.exc.SQLAlchemyError, OSError):
        return []
    finally:
        await engine.dispose()


async def test_the_journals_directory_is_missing(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    journal.parent.rmdir()
    running = start(sqlite_url)
    await until(lambda: running.has_alarm("journal-unwritable"))
    written = json.loads((start.run / "recorder.status.json").read_text())
    assert "no directory" in written["alarms"]["journal-unwritable"]["sentence"]
    journal.parent.mkdir()
    write_call(journal, 0)
    await until(lambda: is_closed(sqlite_url, 0))
    await until(lambda: not running.has_alarm("journal-unwritable"))


async def test_a_poisoned_line_stops_nothing(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    running = start(sqlite_url)
    for n in range(3):
        write_call(journal, n)
        append(journal, b'{"eventtype":"HANGUP","eventtime":"never"}\n')
        append(journal, b"\x00\xff{}[]\n")
    await until(lambda: is_closed(sqlite_url, 2))
    assert len(await closed(sqlite_url)) == 3
    await until(lambda: running.has_alarm("journal-unreadable-line"))


async def test_what_cannot_be_stored_is_halved_until_it_is_alone(
    start: Starter, journal: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours in one line costs that line, not the others."""
    poison = whole_call(1)[3]
    real = RecordStore.record

    async def bitten(self: RecordStore, batch: Any) -> Any:
        if any(raw.raw == poison for raw in batch.lines):
            raise ValueError("it bites")
        return await real(self, batch)

    monkeypatch.setattr(RecordStore, "record", bitten)
    for n in range(3):
        write_call(journal, n)
    running = start(sqlite_url)
    await until(lambda: is_closed(sqlite_url, 2))
    assert len(await closed(sqlite_url)) == 3
    assert running.has_alarm("journal-unreadable-line")
    engine = open_engine(sqlite_url, writes=False)
    assert await count(engine, journal_lines) == len(whole_call(0)) * 3
    await engine.dispose()


async def test_text_postgresql_refuses_costs_that_line_alone(
    start: Starter, journal: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it taken for a database that is away, no record would follow, for ever."""
    real = folding.columns_of
    poison = {"ani": "08\0"}

    def refused(call: Call, joined_into: str | None = None) -> dict[str, Any]:
        return real(call) | (poison if call.call_id == call_id(1) else {})

    monkeypatch.setattr(store, "columns_of", refused)
    for n in range(3):
        write_call(journal, n)
    running = start(postgres_url)
    await until(lambda: is_closed(postgres_url, 2))
    assert set(await closed(postgres_url)) == {call_id(0), call_id(2)}
    assert running.has_alarm("journal-unreadable-line")
    assert not running.has_alarm("database-unreachable")


async def test_a_fold_that_fails_leaves_a_record_marked(
    start: Starter, journal: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pbx.records.folding.fold", fails)
    start(sqlite_url)
    write_call(journal, 0)
    await until(lambda: _is_marked(sqlite_url))
    await until(lambda: is_closed(sqlite_url, 0))


async def test_our_own_journal_is_read_as_well(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    """Its lines come late; its file may not exist yet, and is rotated as well."""
    notes = start.notes
    start(sqlite_url)
    write_call(journal, 0)
    await until(lambda: is_closed(sqlite_url, 0))
    notes.parent.mkdir()
    for digit in ("1", "2"):
        fact = f"digit={digit}&at_ms=40000"
        append(notes, line("KEY", fact=fact, at=40, **of_call(0)))
        notes.rename(notes.with_name(f"notes.jsonl.{digit}"))

    async def is_told() -> bool:
        (record,) = await everything(sqlite_url)
        return [key["digit"] for key in record["keys"]] == ["0", "1", "2"]

    await until(is_told)
    engine = open_engine(sqlite_url, writes=False)
    assert await count(engine, journal_lines) == len(whole_call(0)) + 2
    await engine.dispose()


def of_call(n: int) -> dict[str, str]:
    return {"channel": call_id(n), "linkedid": call_id(n)}


def _exists(url: str) -> bool:
    return Path(url.partition("///")[2]).exists()


async def _is_marked(url: str) -> bool:
    records = await everything(url)
    return bool(records) and bool(records[0]["incomplete"])


async def test_a_journal_that_cannot_be_read_is_an_alarm(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    journal.mkdir()
    running = start(sqlite_url)
    await until(lambda: running.has_alarm("journal-unreadable"))
    journal.rmdir()
    write_call(journal, 0)
    await until(lambda: is_closed(sqlite_url, 0))
    assert not running.has_alarm("journal-unreadable")


async def test_a_rotated_file_that_cannot_be_read_is_passed_over(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    rotated = journal.with_name("journal.jsonl.1")
    rotated.symlink_to("/proc/self/mem")
    write_call(journal, 0)
    running = start(sqlite_url)
    await until(lambda: is_closed(sqlite_url, 0))
    assert running.has_alarm("journal-file-unreadable")
    rotated.unlink()
    await until(lambda: not running.has_alarm("journal-file-unreadable"))


async def test_two_recorders_by_mistake_double_nothing(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    start(sqlite_url)
    start(sqlite_url)
    await until(lambda: _exists(sqlite_url))
    lines = list(interleaved(0, 20))
    for raw in lines:
        append(journal, raw)
        await asyncio.sleep(0.001)
    engine = open_engine(sqlite_url, writes=False)
    await until(lambda: _has(engine, len(lines)))
    await _are_whole(engine, 20)
    await engine.dispose()


async def test_stop_finishes_and_says_so(
    start: Starter, journal: Path, sqlite_url: str
) -> None:
    running = start(sqlite_url)
    write_call(journal, 0)
    await until(lambda: is_closed(sqlite_url, 0))
    await running.stop()
    written = json.loads((start.run / "recorder.status.json").read_text())
    assert written["figures"]["calls_closed"] == 1
    assert await count(engine := open_engine(sqlite_url), calls) == 1
    await engine.dispose()
