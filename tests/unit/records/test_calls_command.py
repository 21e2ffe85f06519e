"""`gerbang calls` on a store with real calls in it."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner

from pbx.commands import calls
from pbx.commands.calls import _since
from pbx.records.journal import Journal
from pbx.records.store import RecordStore

REPLAY = Path(__file__).parents[2] / "replay"
JAKARTA = ZoneInfo("Asia/Jakarta")

app = typer.Typer()
calls.register(app)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def full(state: Path) -> Path:
    asyncio.run(fill(f"sqlite+aiosqlite:///{state / 'records.sqlite3'}"))
    return state


async def fill(url: str) -> None:
    store = await RecordStore.open(url)
    for folder in REPLAY.glob("*/journal.jsonl"):
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
    assert len(lines) == 1 + 17
    assert re.search(
        r"0812…890 +112 +pass \(key\) +darurat +101 +4\.0 s +2\.5 s +connected",
        lines[1],
    )
    assert "22 Nov 03:41:04" in lines[1]  # city time, newest last
    text = "\n".join(lines)
    assert "rescued (intake-lost)" in text
    assert "081234567890" not in text
    assert "081234567890" in say("--numbers")


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
    assert len(say("--json", "--since", "2026-11-22T04:15:05").splitlines()) == 5
    assert CliRunner().invoke(app, ["--since", "25:99"]).exit_code == 2
    assert CliRunner().invoke(app, ["--since", "soon"]).exit_code == 2


def test_since_reads_clock_and_ago() -> None:
    now = datetime.now(UTC)
    assert _since("", JAKARTA) is None
    ago = _since("6h", JAKARTA)
    assert ago is not None
    assert abs(now - timedelta(hours=6) - ago) < timedelta(seconds=5)
    clock = _since("20:15", JAKARTA)
    assert clock is not None
    assert (clock.hour, clock.minute) == (20, 15)
    day = _since("2026-11-21", JAKARTA)
    assert day == datetime(2026, 11, 21, tzinfo=JAKARTA)
    assert _since("2026-11-21T20:15+00:00", JAKARTA) == datetime(
        2026, 11, 21, 20, 15, tzinfo=UTC
    )


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
