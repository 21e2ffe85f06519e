"""Records made from nothing, and compared: the recorder's own, bit for bit."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from sqlalchemy.exc import SQLAlchemyError
from typer.testing import CliRunner, Result

from pbx.commands import records
from pbx.records.bulk import bulk_for
from pbx.records.database import open_engine
from pbx.records.from_journal import StoreInUseError, build_store
from pbx.records.journal import NOTES, Journal
from pbx.records.journal_files import JournalFiles, NoJournalError
from pbx.records.ledger_tables import invites
from pbx.records.rebuild import compare
from pbx.records.store import RecordStore
from pbx.records.tables import (
    call_members,
    calls,
    journal_lines,
    journal_offsets,
    outbox,
    reviews,
)
from tests.calls import faults
from tests.fakes.journal_lines import line
from tests.fakes.journal_writer import call_id, interleaved
from tests.patience import until

pytestmark = pytest.mark.postgres

REPLAY = Path(__file__).parent.parent / "replay"
CALLS = 40


def note(n: int, at: float, category: str) -> bytes:
    own_id = {"channel": call_id(n), "linkedid": call_id(n)}
    return line("KEY", fact=f"digit={category}&at_ms=1", at=at, **own_id)


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    """Real calls, calls that go on at once, torn and senseless lines, two files packed
    by different hands, one live with half a record at its end, and our own journal."""
    directory = tmp_path / "journals"
    directory.mkdir()
    made = list(interleaved(0, CALLS))
    made[100:100] = [b"\x00garbage\xff\n", made[40][:77]]
    made.insert(300, line("KEY", fact="digit=1&at_ms=soon"))
    folders = sorted(path.parent.name for path in REPLAY.glob("*/journal.jsonl"))
    real = b"".join((REPLAY / f / "journal.jsonl").read_bytes() for f in folders)
    old = directory / "journal.jsonl-20261101"
    old.write_bytes(real)
    middle = directory / "journal.jsonl.1"
    middle.write_bytes(b"".join(made[:500]))
    live = directory / "journal.jsonl"
    live.write_bytes(b"".join(made[500:]) + made[0][:50])
    notes = [note(n, 20 + n, str(n % 10)) for n in range(CALLS)]
    (directory / "notes.jsonl.1").write_bytes(b"".join(notes[:30]))
    (directory / "notes.jsonl").write_bytes(b"".join(notes[30:]))
    for age, name in enumerate(("journal.jsonl", "journal.jsonl.1", old.name)):
        os.utime(directory / name, (2e9 - age, 2e9 - age))
    os.utime(directory / "notes.jsonl.1", (1e9, 1e9))
    return directory


async def record_slowly(journals: Path, url: str) -> None:
    """As the recorder does: both journals in turns, some lines at a time."""
    store = await RecordStore.open(url)
    positions = await store.positions()
    tails = [
        Journal(journals / "journal.jsonl", positions),
        Journal(journals / "notes.jsonl", positions, NOTES),
    ]
    is_more = True
    while is_more:
        is_more = False
        for tail in tails:
            if (batch := tail.read(97)) is not None:
                await store.record(batch)
                tail.advance(batch)
                is_more = True
    for tail in tails:
        tail.close()
    await store.close()


async def everything(url: str) -> dict[str, list[Any]]:
    """All tables, but for clocks, counters and revisions, which tell how the lines came
    and not what they say."""
    engine = open_engine(url)
    left_out = {"id", "cursor", "revision", "written_at", "read_at"}
    found: dict[str, list[Any]] = {}
    async with engine.connect() as connection:
        for table in (
            calls, call_members, journal_lines, journal_offsets, invites, reviews
        ):  # fmt: skip
            columns = [c for c in table.c if c.name not in left_out]
            rows = (await connection.execute(sa.select(*columns))).mappings()
            found[table.name] = sorted(repr(_plain(dict(row))) for row in rows)
        told = await connection.scalars(sa.select(outbox.c.call_id).distinct())
        found["outbox"] = sorted(told)
    await engine.dispose()
    return found


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    if "record" in row:
        row["record"] = json.dumps(row["record"] | {"revision": 0})
    return row


async def test_the_very_rows_the_recorder_would_have_written(
    url: str, journals: Path, tmp_path: Path
) -> None:
    slow = f"sqlite+aiosqlite:///{tmp_path / 'slow.sqlite3'}"
    await record_slowly(journals, slow)
    expected = await everything(slow)
    assert len(expected["calls"]) > CALLS
    for name in ("journal.jsonl-20261101", "journal.jsonl.1"):
        path = journals / name
        with gzip.open(journals / f"{name}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    built = await build_store(JournalFiles.below(journals), url, workers=1)
    found = await everything(url)
    for table, rows in expected.items():
        assert found[table] == rows, table
    assert built.lines == len(expected["journal_lines"])


async def test_calls_whose_lines_are_parted(
    url: str, journals: Path, tmp_path: Path
) -> None:
    """With hardly anything held in memory, most calls come in several pieces."""
    slow = f"sqlite+aiosqlite:///{tmp_path / 'slow.sqlite3'}"
    await record_slowly(journals, slow)
    expected = await everything(slow)
    built = await build_store(
        JournalFiles.below(journals), url, workers=0, most_lines=20
    )
    assert built.late > 10
    found = await everything(url)
    for table, rows in expected.items():
        assert found[table] == rows, table


async def test_the_recorder_goes_on_where_the_rebuild_ended(
    url: str, journals: Path
) -> None:
    await build_store(JournalFiles.below(journals), url, workers=0)
    before = await everything(url)
    await record_slowly(journals, url)
    assert await everything(url) == before


async def test_a_store_in_use_is_left_alone(url: str, journals: Path) -> None:
    files = JournalFiles.below(journals)
    await build_store(files, url, workers=0)
    before = await everything(url)
    with pytest.raises(StoreInUseError, match="--database"):
        await build_store(JournalFiles.below(journals), url, workers=0)
    assert await everything(url) == before


async def test_ended_half_way_there_is_nothing(
    url: str, journals: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupts(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await build_store(JournalFiles.below(journals), url, interrupts, workers=0)
    assert not list(tmp_path.glob("*.building*"))
    if "postgresql" in url:
        assert (await everything(url))["journal_lines"] == []
    else:
        assert not (tmp_path / "records.sqlite3").exists()
    await build_store(JournalFiles.below(journals), url, workers=0)


def test_without_a_journal_it_says_what_it_looks_for(tmp_path: Path) -> None:
    with pytest.raises(NoJournalError, match=r"notes\.jsonl"):
        JournalFiles.below(tmp_path)
    (tmp_path / "journal.jsonl.1.zst").touch()
    with pytest.raises(NoJournalError, match="unzstd"):
        JournalFiles.below(tmp_path)


async def test_what_a_driver_refuses_is_told_like_any_other_error(url: str) -> None:
    """Rows go past SQLAlchemy; on a full disk the command ended with a traceback."""
    store = await RecordStore.open(url)
    columns, row = ("journal", "offset", "raw"), ("j.0", 1, b"")
    async with store.engine.connect() as connection:
        bulk = await bulk_for(connection)
        with pytest.raises(SQLAlchemyError, match=r"^journal_lines: .*(?i:unique)"):
            await bulk.insert(journal_lines, columns, [row, row])
    await store.close()


def test_a_full_disk_leaves_nothing(journals: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    with (journals / "journal.jsonl-20200101").open("wb") as file:
        for raw in interleaved(10_000, 1500):
            file.write(raw)
    target = tmp_path / "small" / "built.sqlite3"
    with faults.small_disk(target.parent, size="3m"):
        done = subprocess.run(
            [sys.executable, "-m", "pbx", "records", "rebuild", "--journal",
             str(journals), "--database", f"sqlite:///{target}"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert not list(target.parent.iterdir())
    assert done.returncode == 1
    assert "Nothing was made: " in done.stderr
    assert "is full; make room on its disk." in done.stderr


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2"])
@pytest.mark.parametrize("how", ["cut short", "written over", "no such kind"])
def test_a_damaged_file_is_named(journals: Path, suffix: str, how: str) -> None:
    """Cut short, gzip's EOFError was taken for somebody's Ctrl-D: `Aborted.`"""
    plain = journals / "journal.jsonl.1"
    packed = bytearray({".gz": gzip, ".xz": lzma, ".bz2": bz2}[suffix].compress(
        plain.read_bytes()
    ))  # fmt: skip
    match how:
        case "cut short":
            del packed[len(packed) // 2 :]
        case "written over":
            packed[len(packed) // 2] ^= 255
        case _:
            packed = bytearray(b"not packed at all")
    bad = journals / f"journal.jsonl.1{suffix}"
    bad.write_bytes(packed)
    plain.unlink()
    app = typer.Typer()
    records.register(app)
    target = journals / "made.sqlite3"
    done = CliRunner().invoke(
        app,
        ["records", "rebuild", "--journal", str(journals), "--database",
         f"sqlite:///{target}"],
    )  # fmt: skip
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit)
    assert f"Nothing was made: {bad} cannot be read (" in done.stderr
    assert not target.exists()
    files = JournalFiles.below(journals, passes_over=True)
    assert list(files.read())
    assert list(files.unreadable or {}) == [bad]


# ---- compared with what the store was told ----------------------------------------


async def found_by(url: str, *, mends: bool) -> list[str]:
    engine = open_engine(url)
    different = [str(d) async for d in compare(engine, mends=mends)]
    await engine.dispose()
    return different


async def change(url: str, *statements: sa.Executable) -> None:
    engine = open_engine(url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)
    await engine.dispose()


async def test_every_difference_is_told_and_mended(url: str, journals: Path) -> None:
    await build_store(JournalFiles.below(journals), url, workers=0)
    assert await found_by(url, mends=False) == []
    before = await everything(url)
    engine = open_engine(url)
    async with engine.connect() as connection:
        query = sa.select(calls.c.record).where(calls.c.call_id == call_id(3))
        record = await connection.scalar(query)
    await engine.dispose()
    one = calls.c.call_id == call_id(3)
    await change(
        url,
        sa.update(calls).where(one).values(record=record | {"operator": "999"}),
        sa.update(calls).where(calls.c.call_id == call_id(4)).values(operator="9"),
        sa.delete(calls).where(calls.c.call_id == call_id(5)),
        sa.delete(outbox).where(outbox.c.call_id == call_id(5)),
    )
    told = [
        f"{call_id(3)}: operator",
        f"{call_id(4)}: column operator",
        f"{call_id(5)}: has lines and no record",
    ]
    assert await found_by(url, mends=False) == told
    assert await found_by(url, mends=True) == told
    assert await found_by(url, mends=False) == []
    assert await everything(url) == before
    engine = open_engine(url)
    async with engine.connect() as connection:
        query = sa.select(calls.c.revision).where(one)
        assert await connection.scalar(query) == 2
    await engine.dispose()


# ---- the command ------------------------------------------------------------------


def test_the_command(
    journals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()
    records.register(app)
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path / "state"))

    def gerbang(*words: str) -> Result:
        return CliRunner().invoke(app, ["records", "rebuild", *words])

    done = gerbang("--check")
    assert (done.exit_code, "no records yet" in done.stderr) == (1, True)
    done = gerbang("--journal", str(journals))
    assert done.exit_code == 0, done.stderr
    assert "calls from" in done.stdout
    assert (tmp_path / "state" / "records.sqlite3").exists()
    done = gerbang("--check")
    assert done.exit_code == 0, done.stdout
    assert "calls compared; 0 sealed, not compared" in done.stdout
    assert done.stdout.endswith("Every record compared is what its lines say.\n")
    done = gerbang("--journal", str(journals))
    assert (done.exit_code, "Nothing was made" in done.stderr) == (1, True)
    asyncio.run(
        change(
            f"sqlite+aiosqlite:///{tmp_path / 'state' / 'records.sqlite3'}",
            sa.update(calls).values(operator="9"),
        )
    )
    assert gerbang("--check").exit_code == 1
    assert gerbang().exit_code == 0
    assert gerbang("--check").exit_code == 0


def test_ctrl_c_leaves_nothing(journals: Path, tmp_path: Path) -> None:
    target = tmp_path / "built.sqlite3"
    with (journals / "journal.jsonl-20200101").open("wb") as file:
        for raw in interleaved(10_000, 1500):
            file.write(raw)
    running = subprocess.Popen(
        [sys.executable, "-m", "pbx", "records", "rebuild", "--journal", str(journals),
         "--database", f"sqlite:///{target}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    while running.poll() is None and not list(tmp_path.glob("*.building*")):
        pass
    os.killpg(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=30)
    assert (running.returncode, "as it was" in told) == (1, True), told
    assert not list(tmp_path.glob("built*"))


BUILDS = """
import asyncio, sys, time
from pathlib import Path
from pbx.records.from_journal import build_store
from pbx.records.journal_files import JournalFiles

def tell(*_):
    print("at it", flush=True)
    time.sleep(600)

files = JournalFiles.below(Path(sys.argv[1]))
asyncio.run(build_store(files, sys.argv[2], tell, workers=1, most_lines=20))
"""


async def test_killed_it_leaves_nobody_and_nothing_behind(
    journals: Path, tmp_path: Path
) -> None:
    """Its processes waited for work for ever; its file, full of callers, lay there."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'built.sqlite3'}"
    with (journals / "journal.jsonl-20200101").open("wb") as file:
        for raw in interleaved(10_000, 300):
            file.write(raw)
    running = subprocess.Popen(
        [sys.executable, "-c", BUILDS, str(journals), url], stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"at it\n"
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()
    running.kill()
    running.wait()
    running.stdout.close()
    assert len(children.split()) > 1
    await until(lambda: not any(map(_is_alive, children.split())))
    assert len(list(tmp_path.glob("built*"))) == 1
    foreign = [tmp_path / "built.sqlite3.building-1", tmp_path / "built2"]
    for path in foreign:
        path.touch()
    await build_store(JournalFiles.below(journals), url, workers=0)
    assert sorted(tmp_path.glob("built*")) == sorted(
        [tmp_path / "built.sqlite3", *foreign]
    )


def _is_alive(pid: str) -> bool:
    """A dead one may wait for whoever is to look at its end: that is no life."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
