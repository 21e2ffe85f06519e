"""`gerbang token`: made once, listed without itself, revoked for ever."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pbx.__main__ import build
from pbx.commands.token.create import ScopeName
from pbx.records.tokens import Scope, split

APP = build(["token"])


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(APP, ["token", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_token_from_its_first_to_its_last_day(state: Path) -> None:
    code, text, said = run("create", "cad", "--scope", "personal", "--scope", "read")
    assert code == 0
    assert split(text.strip()), "stdout is the token and nothing else"
    assert "not shown again" in said.replace("\n", " ")
    secret = (split(text.strip()) or ("", ""))[1]
    with sqlite3.connect(state / "records.sqlite3") as store:
        dump = "\n".join(store.iterdump())
    store.close()
    assert "cad" in dump
    assert secret not in dump

    code, listed, _ = run("list", "--json")
    [told] = [json.loads(line) for line in listed.splitlines()]
    assert (code, told["name"], told["state"]) == (0, "cad", "valid")
    assert told["scopes"] == ["personal", "read"]
    assert told["last_used_at"] is None
    assert secret not in listed

    assert run("revoke", "cad")[0] == 0
    assert run("revoke", "cad")[0] == 0
    assert "revoked" in run("list")[1]
    with sqlite3.connect(state / "records.sqlite3") as store:
        said = store.execute("SELECT action, details FROM audit").fetchall()
    store.close()
    assert [action for action, _ in said] == ["token-created", "token-revoked"]
    assert '"scopes": "read personal"' in said[0][1]
    code, _, why = run("create", "cad", "--scope", "read")
    assert code == 1
    assert "choose another" in why


def test_what_cannot_be_is_said_with_its_cure(tmp_path: Path) -> None:
    assert "no name for a token" in run("create", "CAD 1", "--scope", "read")[2]
    assert "gerbang token list" in run("revoke", "nobody")[2]
    assert run("create", "cad")[0] == 2
    assert run("create", "cad", "--scope", "everything")[0] == 2
    assert "No tokens yet" in run("list")[1]
    (tmp_path / "records.sqlite3").unlink()
    (tmp_path / "records.sqlite3").write_text("this is no database, is it? " * 100)
    code, _, why = run("list")
    assert code == 1
    assert "record store cannot be used" in why


def test_the_scopes_of_the_command_line_are_all_there_are() -> None:
    assert [s.value for s in ScopeName] == [s.value for s in Scope]
