"""The supervisor over small real processes: what they do wrong, and what becomes of it.

The real `gerbang run` stands in the second half.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from pbx.status import read_all
from pbx.supervisor import house as house_module
from pbx.supervisor.child import Child, Spec
from pbx.supervisor.house import House
from pbx.supervisor.lines import Style
from pbx.supervisor.output import Output
from pbx.supervisor.printer import Printer
from pbx.supervisor.watch import State
from tests.patience import until

GOOD = """
import asyncio, signal, sys
from pbx.heartbeat import beat
async def main():
    task = asyncio.create_task(beat())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        print("drained", flush=True)
asyncio.run(main())
"""


class Keeper:
    """A house in a scratch directory, and what it printed."""

    def __init__(self, directory: Path) -> None:
        self.run = directory / "run"
        self.run.mkdir()
        self.printed = directory / "printed"
        self._file = os.open(self.printed, os.O_WRONLY | os.O_CREAT)
        self.printer = Printer(self._file)
        self.output = Output(self.printer, Style())
        logging.getLogger("pbx").addHandler(self.output)
        self.house = House(self.run, self.output)
        self.children: dict[str, Child] = {}
        self.announced: list[list[str]] = []
        self.serving: asyncio.Task[None] | None = None

    def hire(self, name: str, script: str, **patience: float | None) -> Child:
        spec = Spec(
            name,
            (sys.executable, "-u", "-c", script),
            {"NOTIFY_SOCKET": self.house.notify.address},
            **patience,  # type: ignore[arg-type]  # only floats are given
        )
        child = self.children[name] = Child(spec, self.house.listener)
        return child

    def start(self) -> None:
        self.serving = asyncio.create_task(
            self.house.serve(
                list(self.children.values()),
                announce=self.announced.append,
                drain_seconds=5,
            )
        )

    async def close(self) -> None:
        if self.serving:
            self.house.stop()
            self.house.stop()
            await asyncio.wait_for(self.serving, 30)
        logging.getLogger("pbx").removeHandler(self.output)
        self.printer.close()
        os.close(self._file)

    def text(self) -> str:
        return self.printed.read_text()


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Keeper]:
    kept = Keeper(tmp_path)
    yield kept
    me = psutil.Process()
    await kept.close()
    assert [p for p in me.children(recursive=True) if "heartbeat" in str(p)] == []


async def test_ready_processes_are_announced_and_stop_in_order(keeper: Keeper) -> None:
    for name in ("intake-0", "control", "recorder"):
        keeper.hire(name, GOOD)
    keeper.start()
    await until(lambda: keeper.announced)
    assert keeper.announced == [[]]
    pids = [child.pid for child in keeper.children.values()]
    assert keeper.serving is not None
    keeper.house.stop()
    await asyncio.wait_for(keeper.serving, 10)
    assert not any(pid and psutil.pid_exists(pid) for pid in pids)
    [told] = read_all(keeper.run)
    states = {n: p["state"] for n, p in told["figures"]["processes"].items()}
    assert states == {"intake-0": "ended", "control": "ended", "recorder": "ended"}
    keeper.printer.close()
    rows = [row for row in keeper.text().splitlines() if "drained" in row]
    assert rows[-1].split()[1] == "recorder"  # it hears everybody's last words
    keeper.serving = None


async def test_a_killed_process_is_back_at_once(keeper: Keeper) -> None:
    child = keeper.hire("intake-0", GOOD)
    keeper.start()
    await until(lambda: child.is_ready)
    old = child.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    await until(lambda: child.pid not in (None, old))
    await until(lambda: child.is_ready)
    assert child.watch.restarts == 1
    await until(lambda: "was ended by SIGKILL; started again at once" in keeper.text())


async def test_a_stopped_process_is_killed_and_replaced(keeper: Keeper) -> None:
    child = keeper.hire("intake-0", GOOD)
    keeper.start()
    await until(lambda: child.is_ready)
    old = child.pid
    assert old is not None
    os.kill(old, signal.SIGSTOP)
    stopped = time.monotonic()
    await until(lambda: child.pid not in (None, old))
    assert 2.4 < time.monotonic() - stopped < 10
    assert not psutil.pid_exists(old)
    await until(lambda: "no heartbeat for " in keeper.text())


async def test_a_process_that_never_gets_ready_is_killed(keeper: Keeper) -> None:
    child = keeper.hire("control", "import time; time.sleep(60)", ready_seconds=0.5)
    keeper.start()
    await until(lambda: child.watch.restarts >= 2)
    await until(lambda: "not ready 0." in keeper.text())


async def test_crashes_back_off_and_raise_an_alarm(keeper: Keeper) -> None:
    child = keeper.hire("control", "raise SystemExit(7)")
    good = keeper.hire("intake-0", GOOD)
    keeper.start()
    await until(lambda: child.watch.restarts >= 5)
    await until(lambda: "restarts-control" in keeper.house.status.alarms)
    [told] = read_all(keeper.run)
    assert "ended with status 7" in told["alarms"]["restarts-control"]["sentence"]
    assert good.watch.restarts == 0
    await until(lambda: "again in 0.4 s" in keeper.text())


async def test_a_program_that_is_not_there_is_told(keeper: Keeper) -> None:
    child = keeper.hire("control", GOOD)
    child.spec = Spec("control", ("/nonexistent",), dies_with_us=False)
    keeper.start()
    await until(lambda: "control cannot be started" in keeper.text())


async def test_a_deaf_process_is_killed_at_the_end(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house_module, "END_SECONDS", 0.5)
    script = (
        "import signal, time\nfrom pbx.heartbeat import notify\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnotify('READY=1')\n"
        "while True:\n    notify('WATCHDOG=1'); time.sleep(0.2)\n"
    )
    child = keeper.hire("control", script)
    keeper.hire("recorder", GOOD)
    keeper.start()
    await until(lambda: keeper.announced)
    old = child.pid
    assert old is not None
    assert keeper.serving is not None
    keeper.house.stop()
    await asyncio.wait_for(keeper.serving, 5)
    assert not psutil.pid_exists(old)
    keeper.serving = None


async def test_what_a_process_leaves_behind_is_swept(keeper: Keeper) -> None:
    script = (
        "import subprocess, time\n"
        "p = subprocess.Popen(['sleep', '300']); print('grandchild', p.pid)\n"
        "time.sleep(0.2); raise SystemExit(1)"
    )
    keeper.hire("control", script)
    keeper.start()
    await until(lambda: "grandchild" in keeper.text())
    pid = int(keeper.text().split("grandchild ")[1].split()[0])
    await until(lambda: not _runs(pid))


async def test_a_flood_starves_nobody(keeper: Keeper) -> None:
    flood = (
        "import threading, sys\n"
        "def pour():\n"
        "    while True: sys.stdout.write('x' * 200 + '\\n')\n"
        "threading.Thread(target=pour, daemon=True).start()\n"
    ) + GOOD
    endless = "import sys\nwhile True: sys.stdout.write('y' * 65536)\n"
    loud = keeper.hire("loud", flood)
    keeper.hire("endless", endless, ready_seconds=60)
    good = keeper.hire("intake-0", GOOD)
    keeper.start()
    await until(lambda: good.is_ready and loud.is_ready)
    before = (good.pid, loud.pid)
    await asyncio.sleep(4)  # longer than the beats' deadline: the fact under test
    assert (good.pid, loud.pid) == before
    assert "loud says too much: " in keeper.text()
    keeper.house.stop()
    keeper.house.stop()
    assert keeper.serving is not None
    await asyncio.wait_for(keeper.serving, 15)
    keeper.serving = None


async def test_bytes_of_any_kind_pass(keeper: Keeper) -> None:
    script = (
        "import sys, time\n"
        "o = sys.stdout.buffer\n"
        r"o.write(b'\xff\xfe\x00 \x1b[2J evil\n{not json\n[1,2]\n{\"a\":1}\n\n')"
        "\n"
        r"o.write(b'{\"message\": \"told\", \"at\": 7, \"level\": [1]}\n')"
        "\n"
        r"o.write(b'last words without an end'); o.flush(); time.sleep(0.1)"
    )
    keeper.hire("control", script)
    good = keeper.hire("intake-0", GOOD)
    keeper.start()
    await until(lambda: "last words without an end" in keeper.text())
    assert "\x1b" not in keeper.text()
    assert "control   told" in keeper.text()
    await until(lambda: good.is_ready)


async def test_a_foreign_beat_does_not_count(keeper: Keeper) -> None:
    """Only the process itself can say that it is well (SO_PASSCRED)."""
    child = keeper.hire("control", "import time; time.sleep(60)", ready_seconds=1.5)
    keeper.start()
    await until(lambda: child.pid is not None)
    code = "from pbx.heartbeat import notify; notify('READY=1')"
    stranger = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        env=os.environ | {"NOTIFY_SOCKET": keeper.house.notify.address},
    )
    await stranger.wait()
    await until(lambda: child.watch.restarts == 1)
    assert not child.is_ready


async def test_a_supervisor_that_slept_judges_nobody(keeper: Keeper) -> None:
    child = keeper.hire("intake-0", GOOD)
    keeper.start()
    await until(lambda: child.is_ready)
    old = child.pid
    assert old is not None
    os.kill(old, signal.SIGSTOP)  # it cannot beat while we sleep, as if we were stopped
    time.sleep(3.5)
    os.kill(old, signal.SIGCONT)
    await until(lambda: "nobody is judged" in keeper.text())
    await asyncio.sleep(0.5)
    assert child.pid == old


@pytest.mark.parametrize("where", ["/dev/full", "closed"])
async def test_nobody_reading_is_no_fault(tmp_path: Path, where: str) -> None:
    kept = Keeper(tmp_path)
    kept.printer.close()
    if where == "closed":
        read, write = os.pipe()
        os.close(read)
    else:
        write = os.open(where, os.O_WRONLY)
    kept.output._printer = kept.printer = Printer(write)
    child = kept.hire("intake-0", GOOD)
    kept.start()
    await until(lambda: child.is_ready)
    old = child.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    await until(lambda: child.is_ready and child.pid != old)
    await kept.close()
    os.close(write)


async def test_a_reader_on_hold_stops_no_heartbeat(tmp_path: Path) -> None:
    """Ctrl-S in the terminal: the pipe is full and nobody reads."""
    kept = Keeper(tmp_path)
    kept.printer.close()
    read, write = os.pipe()
    kept.output._printer = kept.printer = Printer(write)
    child = kept.hire(
        "intake-0",
        "import threading\ndef pour():\n    while True: print('z' * 500)\n"
        "threading.Thread(target=pour, daemon=True).start()\n" + GOOD,
    )
    kept.start()
    await until(lambda: child.is_ready)
    old = child.pid
    await asyncio.sleep(4)  # longer than the beats' deadline: the fact under test
    assert child.pid == old
    assert child.watch.state is State.READY
    drained = asyncio.create_task(asyncio.to_thread(_read_all, read))
    await kept.close()
    os.close(write)
    await drained


async def test_a_full_disk_costs_the_status_file_only(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    child = keeper.hire("intake-0", GOOD)
    keeper.start()
    await until(lambda: child.is_ready)
    await until(lambda: "status not written" in keeper.text())
    assert child.watch.restarts == 0


def _runs(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _read_all(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 1 << 16):
            pass
    os.close(descriptor)
