"""`gerbang control` as its own process beside a real Asterisk."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pbx.asterisk import run
from pbx.settings import PROJECT
from tests.fakes.live_city import LiveCity, live_city
from tests.fakes.trunk_call import TrunkCall
from tests.patience import until, whole_lines

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]


def gerbang(command: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "pbx", command, *arguments]


def environment(live: LiveCity) -> dict[str, str]:
    return os.environ | {
        "GERBANG_STATE": str(live.settings.state),
        "GERBANG_CITY": str(live.settings.city_file),
        "PYTHONPATH": str(PROJECT),
    }


@pytest.fixture
async def live(
    tmp_path: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> AsyncIterator[LiveCity]:
    async with live_city(tmp_path, asterisk_root, asterisk_user) as live:
        yield live


@contextmanager
def control(live: LiveCity) -> Iterator[subprocess.Popen[bytes]]:
    with (live.settings.state / "control.log").open("ab") as log:
        process = subprocess.Popen(
            gerbang("control"), env=environment(live), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def told(live: LiveCity) -> dict[str, Any]:
    """The control room's status file."""
    try:
        text = (live.settings.run / "control.status.json").read_text()
        return dict(json.loads(text))
    except (OSError, ValueError):
        return {"figures": {}, "alarms": {}, "pid": None}


def rows(live: LiveCity, query: str) -> list[tuple[Any, ...]]:
    path = live.settings.state / "records.sqlite3"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=5)) as database:
        try:
            return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def witnessed(live: LiveCity) -> list[tuple[Any, ...]]:
    """Trunk, number, caller; whether it ended; whether Asterisk said why (a BYE without
    a Reason header is cause 0)."""
    return rows(
        live,
        "SELECT trunk, number, ani, ended_at IS NOT NULL, cause IS NOT NULL "
        "FROM witnessed_calls ORDER BY seen_at",
    )


def is_up(live: LiveCity, process: subprocess.Popen[bytes]) -> bool:
    status = told(live)
    return status["pid"] == process.pid and status["figures"].get("link_up") is True


SEEN = ("carrier", "112", "081234567890")


async def test_witness_and_alarms_through_every_loss(live: LiveCity) -> None:
    """One call told whole; one lost with our death; one lost with Asterisk's."""
    with ExitStack() as calls:
        await _through_every_loss(live, calls)


async def _through_every_loss(live: LiveCity, calls: ExitStack) -> None:
    with control(live) as process:
        await until(lambda: is_up(live, process))
        call = calls.enter_context(TrunkCall("127.0.0.2", live.sip))
        await call.invite()
        await until(lambda: witnessed(live) == [(*SEEN, 0, 0)])
        # No phone is registered: nobody can answer.
        await until(lambda: "no-operator-darurat" in told(live)["alarms"])
        page = await asyncio.to_thread(
            subprocess.run,
            gerbang("status", "--json"),
            env=environment(live),
            capture_output=True,
            check=False,
        )
        assert page.returncode == 1
        overview = json.loads(page.stdout)
        assert overview["running"]
        assert len(overview["control"]["calls"]) == 1
        assert "no-operator-darurat" in {a["alarm"] for a in overview["alarms"]}
        await call.bye()
        await until(lambda: witnessed(live) == [(*SEEN, 1, 1)])

        lost = calls.enter_context(TrunkCall("127.0.0.2", live.sip))
        await lost.invite()
        await until(lambda: len(witnessed(live)) == 2)
        process.kill()
        process.wait()
        await lost.bye()

    with control(live) as process:
        await until(lambda: witnessed(live)[1:] == [(*SEEN, 1, 0)])
        await until(lambda: is_up(live, process))
        cut = calls.enter_context(TrunkCall("127.0.0.2", live.sip))
        await cut.invite()
        await until(lambda: len(witnessed(live)) == 3)
        await live.kill()
        await until(lambda: "manager-link" in told(live)["alarms"])
        await live.start()
        await until(lambda: witnessed(live)[2:] == [(*SEEN, 1, 0)])
        await until(lambda: "asterisk-restarted" in told(live)["alarms"])
        await until(lambda: "manager-link" not in told(live)["alarms"])
        assert len(rows(live, "SELECT * FROM asterisk_boots")) == 2

        os.kill(live.pid, signal.SIGSTOP)
        stopped_at = time.monotonic()
        await until(lambda: "manager-link" in told(live)["alarms"])
        print(f"stopped Asterisk: alarm after {time.monotonic() - stopped_at:.1f} s")
        os.kill(live.pid, signal.SIGCONT)
        await until(lambda: "manager-link" not in told(live)["alarms"])

        process.terminate()
        assert await asyncio.to_thread(process.wait, 5) == 0


async def test_the_database_gone_and_back(live: LiveCity) -> None:
    """Locked for longer than a call lasts; the call is witnessed all the same."""
    with control(live) as process:
        await until(lambda: is_up(live, process))
        await until(lambda: len(rows(live, "SELECT * FROM asterisk_boots")) == 1)
        path = live.settings.state / "records.sqlite3"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with TrunkCall("127.0.0.2", live.sip) as call:
                await call.invite()
                await call.bye()
            await until(lambda: told(live)["figures"]["witness_unstored"] == 2)
            await until(lambda: "witness-not-stored" in told(live)["alarms"])
            other.execute("ROLLBACK")
        await until(lambda: witnessed(live) == [(*SEEN, 1, 1)])
        await until(lambda: "witness-not-stored" not in told(live)["alarms"])


async def test_calls_whose_intake_hangs_come_home(live: LiveCity) -> None:
    """One held by a worker that is gone, one by a worker that never said a word."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        holders.append(writer)
        await reader.readuntil(b"\n\n")
        if len(holders) == 1:
            for said in (b"INTAKE started", b"INTAKE_WORKER 0"):
                writer.write(b"SET VARIABLE " + said + b"\n")
                await reader.readline()
        await reader.read()
        writer.close()

    holders: list[asyncio.StreamWriter] = []
    agi = await asyncio.start_server(hold, "127.0.0.1", live.city.network.agi_port)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    live.settings.run.mkdir(exist_ok=True)
    status = {"process": "intake-0", "pid": dead.pid}
    (live.settings.run / "intake-0.status.json").write_text(json.dumps(status))
    with ExitStack() as stack:
        process = stack.enter_context(control(live))
        await until(lambda: is_up(live, process))
        for count in (1, 2):
            call = stack.enter_context(TrunkCall("127.0.0.2", live.sip))
            await call.invite()
            await until(lambda count=count: len(holders) == count)
        held_at = time.monotonic()
        await until(lambda: told(live)["figures"].get("rescued_calls") == 2)
        took = time.monotonic() - held_at
        print(f"held by a dead and by a mute intake: rescued after {took:.1f} s")
        assert took < 8
        assert "calls-rescued" in told(live)["alarms"]

        async def are_in_queue() -> bool:
            channels = await live.console("core show channels concise")
            return channels.count("!Queue!") == 2

        await until(are_in_queue)
        rescued = '"usereventname":"RESCUED"'
        told_so = whole_lines(live.settings.journal)
        assert sum(rescued in line for line in told_so) == 2
    agi.close()
    await agi.wait_closed()
