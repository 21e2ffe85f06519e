"""`gerbang calls` on a store with real calls in it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner

from pbx.commands import calls
from pbx.commands.calls_table import CallsTable
from pbx.commands.since import read_since
from pbx.records.database import open_engine
from pbx.records.journal import Journal
from pbx.records.queries import Wanted, last_calls
from pbx.records.store import RecordStore

REPLAY = Path(__file__).parents[2] / "replay"
JAKARTA = ZoneInfo("Asia/Jakarta")

app = typer.Typer()
calls.register(app)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "40")  # says nothing about a pipe
    return tmp_path


@pytest.fixture
def full(state: Path) -> Path:
    asyncio.run(fill(f"sqlite+aiosqlite:///{state / 'records.sqlite3'}"))
    return state


async def fill(url: str) -> None:
    store = await RecordStore.open(url)
    for folder in REPLAY.glob("*/journal.jsonl"):
        if folder.with_name("notes.jsonl").exists():
            continue  # those show what notes tell; here every figure is counted
        journal = Journal(folder, {})
        while (batch := journal.read()) is not None:
            await store.record(batch)
            journal.advance(batch)
        journal.close()
    await store.close()


def say(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_table_tells_each_call(full: Path) -> None:
    lines = say("--last", "100").splitlines()
    assert len(lines) == 1 + 18
    assert re.search(
        r"112 +0812…890 +pass \(key\) +connected +101 +darurat +4\.0 +2\.5 +kediri-1-",
        lines[1],
    )
    assert "22 Nov 03:41:04" in lines[1]  # city time, newest last
    assert all(re.search(r"kediri-1-\d+\.\d+$", row) for row in lines[1:])
    text = "\n".join(lines)
    assert "rescued (intake-lost)" in text
    assert "081234567890" not in text
    assert "081234567890" in say("--numbers")


def rows(state: Path, room: int | None) -> list[str]:
    async def read() -> list[dict[str, Any]]:
        url = f"sqlite+aiosqlite:///{state / 'records.sqlite3'}"
        engine = open_engine(url, writes=False)
        try:
            return await last_calls(engine, Wanted(100, None, True))
        finally:
            await engine.dispose()

    table = CallsTable(JAKARTA, False, room)
    return [text for text, _ in table.rows(asyncio.run(read()))]


@pytest.mark.parametrize(
    ("room", "heads"),
    [
        (None, "began dialled caller verdict result oper. queue wait s talk s call id"),
        (140, "began dialled caller verdict result oper. queue wait s talk s call id"),
        (110, "began caller verdict result oper. wait s talk s call id"),
        (90, "began caller verdict result oper. wait s talk s"),
        (80, "clock caller verdict result oper. wait s talk s"),
    ],
)
def test_no_cell_is_ever_cut_and_every_row_fits(
    full: Path, room: int | None, heads: str
) -> None:
    shown = rows(full, room)
    assert " ".join(shown[0].split()) == heads
    assert max(map(len, shown)) <= (room or 1000)
    assert any("rescued (intake-lost)" in row for row in shown)
    assert ("22 Nov 2026" in shown) is (room == 80)


def test_later_rows_keep_their_columns_and_tell_a_new_day() -> None:
    record = {
        "started_at": "2026-11-21T13:00:00.000Z",
        "ani": "08\x1b[2J",
        "number": None,
        "verdict": None,
        "rescued": None,
        "degraded": "voice",
        "state": "closed",
        "disposition": "lost",
        "truncated": True,
        "incomplete": True,
        "operator": None,
        "queued": [],
        "wait_seconds": None,
        "talk_seconds": None,
        "call_id": "k-1.1",
    }
    table = CallsTable(JAKARTA, True, 50)
    assert len(list(table.rows([]))) == 1  # heads, once
    told = list(table.rows([record, record]))
    assert [style for _, style in told] == ["bold", "bold red", "bold red"]
    assert told[0][0] == "21 Nov 2026"
    assert re.fullmatch(r"20:00:00 +08·\[2J +degraded \(voice\) +lost ! \?", told[1][0])
    later = record | {"started_at": "2026-11-21T17:00:00.000Z"}
    assert [text[:8] for text, _ in table.rows([later])] == ["22 Nov 2", "00:00:00"]


def test_who_reads_no_further_is_no_fault(full: Path) -> None:
    """`gerbang calls --json | head -1`"""
    code = "from pbx.__main__ import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "calls", "--json", "--last", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_open_calls_only_when_asked(full: Path) -> None:
    assert "connected …" not in say("--last", "100")
    assert "connected …" in say("--last", "100", "--open")


def test_json_is_one_object_a_line_with_its_call_id(full: Path) -> None:
    records = [json.loads(line) for line in say("--json", "--last", "3").splitlines()]
    assert len(records) == 3
    assert all(record["call_id"].startswith("kediri-1-") for record in records)
    starts = [record["started_at"] for record in records]
    assert starts == sorted(starts)


def test_since(full: Path) -> None:
    assert len(say("--json", "--since", "2026-11-22T04:15:05").splitlines()) == 6
    assert CliRunner().invoke(app, ["--since", "25:99"]).exit_code == 2
    assert CliRunner().invoke(app, ["--since", "soon"]).exit_code == 2
    assert len(say("--json", "--since", "99999999999d").splitlines()) == 18
    none = CliRunner().invoke(app, ["--since", "2099-01-01"])
    assert none.exit_code == 0
    assert "No such call is recorded yet" in none.stderr
    assert "began" in none.stdout


def test_since_reads_clock_and_ago() -> None:
    now = datetime.now(UTC)
    assert read_since("", JAKARTA) is None
    ago = read_since("6h", JAKARTA)
    assert ago is not None
    assert abs(now - timedelta(hours=6) - ago) < timedelta(seconds=5)
    clock = read_since("20:15", JAKARTA)
    assert clock is not None
    assert (clock.hour, clock.minute) == (20, 15)
    day = read_since("2026-11-21", JAKARTA)
    assert day == datetime(2026, 11, 21, tzinfo=JAKARTA)
    assert read_since("2026-11-21T20:15+00:00", JAKARTA) == datetime(
        2026, 11, 21, 20, 15, tzinfo=UTC
    )


@pytest.mark.parametrize("ago", ["99999999d", "700000d", "9" * 30 + "m"])
def test_longer_ago_than_there_were_calls_is_everything(ago: str) -> None:
    assert read_since(ago, JAKARTA) is None


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1969-12-31"])
def test_a_day_no_store_can_be_asked_about(full: Path, text: str) -> None:
    """In Asia/Jakarta 0001-01-01 begins in the year 0: no UTC has it."""
    done = CliRunner().invoke(app, ["--since", text])
    assert done.exit_code == 2
    assert "1970" in done.output


def test_no_records_yet_says_what_to_do(state: Path) -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 1
    assert "gerbang run" in done.output
    assert list(state.iterdir()) == []  # a reader makes no file, least of all as root


def test_a_store_without_tables_is_no_store(state: Path) -> None:
    (state / "records.sqlite3").touch()
    done = CliRunner().invoke(app, [])
    assert "gerbang run" in done.output


def test_a_store_that_cannot_be_read_is_said(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GERBANG_DATABASE_URL", "postgresql://u@127.0.0.1:9/none")
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 1
    assert "GERBANG_DATABASE_URL" in done.output


def test_a_broken_city_file_hides_no_records(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (full / "city.toml").write_text("not a city")
    monkeypatch.setenv("GERBANG_CITY", str(full / "city.toml"))
    assert "connected" in say()
    (full / "city.toml").write_bytes(b"\xff\xfe")
    assert "connected" in say()
