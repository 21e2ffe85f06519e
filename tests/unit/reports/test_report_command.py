"""`gerbang report`: what is wrong is said with its cure."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pbx.commands import report
from pbx.records.journal import Journal
from pbx.records.store import RecordStore
from pbx.settings import PROJECT

REPLAY = Path(__file__).parents[2] / "replay"

app = typer.Typer()
report.register(app)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('store') / 'records.sqlite3'}"
    asyncio.run(fill(url))
    return url


@pytest.fixture
def full(state: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_DATABASE_URL", store)
    return state


async def fill(url: str) -> None:
    store = await RecordStore.open(url)
    for folder in sorted(REPLAY.glob("*/journal.jsonl")):
        journal = Journal(folder, {})
        while (batch := journal.read()) is not None:
            await store.record(batch)
            journal.advance(batch)
        journal.close()
    await store.close()


def say(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


def test_recorded_calls(full: Path) -> None:
    shown = say("2026-11")
    assert "released by the filter (ghost)" in shown
    assert "connected to an operator" in shown
    assert "0812" not in shown


def test_a_time_without_calls(full: Path) -> None:
    assert "No calls are recorded in this period." in say("2020-02")
    assert "Tidak ada panggilan" in say("2020-02", "--language", "id")
    assert '"calls": 0' in say("2020-02", "--json")


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["last-month"], "write a month (2025-10), a day (2025-10-03)"),
        (["2025-10..2025-04"], "swap the two"),
        (["2025-10", "--language", "de"], "write id or en"),
        (["2025-10", "--json", "--csv"], "take one of both"),
    ],
)
def test_mistyped(full: Path, words: list[str], cure: str) -> None:
    assert cure in say(*words, status=2)


def test_no_records_yet(state: Path) -> None:
    assert "no recorder has run here" in say("2025-10", status=1)


def test_a_place_that_takes_no_file(full: Path) -> None:
    (full / "file").touch()
    shown = say("2026-11", "--html", str(full / "file" / "r.html"), status=1)
    assert "not written" in shown
    assert "name another place" in shown


def test_a_fault_elsewhere_in_the_city_hides_no_figure(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (PROJECT / "asterisk-config" / "city.toml").read_text()
    city = full / "city.toml"
    city.write_text(text.replace('"Kediri"', '"Batu"') + "\n[nonsense]\n")
    monkeypatch.setenv("GERBANG_CITY", str(city))
    assert "112 Batu: report" in say("2026-11")
    city.write_text("[city\n")
    shown = say("2026-11")
    assert "`gerbang check` says what is wrong" in shown
    assert "Asia/Jakarta" in shown


def test_a_language_we_do_not_print_is_printed_in_english(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = full / "city.toml"
    city.write_text(
        '[city]\nname = "Dili"\nsystem_name = "dili-1"\nlanguage = "pt"\n'
        'timezone = "Asia/Dili"\n'
    )
    monkeypatch.setenv("GERBANG_CITY", str(city))
    say("2026-11", "--html", str(full / "r.html"))
    page = (full / "r.html").read_text()
    assert "112 Dili: report" in page
    assert "Asia/Dili" in page
