"""`gerbang webhook …` on a real store."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from typer.testing import CliRunner

from pbx.__main__ import build
from pbx.feed.cursors import feed_cursor
from pbx.records.store import RecordStore
from pbx.records.webhook_tables import webhook_deliveries, webhooks
from tests.fakes.stored_calls import a_call, put
from tests.fakes.webhook_receiver import receiving

GOOD = "https://cad.example/calls"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    async def make() -> None:
        store = await RecordStore.open(_url(tmp_path))
        await put(store, *(a_call(n) for n in range(3)))
        await store.close()

    asyncio.run(make())
    return tmp_path


def _url(state: Path) -> str:
    return f"sqlite+aiosqlite:///{state / 'records.sqlite3'}"


def gerbang(*line: str) -> Result:
    return CliRunner().invoke(build(["webhook"]), ["webhook", *line])


def listed() -> list[dict[str, object]]:
    done = gerbang("list", "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_added_listed_rotated_removed() -> None:
    assert "Nobody is told" in gerbang("list").output
    done = gerbang("add", GOOD, "--types", "closed", "--types", "revised")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("webhook 1\nsecret  whsec_")
    (one,) = listed()
    assert one["url"] == GOOD
    assert one["types"] == [
        "id.gerbang112.call.closed.v1",
        "id.gerbang112.call.revised.v1",
    ]
    assert (one["personal"], one["behind"], one["waiting"]) == (False, 0, 0)
    shown = gerbang("list").stdout
    assert GOOD in shown
    assert "masked" in shown
    assert "whsec_" not in shown + json.dumps(one)
    renewed = gerbang("rotate", "1")
    assert renewed.stdout.startswith("secret  whsec_")
    assert renewed.stdout.split()[1] not in done.stdout
    assert gerbang("enable", "1").exit_code == 0
    assert gerbang("replay", "1", "--dead").exit_code == 0
    assert gerbang("remove", "1").exit_code == 0
    assert listed() == []


def test_who_adds_and_removes_is_in_the_audit(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "sari")
    lines = (
        ("add", GOOD),
        ("rotate", "1"),
        ("enable", "1"),
        ("replay", "1", "--dead"),
        ("replay", "1", "--since", "1h"),
        ("remove", "1"),
        ("add", GOOD, "--personal", "--reason", "call back"),
        ("enable", "2"),
    )
    for line in lines:
        assert gerbang(*line).exit_code == 0
    with sqlite3.connect(state / "records.sqlite3") as store:
        rows = "SELECT actor, action, reason, details FROM audit ORDER BY seq"
        found = store.execute(rows).fetchall()
    store.close()
    assert [action for _, action, _, _ in found] == [
        "subscribed", "rotated", "enabled", "replayed", "replayed", "unsubscribed",
        "subscribed-personal", "enabled-personal",
    ]  # fmt: skip
    assert {actor for actor, _, _, _ in found} == {"sari (command line)"}
    assert found[0][3] == '{"host": "cad.example", "webhook": 1}'
    assert found[6][2] == "call back"


def test_without_an_audit_nobody_is_subscribed(state: Path) -> None:
    (state / "secrets").mkdir(exist_ok=True)
    (state / "secrets" / "audit.key").write_text("no key")
    done = gerbang("add", GOOD)
    assert done.exit_code == 1
    assert "audit.key" in done.stderr
    assert listed() == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["add", "http://cad.example/"], "encrypted"),
        (["add", "https://10.0.0.5/"], "private address"),
        (["add", GOOD, "--personal"], "--reason"),
        (["deliveries", "1", "--state", "lost"], "pending, delivered, dead"),
        (["replay", "1"], "say one of"),
        (["replay", "1", "--dead", "--since", "2d"], "say one of"),
        (["replay", "1", "--after", "17"], "no cursor"),
    ],
)
def test_what_cannot_be_meant(line: list[str], said: str) -> None:
    done = gerbang(*line)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
    assert listed() == []


@pytest.mark.parametrize(
    "line",
    [
        ["remove", "7"],
        ["rotate", "7"],
        ["enable", "7"],
        ["deliveries", "7"],
        ["replay", "7", "--dead"],
        ["test", "7"],
    ],
)
def test_there_is_none(line: list[str]) -> None:
    done = gerbang(*line)
    assert done.exit_code == 1
    assert "there is no webhook 7" in done.output


def test_personal_data_with_a_reason() -> None:
    done = gerbang("add", GOOD, "--personal", "--reason", "dispatch calls back")
    assert done.exit_code == 0, done.output
    assert listed()[0]["personal"] is True


async def _one(state: Path, statement: sa.Executable) -> None:
    store = await RecordStore.open(_url(state))
    async with store.engine.begin() as connection:
        await connection.execute(statement)
    await store.close()


def test_deliveries_and_replays(state: Path) -> None:
    gerbang("add", GOOD)
    assert "There are none." in gerbang("deliveries", "1").output
    row = {
        "webhook": 1, "call_id": a_call(1).call_id, "revision": 1, "cursor": 2,
        "state": "dead", "attempts": 11, "queued_at": a_call(1).started_at,
        "due_at": a_call(1).started_at, "tried_at": a_call(1).started_at,
        "status": 500, "why": "500 [bold]Error",
    }  # fmt: skip
    asyncio.run(_one(state, sa.insert(webhook_deliveries).values(**row)))
    asyncio.run(
        _one(state, sa.update(webhooks).values(disabled_why="it said 410 Gone"))
    )
    assert "off: it said 410 Gone" in gerbang("list").stdout
    shown = gerbang("deliveries", "1", "--state", "dead").stdout
    assert "500 [bold]Error" in shown
    (told,) = gerbang("deliveries", "1", "--json").stdout.splitlines()
    assert json.loads(told)["why"] == "500 [bold]Error"
    assert gerbang("replay", "1", "--dead").stdout == "1 calls are told again\n"
    assert gerbang("replay", "1", "--dead").stdout == "There are none.\n"
    assert listed()[0]["waiting"] == 1
    for place in (["--after", feed_cursor(1)], ["--after", feed_cursor(0)]):
        done = gerbang("replay", "1", *place)
        assert done.exit_code == 0, done.output
    assert listed()[0]["behind"] == 3
    assert gerbang("replay", "1", "--since", "1d").stdout == "3 calls are told again\n"


def test_a_test_event() -> None:
    async def try_it() -> tuple[list[dict[str, object]], Result, Result]:
        async with receiving() as receiver:
            added = gerbang_in_thread("add", receiver.url, "--private")
            receiver.secret = (await added).stdout.split()[-1]
            taken = await gerbang_in_thread("test", "1")
        refused = await gerbang_in_thread("test", "1")
        return receiver.events, taken, refused

    async def gerbang_in_thread(*line: str) -> Result:
        return await asyncio.to_thread(gerbang, *line)

    events, taken, refused = asyncio.run(try_it())
    assert (taken.exit_code, taken.stdout) == (0, "It answered 204.\n")
    assert [event["type"] for event in events] == ["id.gerbang112.test.v1"]
    assert refused.exit_code == 1
    assert "Not taken: Cannot connect" in refused.output
