"""The real `gerbang run`: real Asterisk, real processes, real calls, real harm."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pbx import status
from pbx.asterisk import run
from pbx.settings import PROJECT
from pbx.simulator.operator import Operator
from pbx.simulator.script import Press, Script, Silence
from pbx.simulator.trial import TrialCity
from pbx.simulator.voices import human_voice
from tests.patience import until

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]

SAYS_NOTHING_THEN_PRESSES = Script((Silence(2.5), Press("0")))
PRESSES = Script((Silence(0.5), Press("0")))


@pytest.fixture
async def city() -> AsyncIterator[TrialCity]:
    async with TrialCity() as trial:
        yield trial
        state = trial.settings.state
    assert who_serves(state) == []  # nothing is ever left behind


def measured(what: str, seconds: float) -> None:
    """Shown by pytest -s: what people will wait for."""
    print(f"{what}: {seconds:.2f} s")


def who_serves(state: Path) -> list[str]:
    """Every process that works for this state directory, Asterisk included."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = process.cmdline()
            if process.environ().get("GERBANG_STATE") == str(state) or any(
                str(state) in argument for argument in line
            ):
                found.append(f"{process.pid}: {' '.join(line)[:100]}")
    if (pid := run.running_pid(state / "asterisk")) is not None:
        found.append(f"{pid}: asterisk")
    return found


def told(city: TrialCity) -> dict[str, Any]:
    """What the supervisor's status file says of each process."""
    for said in status.read_all(city.settings.run):
        if said["process"] == "supervisor":
            processes: dict[str, Any] = said["figures"].get("processes", {})
            return processes
    return {}


async def replaced(city: TrialCity, name: str, restarts: int = 1) -> float:
    """Wait until it has been restarted so often and is ready; the seconds it took."""

    def is_back() -> bool:
        now = told(city)[name]
        return bool(now["state"] == "ready" and now["restarts"] == restarts)

    return await until(is_back)


def keeper(city: TrialCity) -> asyncio.subprocess.Process:
    assert city._keeper is not None
    return city._keeper


def records(city: TrialCity) -> int:
    with sqlite3.connect(city.settings.state / "records.sqlite3") as store:
        return int(store.execute("select count(*) from calls").fetchone()[0])


async def test_whatever_falls_is_replaced_and_the_end_leaves_nothing(
    city: TrialCity,
) -> None:
    for name in ("intake-0", "control", "feed", "recorder"):
        city.kill(name)
        measured(f"{name} ready after kill -9", await replaced(city, name))

    [old] = city.freeze("intake-1")
    took = await until(lambda: city.processes().get("intake-1") not in (None, old))
    assert 2.0 < took < 10
    assert not psutil.pid_exists(old)
    measured("intake-1 replaced after SIGSTOP", took)

    # Only bubblewrap's outer process: Asterisk goes on and is taken over.
    inner = city.processes()["asterisk"]
    os.kill(told(city)["asterisk"]["pid"], signal.SIGKILL)
    await until(lambda: f"asterisk {inner} runs already: taken over" in says(city))
    await replaced(city, "asterisk")
    assert city.processes()["asterisk"] == inner

    city.kill("asterisk")
    took = await replaced(city, "asterisk", restarts=2)
    assert city.processes()["asterisk"] != inner
    measured("asterisk ready after kill -9", took)

    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pbx", "run"),
        env=os.environ | environment(city),
        stderr=asyncio.subprocess.PIPE,
    )
    _, refusal = await second.communicate()
    assert second.returncode == 1
    assert f"kill {keeper(city).pid}" in refusal.decode()

    process = keeper(city)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    measured("Ctrl-C without calls", time.monotonic() - started)
    assert "everything has ended" in says(city)
    assert who_serves(city.settings.state) == []


async def test_a_killed_supervisor_costs_no_call(city: TrialCity) -> None:
    """kill -9: our processes drain, Asterisk goes on, the next run takes it over."""
    operator = await operator_101(city, answer_after_seconds=None)
    call = await city.place_call(PRESSES)
    await call.ringing()
    before = city.processes()
    # Killed while it drains: Asterisk has been told to end after its last call.
    keeper(city).send_signal(signal.SIGINT)
    await until(lambda: "1 calls in progress" in says(city))
    keeper(city).kill()
    await keeper(city).wait()
    ours = [pid for name, pid in before.items() if name != "asterisk"]
    await until(lambda: not any(psutil.pid_exists(pid) for pid in ours))
    assert run.running_pid(city.settings.asterisk_home) == before["asterisk"]

    await city.start_city()
    after = city.processes()
    assert after["asterisk"] == before["asterisk"]
    assert not set(ours) & set(after.values())

    # The phone's turn may have ended meanwhile; then it rings again.
    await until(lambda: operator.calls[-1].closed_at is None)
    await operator.answer()
    await operator.wait_answered(operator.calls[-1])
    await call.hang_up()
    await until(lambda: records(city) == 1)
    # The new supervisor has called that end off: 112 goes on after the last call.
    assert city.processes() == after
    call = await city.place_call(PRESSES)
    await call.ringing()


async def test_a_drain_serves_the_callers_there_are(city: TrialCity) -> None:
    """Ctrl-C while a caller is still in the filter: he reaches an operator all the
    same. (`core stop gracefully` would refuse the channel that rings the operator.)"""
    operator = await operator_101(city, answer_after_seconds=0.2)
    call = await city.place_call(SAYS_NOTHING_THEN_PRESSES)
    await call.answered()
    process = keeper(city)
    process.send_signal(signal.SIGINT)
    await until(lambda: "draining" in says(city))
    _, rung = await call.ringing()
    await operator.wait_answered(rung)
    await until(lambda: "1 calls in progress" in says(city))
    assert process.returncode is None
    await call.hang_up()
    assert await asyncio.wait_for(process.wait(), 15) == 0
    assert records(city) == 1
    assert who_serves(city.settings.state) == []


async def test_ctrl_c_twice_ends_at_once_and_keeps_the_record(city: TrialCity) -> None:
    operator = await operator_101(city, answer_after_seconds=0.2)
    call = await city.place_call(PRESSES)
    _, rung = await call.ringing()
    await operator.wait_answered(rung)
    process = keeper(city)
    process.send_signal(signal.SIGINT)
    await until(lambda: "1 calls in progress" in says(city))
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    assert await asyncio.wait_for(process.wait(), 15) == 0
    assert time.monotonic() - started < 6
    assert records(city) == 1


async def test_a_taken_port_is_refused_and_a_wrong_city_is_not(
    city: TrialCity,
) -> None:
    """Nobody could serve on a taken port; a wrong city has a last good one."""
    await city.stop_city()
    port = city.city.network.agi_port
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", port)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pbx", "run"),
            env=os.environ | environment(city),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 60)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        server.close()
        await server.wait_closed()
    assert process.returncode == 1
    assert f"TCP port {port} on 127.0.0.1 (agi_port) is held by" in said.decode()
    assert f"(pid {os.getpid()})" in said.decode()

    path = city.settings.city_file
    good = path.read_text()
    path.write_text(good.replace("[network]", "[netwrok]"))
    await city.start_city()
    told_alarms = next(
        said["alarms"]
        for said in status.read_all(city.settings.run)
        if said["process"] == "supervisor"
    )
    assert "netwrok" in told_alarms["city"]["sentence"]


async def operator_101(
    city: TrialCity, *, answer_after_seconds: float | None
) -> Operator:
    voice = human_voice(run.find_root(city.settings).base)
    return await city.operator(
        "101", voice=voice, answer_after_seconds=answer_after_seconds
    )


def environment(city: TrialCity) -> dict[str, str]:
    return {
        "GERBANG_STATE": str(city.settings.state),
        "GERBANG_CITY": str(city.settings.city_file),
        "PYTHONPATH": str(PROJECT),
    }


def says(city: TrialCity) -> str:
    return city.output.read_text(errors="replace")
