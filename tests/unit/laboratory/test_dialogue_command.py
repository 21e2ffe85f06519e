"""`evaluate DIR --dialogue` and `replay` as they are typed."""

from __future__ import annotations

import asyncio
import json
import wave
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from pbx.commands import ghostfilter
from pbx.laboratory.dialogue import line
from pbx.model.verdict import Reason, Ruling
from pbx.records.database import open_engine
from pbx.records.field import field_calls
from pbx.records.journal import Journal
from pbx.records.store import RecordStore
from pbx.records.tables import reviews
from pbx.settings import PROJECT
from tests.unit.ghostfilter.sounds import silence
from tests.unit.laboratory import mini_corpus
from tests.unit.laboratory.test_replay import AT, keep

CITY = PROJECT / "asterisk-config" / "city.toml"


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    ghostfilter.register(app)
    return app


@pytest.fixture(autouse=True)
def _here(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = tmp_path_factory.getbasetemp() / "laboratory-state"
    monkeypatch.setenv("GERBANG_CACHE", str(state / "cache"))
    monkeypatch.setenv("GERBANG_STATE", str(state / "none"))
    monkeypatch.setenv("GERBANG_CITY", str(CITY))
    monkeypatch.delenv("GERBANG_DATABASE_URL", raising=False)


def test_whole_calls_as_json(app: typer.Typer, callers: Path) -> None:
    argv = ["ghostfilter", "evaluate", str(callers), "--dialogue", "--json"]
    ended = CliRunner().invoke(app, [*argv, "--calls", "40", "--seed", "3", "-j", "2"])
    found = json.loads(ended.stdout)
    assert found["is_whole"] is True
    assert (found["calls"], found["people_n"], found["seed"]) == (40, 30, 3)
    assert found["people_released_by_city"] == 0
    assert ended.exit_code == (4 if found["lost"] else 0)


def test_one_call_alone_is_told_and_written(
    app: typer.Typer, callers: Path, tmp_path: Path
) -> None:
    argv = ["ghostfilter", "evaluate", str(callers), "--dialogue", "--only", "13"]
    ended = CliRunner().invoke(app, [*argv, "--write", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    assert "call 13 of seed 112: presses a key" in ended.stdout
    assert "pass at" in ended.stdout
    with wave.open(str(tmp_path / "call-112-13.wav"), "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        pcm = file.readframes(file.getnframes())
    caller, ours = np.frombuffer(pcm, "<i2").reshape(-1, 2).T
    assert np.abs(ours[: 8000 * 3]).max() > 3000  # the greeting
    assert 0 < np.abs(caller).max() < 3000


def test_a_folder_without_people_is_refused(app: typer.Typer, tmp_path: Path) -> None:
    argv = ["ghostfilter", "evaluate", str(tmp_path), "--dialogue", "-j", "1"]
    ended = CliRunner().invoke(app, argv)
    assert ended.exit_code == 1
    assert "no manifest.csv" in ended.stderr
    mini_corpus.write(tmp_path)
    table = (tmp_path / "manifest.csv").read_text().splitlines()
    ghosts = [row for row in table if ",speech," not in row]
    (tmp_path / "manifest.csv").write_text("\n".join(ghosts))
    ended = CliRunner().invoke(app, argv)
    assert ended.exit_code == 1
    assert "no clip is labelled speech" in ended.stderr


def test_without_codecs_the_report_says_so(
    app: typer.Typer, callers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise line.CodecError("libgsm.so.1 is missing")

    monkeypatch.setattr(line, "through_codec", missing)
    argv = ["ghostfilter", "evaluate", str(callers), "--dialogue", "-j", "1"]
    ended = CliRunner().invoke(app, [*argv, "--calls", "40"])
    assert "No mobile phones among them: libgsm.so.1 is missing" in ended.stdout


def test_ctrl_c_tells_what_was_played(
    app: typer.Typer, callers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pbx.laboratory.dialogue import run

    whole = run._play

    def tired(theatre: run.Theatre, indices: range) -> run.Part:
        if indices.start:
            raise KeyboardInterrupt
        return whole(theatre, indices)

    monkeypatch.setattr(run, "_play", tired)
    argv = ["ghostfilter", "evaluate", str(callers), "--dialogue", "-j", "1"]
    ended = CliRunner().invoke(app, [*argv, "--calls", "60"])
    assert ended.exit_code == 130
    assert f"{run.CHUNK} whole calls" in ended.stdout
    assert f"interrupted after {run.CHUNK} of 60" in ended.stderr


def test_replay_as_typed(app: typer.Typer, tmp_path: Path) -> None:
    keep(tmp_path, "a", silence(8))
    argv = ["ghostfilter", "replay", "--kept", str(tmp_path), "--city", str(CITY)]
    ended = CliRunner().invoke(app, argv)
    assert ended.exit_code == 0, ended.output
    assert "1 stored calls played again." in ended.stdout
    assert "No records here" in ended.stderr
    data = json.loads(CliRunner().invoke(app, [*argv, "--json"]).stdout)
    assert (data["is_whole"], data["calls"], data["otherwise"]) == (True, 1, 0)
    (tmp_path / "2026-11-20" / "a.wav").write_bytes(b"no sound")
    ended = CliRunner().invoke(app, argv)
    assert ended.exit_code == 3
    assert "a.wav: cannot be read" in ended.stdout
    ended = CliRunner().invoke(app, [*argv, "--since", "1m"])
    assert ended.exit_code == 0
    assert "Nothing was tried" in ended.stdout
    argv[3] = str(tmp_path / "mistyped")
    ended = CliRunner().invoke(app, argv)
    assert ended.exit_code == 1
    assert "mistyped: there is no such folder" in ended.stderr


async def records(url: str, person: str, nobody: str) -> str:
    """Fill a store; returns the id of the call an operator took."""
    store = await RecordStore.open(url)
    journal = Journal(PROJECT / "tests/replay/key-connected/journal.jsonl", {})
    while (batch := journal.read()) is not None:
        await store.record(batch)
        journal.advance(batch)
    journal.close()
    await store.close()
    engine = open_engine(url)
    row = {"kind": "released", "ruling": "release", "reason": "silent", "because": ""}
    marked = [
        row | {"call_id": person, "at": AT, "review": "was-a-person"},
        row | {"call_id": nobody, "at": AT, "review": "nobody"},
    ]
    async with engine.begin() as connection:
        await connection.execute(sa.insert(reviews), marked)
    (connected,) = await field_calls(engine, None)
    await engine.dispose()
    return connected.call_id


def test_replay_asks_the_records_who_was_valid(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    monkeypatch.setenv("GERBANG_DATABASE_URL", url)
    connected = asyncio.run(records(url, "person", "nobody"))
    low = {"ruling": Ruling.LOW_PRIORITY, "reason": Reason.NOISE}
    for call_id in (connected, "person", "nobody"):
        keep(tmp_path, call_id, silence(8), **low)  # type: ignore[arg-type]
    argv = ["ghostfilter", "replay", "--kept", str(tmp_path), "--city", str(CITY)]
    ended = CliRunner().invoke(app, [*argv, "--json"])
    assert ended.exit_code == 4, ended.output
    truths = {
        call["call_id"]: call["truth"]
        for call in json.loads(ended.stdout)["calls_otherwise"]
    }
    assert truths == {connected: "connected", "person": "was a person", "nobody": None}


def test_replay_names_a_bad_store(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "records.sqlite3").write_bytes(b"not a database" * 100)
    url = f"sqlite:///{tmp_path / 'records.sqlite3'}"
    monkeypatch.setenv("GERBANG_DATABASE_URL", url)
    ended = CliRunner().invoke(app, ["ghostfilter", "replay", "--city", str(CITY)])
    assert ended.exit_code == 1
    assert "The records cannot be read" in ended.stderr


def test_replay_names_a_bad_city(app: typer.Typer, tmp_path: Path) -> None:
    argv = ["ghostfilter", "replay", "--city"]
    ended = CliRunner().invoke(app, [*argv, str(tmp_path / "none.toml")])
    assert ended.exit_code == 1
    assert "none.toml: No such file or directory" in ended.stderr
    (tmp_path / "bad.toml").write_text("[city]\n")
    ended = CliRunner().invoke(app, [*argv, str(tmp_path / "bad.toml")])
    assert ended.exit_code == 1
    assert "bad.toml" in ended.stderr
