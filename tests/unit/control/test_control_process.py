"""The whole control room on a scripted manager: page, alarms, nets, clean end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from pbx import parts
from pbx.ami import Timing
from pbx.control import process
from pbx.control.active import ActiveCity
from pbx.control.process import Control
from pbx.model.city import CityError
from pbx.settings import Settings
from pbx.simulator.declaration import free_run
from tests.fakes.control_room import CITY_TEXT, FakeStore
from tests.fakes.manager import FakeManager, channel
from tests.patience import until

QUICK = Timing(ping_every=0.1, pong=0.5, first_retry=0.02, longest_retry=0.1)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOOK_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(process, "CHANNELS_EVERY_LOOKS", 1)
    monkeypatch.setattr(parts, "RESTART_SECONDS", 0.05)
    monkeypatch.setattr(parts, "HEALTHY_SECONDS", 0.2)


def make_settings(
    state: Path, manager_port: int, status_port: int | None = None
) -> Settings:
    """A state directory whose city points at a scripted manager."""
    state.mkdir(exist_ok=True)
    city = state / "city.toml"
    city.write_text(
        CITY_TEXT.replace("manager_port = 5038", f"manager_port = {manager_port}")
        .replace("status_port = 8112", f"status_port = {status_port or free_run(1)}")
        .replace("deadline_seconds = 40", "deadline_seconds = 10")
    )
    settings = Settings(state=state, city_file=city)
    settings.asterisk_home.mkdir(exist_ok=True)
    settings.secrets_file.write_text(
        json.dumps({"manager": {"control": "right"}, "operators": {}})
    )
    return settings


@asynccontextmanager
async def running(control: Control) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(control.run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task


async def get(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


MEMBER = [
    "Event: QueueMember",
    "Queue: darurat",
    "Name: Operator 1",
    "Location: PJSIP/101",
    "Status: 1",
    "Paused: 0",
    "InCall: 0",
]
ENTRY = ["Event: QueueEntry", "Queue: darurat", "Uniqueid: k-1.1", "Wait: 7"]


async def test_a_call_on_the_page_and_in_the_book(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    store = FakeStore()
    in_filter = channel(
        "PJSIP/carrier-1", "k-1.1", Context="filter-filter0", Application="AGI"
    )
    async with FakeManager(channels=[in_filter], queue_items=[MEMBER, ENTRY]) as server:
        settings = make_settings(tmp_path, server.port, unused_tcp_port)
        control = Control(settings, store, timing=QUICK)
        async with running(control):
            await until(lambda: control.room.is_linked and len(store.told) == 2)
            await until(lambda: (settings.run / "control.status.json").exists())
            code, body = await get(unused_tcp_port, "/status")
            told = json.loads(body)
            health = await get(unused_tcp_port, "/healthz")
            metrics = (await get(unused_tcp_port, "/metrics"))[1]
            assert (await get(unused_tcp_port, "/nothing"))[0] == 404
    assert code == 200
    assert told["link"]["up"]
    [call] = told["calls"]
    assert (call["call_id"], call["stage"], call["application"]) == (
        "k-1.1",
        "filter",
        "AGI",
    )
    darurat = told["queues"][0]
    assert (darurat["waiting"], darurat["operators"]) == (1, {"free": 1})
    assert darurat["longest_wait_seconds"] >= 7
    assert told["operators"][0]["state"] == "free"
    assert told["operators"][2]["state"] == "in no queue"
    assert told["processes"][0]["process"] == "control"
    assert "0812" not in body  # nobody's number leaves this room
    assert health == (200, '{"ok": true, "manager_link": true}')
    assert "gerbang_manager_link_up 1.0" in metrics
    assert 'gerbang_queue_waiting{queue="darurat"} 1.0' in metrics
    assert 'gerbang_queue_operators{queue="darurat",state="free"} 1.0' in metrics
    assert 'gerbang_calls{stage="filter"} 1.0' in metrics
    assert "gerbang_rescued_calls_total 0.0" in metrics
    assert store.told[1] == ("seen", "k-1.1", "carrier", "")


async def test_blind_and_then_seeing(tmp_path: Path, unused_tcp_port: int) -> None:
    """Started before Asterisk: an alarm, no fall; it clears by itself."""
    server = FakeManager(port=unused_tcp_port, queue_items=[MEMBER])
    control = Control(
        make_settings(tmp_path, unused_tcp_port), FakeStore(), timing=QUICK
    )
    async with running(control):
        await until(lambda: "manager-link" in control.status.alarms)
        sentence = control.status.alarms["manager-link"]["sentence"]
        assert "is Asterisk running?" in sentence
        await server.start()
        await until(lambda: "manager-link" not in control.status.alarms)
        await server.stop()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbx.control.watch.GONE_SECONDS", 0.2)
    monkeypatch.setattr("pbx.control.watch.RETRY_SECONDS", 60)


@pytest.mark.usefixtures("_impatient")
async def test_a_call_whose_intake_is_gone_is_sent_to_rescue(tmp_path: Path) -> None:
    held = [
        *channel("PJSIP/carrier-1", "k-1.1", Context="filter-filter0"),
        "Application: AudioSocket",
        "ChanVariable: INTAKE=started",
        "ChanVariable: INTAKE_WORKER=0",
    ]
    async with FakeManager(channels=[held]) as server:
        settings = make_settings(tmp_path, server.port)
        settings.run.mkdir()
        dead = {"process": "intake-0", "pid": 2**22 + 1}
        (settings.run / "intake-0.status.json").write_text(json.dumps(dead))
        control = Control(settings, FakeStore(), timing=QUICK)
        async with running(control):
            await until(lambda: "calls-rescued" in control.status.alarms)
    redirects = [a for a in server.asked if a["Action"] == "Redirect"]
    assert [(r["Channel"], r["Context"], r["Exten"]) for r in redirects] == [
        ("PJSIP/carrier-1", "rescue", "s")
    ]


async def test_one_part_that_falls_takes_nothing_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The page's port is taken by a stranger; then it is free again."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        async with FakeManager() as server:
            control = Control(
                make_settings(tmp_path, server.port, port), FakeStore(), timing=QUICK
            )
            async with running(control):
                await until(lambda: "part-page" in control.status.alarms)
                await until(lambda: control.room.is_linked)
                await until(
                    lambda: control.status.figures.get("control_part_failures", 0) >= 2
                )
                stranger.close()
                await until(lambda: "part-page" not in control.status.alarms)
                assert (await get(port, "/healthz"))[0] == 200
    assert caplog.text.count("page failed, starting it again") == 1


async def test_a_database_that_is_gone_fells_nothing(tmp_path: Path) -> None:
    store = FakeStore(is_gone=True)
    async with FakeManager(channels=[channel("PJSIP/carrier-1", "k-1.1")]) as server:
        control = Control(make_settings(tmp_path, server.port), store, timing=QUICK)
        async with running(control):
            await until(lambda: control.status.figures.get("witness_unstored") == 2)
            assert control.status.figures["control_part_failures"] == 0
            store.is_gone = False
            await until(lambda: len(store.told) == 2)


async def test_channels_that_cannot_be_seen_are_said_and_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeManager(channels=[channel("PJSIP/carrier-1", "k-1.1")]) as server:
        control = Control(
            make_settings(tmp_path, server.port), FakeStore(), timing=QUICK
        )
        async with running(control):
            await until(lambda: control.room.is_linked)

            async def no(server: FakeManager, action: dict[str, str]) -> None:
                own = f"ActionID: {action['ActionID']}"
                await server.say("Response: Error", own, "Message: not now")

            server.answers["CoreShowChannels"] = no
            await until(lambda: "channels not seen" in caplog.text)
            assert control.link.is_up


async def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    """The real entry point with a real (SQLite) store."""
    async with FakeManager(channels=[channel("PJSIP/carrier-1", "k-1.1")]) as server:
        settings = make_settings(tmp_path, server.port)
        task = asyncio.create_task(process.run(settings))
        await until(lambda: server.logins)
        await until(lambda: (settings.run / "control.status.json").exists())
        await until(lambda: (tmp_path / "records.sqlite3").exists())
        os.kill(os.getpid(), 15)
        async with asyncio.timeout(30):
            await task


# ── the active city ──────────────────────────────────────────────────────────────────


def test_the_rendered_city_counts_and_a_bad_one_never_replaces_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings(tmp_path, 5999)
    active = ActiveCity(settings)
    assert active.read().network.manager_port == 5999
    assert active.read() is active.read()
    current = settings.asterisk_home / "current"
    current.mkdir()
    (current / "city.toml").write_text(CITY_TEXT)
    assert active.read().network.manager_port == 5038
    (current / "city.toml").write_text("not = [toml")
    assert active.read().network.manager_port == 5038
    assert "keeping the last" in caplog.text


def test_no_city_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ActiveCity(Settings(state=tmp_path, city_file=tmp_path / "none.toml")).read()
    (tmp_path / "bad.toml").write_text("x = 1")
    with pytest.raises(CityError):
        ActiveCity(Settings(state=tmp_path, city_file=tmp_path / "bad.toml")).read()


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        (None, r"no secret .* `gerbang render`"),
        ('{"manager": {}, "operators": {}}', r"no secret .* `gerbang render`"),
        ("{", "Restore the file from a backup, or move it away"),
        ("{}", "Restore the file from a backup, or move it away"),
    ],
)
def test_a_missing_secret_names_its_cure(
    tmp_path: Path, text: str | None, cure: str
) -> None:
    settings = make_settings(tmp_path, 5999)
    settings.secrets_file.unlink()
    if text is not None:
        settings.secrets_file.write_text(text)
    with pytest.raises(ValueError, match=cure):
        ActiveCity(settings).login()
