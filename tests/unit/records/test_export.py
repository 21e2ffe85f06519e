"""Exports: what comes out is what went in, of the right type, and harms nobody."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from click.testing import Result
from typer.testing import CliRunner

from pbx.__main__ import build
from pbx.model.call import (
    Call,
    CallerFacts,
    Classified,
    RingAttempt,
    RingOutcome,
    Rung,
    Survey,
    as_record,
)
from pbx.model.events import Judged
from pbx.records.database import open_engine
from pbx.records.export import run
from pbx.records.export.columns import COLUMNS, Kind, row_of
from pbx.records.export.csv_file import guarded
from pbx.records.export.run import Export, ExportError, Format, Purpose, write
from pbx.records.store import RecordStore
from pbx.settings import PROJECT
from tests.fakes.stored_calls import ANI, START, a_call, put

BEGIN, END = START, START + timedelta(days=1)
EVIL = '=HYPERLINK("http://evil.example","112")'
PARTS: dict[str, Any] = {
    "ani": f"+{ANI}",
    "verdict": Judged("pass", "voice", 900, "speech=0.9", 0.93, holdout=True),
    "queued": (
        Rung("darurat", 10, 1, START, START + timedelta(seconds=20), "TIMEOUT"),
        Rung("umum", 11, 2, START + timedelta(seconds=20), None, None),
    ),
    "rings": (RingAttempt("101", "darurat", START, 5.5, RingOutcome.NO_ANSWER, 0),),
    "classified": Classified("valid", "Kebakaran", "101", EVIL, START),
    "survey": Survey(5, START),
    "caller": CallerFacts(asserted=EVIL, cell_id="510101a2b3c4d5"),
    "hangup_cause": 16,
    "answered_at": START + timedelta(milliseconds=1234),
}


def full() -> Call:
    return replace(a_call(3), **PARTS)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store of five calls."""
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    monkeypatch.setenv("GERBANG_CITY", str(PROJECT / "asterisk-config" / "city.toml"))
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"

    async def make() -> None:
        store = await RecordStore.open(url)
        await put(store, full(), *(a_call(n) for n in (1, 0, 4, 2)))
        await store.close()

    asyncio.run(make())
    return url


def export(url: str, to: Export) -> tuple[int, list[int]]:
    heard: list[int] = []

    async def work() -> int:
        engine = open_engine(url)
        try:
            return await write(engine, to, heard.append)
        finally:
            await engine.dispose()

    return asyncio.run(work()), heard


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


NAMES = [column.name for column in COLUMNS]


# ---- rows ---------------------------------------------------------------------------


def test_a_row_has_each_column_of_its_kind() -> None:
    row = dict(zip(NAMES, row_of({"revision": 2} | as_record(full())), strict=True))
    assert {
        name: row[name]
        for name in (
            "revision", "category", "answered_at", "first_queue", "last_queue",
            "queue_stays", "ring_attempts", "verdict_reason", "verdict_confidence",
            "holdout", "shadow", "classified_type", "survey_score", "wait_seconds",
            "caller_cell_id", "hangup_cause", "released_at",
        )
    } == {
        "revision": 2, "category": "valid",
        "answered_at": START + timedelta(milliseconds=1234), "first_queue": "darurat",
        "last_queue": "umum", "queue_stays": 2, "ring_attempts": 1,
        "verdict_reason": "voice", "verdict_confidence": 0.93, "holdout": True,
        "shadow": False, "classified_type": "Kebakaran", "survey_score": 5,
        "wait_seconds": 6.25, "caller_cell_id": "510101a2b3c4d5", "hangup_cause": 16,
        "released_at": None,
    }  # fmt: skip
    assert json.loads(str(row["rings"])) == as_record(full())["rings"]


def test_every_field_of_a_record_is_somewhere() -> None:
    told = {"joined_into", "last_event_at", "release_prompt"}
    """Left out: such calls are; a technical time; always the flow's own."""
    nested = {"verdict", "classified", "survey"}
    assert set(as_record(full())) - set(NAMES) - nested <= told
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"verdict": None, "queued": [], "started_at": "hidden", "revision": "hidden"},
        {"verdict": "hidden", "queued": None, "wait_seconds": True, "holds": None},
    ],
)
def test_what_is_not_there_or_hidden_is_null(record: dict[str, Any]) -> None:
    row = dict(zip(NAMES, row_of(record), strict=True))
    for name in ("started_at", "revision", "first_queue", "verdict_reason", "holds",
                 "wait_seconds", "category", "abandoned"):  # fmt: skip
        assert row[name] is None


def test_every_column_is_described() -> None:
    page = (PROJECT / "docs" / "feed.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in page] == []


# ---- files --------------------------------------------------------------------------


def test_csv(url: str, tmp_path: Path) -> None:
    out = tmp_path / "calls.csv"
    assert export(url, Export(out, Format.CSV, BEGIN, END)) == (5, [5])
    rows = read_csv(out)
    assert list(rows[0]) == NAMES
    assert [row["call_id"] for row in rows] == [a_call(n).call_id for n in range(5)]
    one = rows[3]
    assert one["answered_at"] == "2026-11-21T13:00:01.234Z"
    assert (one["holdout"], one["abandoned"]) == ("true", "false")
    assert (one["released_at"], one["wait_seconds"]) == ("", "6.25")
    assert one["ani"] == "hidden"
    assert ANI not in out.read_text()
    assert out.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_csv_with_personal_data_is_guarded_and_audited(
    url: str, tmp_path: Path
) -> None:
    out = tmp_path / "calls.csv"
    purpose = Purpose("sari", "court order 7")
    export(url, Export(out, Format.CSV, BEGIN, END, purpose))
    row = read_csv(out)[3]
    assert row["ani"] == f"'+{ANI}"
    assert row["classified_note"] == f"'{EVIL}"
    assert json.loads(row["caller"])["asserted"] == EVIL, "in JSON nothing runs"
    assert out.stat().st_mode & 0o777 == 0o600

    async def audited() -> Any:
        engine = open_engine(url)
        async with engine.connect() as connection:
            found = (await connection.execute(sa.text("SELECT * FROM audit"))).one()
        await engine.dispose()
        return found

    entry = asyncio.run(audited())
    assert (entry.actor, entry.action, entry.reason) == (
        "sari",
        "exported-personal",
        "court order 7",
    )
    assert json.loads(entry.details)["calls"] == 5


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+62", "-1", "@SUM(A1)", "\tx", "\r", "\n=1", "  =1", "＝1"],  # noqa: RUF001
)
def test_what_a_spreadsheet_would_run(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "0812", "a=1", "[1]", " x", "'=1"])
def test_what_it_would_not(text: str) -> None:
    assert guarded(text) == text


def test_parquet(url: str, tmp_path: Path) -> None:
    out = tmp_path / "calls.parquet"
    purpose = Purpose("sari", "court order 7")
    export(url, Export(out, Format.PARQUET, BEGIN, END, purpose))
    table = pq.read_table(out)
    assert table.column_names == NAMES
    types = {
        Kind.TEXT: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.YES_NO: pa.bool_(),
        Kind.TIME: pa.timestamp("ms", tz="UTC"),
        Kind.JSON: pa.string(),
    }
    for column in COLUMNS:
        field = table.schema.field(column.name)
        assert field.type == types[column.kind]
        assert field.metadata[b"description"].decode() == column.says
    assert table.schema.metadata[b"record"] == b"urn:gerbang112:call-record:1"
    row = table.to_pylist()[3]
    assert row["ani"] == f"+{ANI}"
    assert row["classified_note"] == EVIL
    assert row["answered_at"] == datetime(2026, 11, 21, 13, 0, 1, 234000, tzinfo=UTC)
    assert (row["survey_score"], row["wait_seconds"], row["holdout"]) == (5, 6.25, True)
    assert row["released_at"] is None


@pytest.mark.parametrize("format_", list(Format))
def test_page_after_page(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: Format
) -> None:
    """Every call once, whatever begins and ends where."""
    monkeypatch.setattr(run, "PAGE", 2)
    out = tmp_path / "calls"
    until = START + timedelta(seconds=4)
    assert export(url, Export(out, format_, START + timedelta(seconds=1), until)) == (
        3,
        [2, 3],
    )
    if format_ is Format.PARQUET:
        found = pq.read_table(out).column("call_id").to_pylist()
        assert pq.ParquetFile(out).num_row_groups == 2
    else:
        found = [row["call_id"] for row in read_csv(out)]
    assert found == [a_call(n).call_id for n in (1, 2, 3)]


@pytest.mark.parametrize("format_", list(Format))
def test_no_calls_make_an_empty_table(
    url: str, tmp_path: Path, format_: Format
) -> None:
    out = tmp_path / "calls"
    assert export(url, Export(out, format_, END, END + timedelta(days=1))) == (0, [])
    if format_ is Format.PARQUET:
        assert pq.read_table(out).num_rows == 0
    else:
        assert read_csv(out) == []


@pytest.mark.parametrize("format_", list(Format))
def test_what_goes_wrong_leaves_what_was_there(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: Format
) -> None:
    monkeypatch.setattr(run, "PAGE", 2)
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "calls"
    out.write_text("of last month")

    def fail(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    async def work() -> None:
        engine = open_engine(url)
        try:
            await write(engine, Export(out, format_, BEGIN, END), fail)
        finally:
            await engine.dispose()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(work())
    assert out.read_text() == "of last month"
    assert [path.name for path in folder.iterdir()] == ["calls"]


def test_a_full_disk_and_a_wrong_place(url: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No such file or directory; make room"):
        export(url, Export(tmp_path / "no" / "calls", Format.CSV, BEGIN, END))


def test_without_an_audit_nothing_goes_out(url: str, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "audit.key").write_text("no key\n")
    out = tmp_path / "calls.csv"
    with pytest.raises(run.audit.AuditKeyError):
        export(url, Export(out, Format.CSV, BEGIN, END, Purpose("sari", "x")))
    assert not out.exists()


# ---- the command --------------------------------------------------------------------


def gerbang(*line: str) -> Result:
    return CliRunner().invoke(build(["records"]), ["records", "export", *line])


def test_the_command(url: str, tmp_path: Path) -> None:
    out = tmp_path / "calls.csv"
    done = gerbang("--from", "2026-11-21", "--to", "2026-11-22", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "5 calls, 2026-11-21 00:00 to 2026-11-22 00:00" in done.stdout
    assert len(read_csv(out)) == 5
    personal = ["--personal", "--reason", "court order 7", "--format", "parquet"]
    done = gerbang("--from", "2026-11-21", "--out", str(out), *personal)
    assert done.exit_code == 0, done.output
    assert pq.read_table(out).column("ani").to_pylist()[3] == f"+{ANI}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--out", "calls.xlsx", "--from", "2d"], "neither csv nor parquet"),
        (["--out", "calls.csv", "--from", "2d", "--personal"], "--reason"),
        (["--out", "calls.csv", "--from", ""], "from when on"),
        (
            ["--out", "calls.csv", "--from", "2026-12-01", "--to", "2026-11-01"],
            "2026-11-01 is not after 2026-12-01",
        ),
        (["--out", "calls.csv", "--from", "8999-12-31"], "now is not after"),
        (["--out", "calls.csv", "--from", "0001-01-01"], "years are 1970"),
    ],
)
def test_what_cannot_be_meant(url: str, line: list[str], said: str) -> None:
    done = gerbang(*line)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


@pytest.fixture
def _no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pbx.records.export.parquet_file", raising=False)
    yield
    sys.modules.pop("pbx.records.export.parquet_file", None)


@pytest.mark.usefixtures("_no_pyarrow")
def test_without_pyarrow(url: str, tmp_path: Path) -> None:
    out = tmp_path / "calls.parquet"
    done = gerbang("--from", "2026-11-21", "--out", str(out))
    assert done.exit_code == 1
    assert "pip install 'gerbang112[export]', or write CSV" in done.output
    assert not list(tmp_path.glob("*calls*"))


def test_without_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path / "nothing"))
    done = gerbang("--from", "2d", "--out", str(tmp_path / "calls.csv"))
    assert done.exit_code == 1
    assert "There are no records yet" in done.output
