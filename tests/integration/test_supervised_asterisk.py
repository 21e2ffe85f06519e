"""A real Asterisk under the supervisor, and what stands before its start."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pbx.asterisk import run
from pbx.asterisk.activate import activate
from pbx.asterisk.check import with_free_ports
from pbx.asterisk.root import NotInstalled
from pbx.model.city import City, read_city
from pbx.settings import PROJECT, Settings
from pbx.status import Status
from pbx.supervisor import engine as engine_module
from pbx.supervisor import preflight
from pbx.supervisor.engine import Engine
from pbx.supervisor.house import House
from pbx.supervisor.lines import Style
from pbx.supervisor.output import Output
from pbx.supervisor.preflight import CannotStart
from pbx.supervisor.printer import Printer
from pbx.supervisor.strays import identify
from pbx.supervisor.watch import State
from tests.patience import until

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "sounds").mkdir()
    return Settings(state=tmp_path)


@pytest.fixture
def city() -> City:
    text = (PROJECT / "asterisk-config" / "city.toml").read_text()
    return with_free_ports(read_city(text, source="city.toml"))


@pytest.fixture
def make_engine(
    settings: Settings,
    city: City,
    asterisk_root: run.Root,
    asterisk_user: run.User | None,
) -> Callable[[House], Engine]:
    home = settings.asterisk_home
    activate(home, city, asterisk_user)
    argv = run.command(
        asterisk_root,
        home,
        settings.sounds,
        user=asterisk_user,
        die_with_parent=True,  # with these tests; in service it outlives everybody
    )
    return lambda house: Engine(tuple(argv), home, asterisk_user, house.listener)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    settings.run.mkdir()
    descriptor = os.open(settings.state / "printed", os.O_WRONLY | os.O_CREAT)
    printer = Printer(descriptor)
    house = House(settings.run, Output(printer, Style()))
    yield house
    house.notify.close()
    printer.close()
    os.close(descriptor)
    await run.stop(settings.asterisk_home)


def serve(house: House, engine: Engine) -> asyncio.Task[None]:
    return asyncio.create_task(
        house.serve([], engine, announce=lambda late: None, drain_seconds=10)
    )


async def test_a_stopped_asterisk_is_killed_and_replaced(
    house: House,
    make_engine: Callable[[House], Engine],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "HUNG_SECONDS", 4.0)  # 20 in service
    monkeypatch.setattr(engine_module, "PROBE_SECONDS", 0.3)  # so its backlog fills
    engine = make_engine(house)
    serving = serve(house, engine)
    await until(lambda: engine.is_ready)
    old = run.running_pid(settings.asterisk_home)
    assert old is not None
    assert await engine.calls() == 0
    os.kill(old, signal.SIGSTOP)
    took = await until(lambda: engine.watch.restarts == 1)
    assert 3.0 < took < 15
    await until(lambda: engine.is_ready)
    assert run.running_pid(settings.asterisk_home) not in (None, old)
    house.stop()
    await asyncio.wait_for(serving, 15)
    assert engine.watch.state is State.ENDED
    assert run.running_pid(settings.asterisk_home) is None


async def test_an_asterisk_that_cannot_boot_backs_off_and_ends(
    house: House, make_engine: Callable[[House], Engine], settings: Settings
) -> None:
    (settings.asterisk_home / "current").unlink()
    engine = make_engine(house)
    serving = serve(house, engine)
    await until(lambda: engine.watch.restarts >= 3)
    house.stop()
    house.stop()
    await asyncio.wait_for(serving, 20)


async def test_ctrl_c_while_it_boots_is_not_lost(
    house: House, make_engine: Callable[[House], Engine], settings: Settings
) -> None:
    """Its console listens long before it knows `core stop when convenient`."""
    engine = make_engine(house)
    serving = serve(house, engine)
    await until(lambda: run.running_pid(settings.asterisk_home) is not None)
    assert not engine.is_ready
    house.stop()
    took = await until(serving.done)
    assert took < 8  # the drain's own end is 10 s away
    await serving
    assert run.running_pid(settings.asterisk_home) is None


# --- before the start --------------------------------------------------------


async def test_strays_of_a_killed_supervisor_are_ended(settings: Settings) -> None:
    stray = await asyncio.create_subprocess_exec("sleep", "300")
    identity = identify(stray.pid)
    assert identity is not None
    status = Status(settings.run, "supervisor")
    status.figures["processes"] = {
        "intake-0": {"pid": stray.pid, "identity": identity.as_json()},
        "asterisk": {"pid": 1, "identity": None},
    }
    status.write()
    await preflight._end_strays(settings)
    assert await asyncio.wait_for(stray.wait(), 5) == -signal.SIGTERM


async def test_an_asterisk_that_does_not_answer_is_ended_first(
    house: House, make_engine: Callable[[House], Engine], settings: Settings
) -> None:
    engine = make_engine(house)
    keeping = asyncio.create_task(engine.keep())
    await until(lambda: engine.is_ready)
    pid = run.running_pid(settings.asterisk_home)
    assert pid is not None
    engine._stopping.set()  # nobody is to start it again
    os.kill(pid, signal.SIGSTOP)
    await preflight._end_strays(settings)
    await asyncio.wait_for(keeping, 10)
    assert run.running_pid(settings.asterisk_home) is None


async def test_a_missing_asterisk_is_installed_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = tmp_path / "installed"

    def find(_: Settings) -> run.Root:
        if not done.exists():
            raise NotInstalled("there is no Asterisk; run `gerbang install`")
        return run.Root(tmp_path, "22.10.1")

    monkeypatch.setattr(preflight, "find_root", find)
    monkeypatch.setattr(preflight, "service_user", lambda: None)
    monkeypatch.setattr(preflight, "gerbang", lambda *a: ("touch", str(done)))
    told: list[str] = []
    root, user = await preflight._installed(settings, told.append)
    assert (root.path, user) == (tmp_path, None)
    assert told == ["there is no Asterisk; run `gerbang install`; doing that now"]
    done.unlink()
    monkeypatch.setattr(preflight, "gerbang", lambda *a: ("false",))
    with pytest.raises(CannotStart, match="gerbang install"):
        await preflight._installed(settings, told.append)


@pytest.mark.parametrize("has_stand_in", [True, False])
async def test_a_step_that_hangs_is_ended_and_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, has_stand_in: bool
) -> None:
    monkeypatch.setattr(preflight, "STEP_SECONDS", 0.2)
    monkeypatch.setattr(preflight, "STAND_IN_SECONDS", 0.1)
    monkeypatch.setattr(preflight, "gerbang", lambda *a: ("sleep", "60"))
    said = await preflight._step(settings, lambda said: None, has_stand_in, "sounds")
    assert said is not None
    assert "`gerbang sounds` has not ended" in said


async def test_a_step_cut_short_may_clear_its_scratch_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    began, cleared = tmp_path / "began", tmp_path / "cleared"
    polite = (
        f"trap 'touch {cleared}; exit' TERM; touch {began}; while :; do sleep 0.1; done"
    )
    monkeypatch.setattr(preflight, "gerbang", lambda *a: ("sh", "-c", polite))
    monkeypatch.setattr(preflight, "END_SECONDS", 20.0)  # a shell on a busy machine
    is_waited_for, finished = asyncio.Event(), preflight._finished

    async def watched(process: asyncio.subprocess.Process, *more: Any) -> str:
        is_waited_for.set()
        return await finished(process, *more)

    monkeypatch.setattr(preflight, "_finished", watched)
    step = asyncio.create_task(
        preflight._step(settings, lambda said: None, False, "render")
    )
    await is_waited_for.wait()
    await until(began.exists)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert cleared.exists()


@pytest.mark.parametrize(
    ("has_prompts", "has_release", "outcome"),
    [
        (False, True, "prompts are missing"),
        (True, False, "said this"),
        (True, True, ""),
    ],
)
async def test_what_has_a_stand_in_is_an_alarm_and_the_rest_a_refusal(
    settings: Settings,
    city: City,
    asterisk_root: run.Root,
    asterisk_user: run.User | None,
    monkeypatch: pytest.MonkeyPatch,
    has_prompts: bool,
    has_release: bool,
    outcome: str,
) -> None:
    if has_release:
        activate(settings.asterisk_home, city, asterisk_user)
    if has_prompts:
        folder = settings.sounds / "id"
        folder.mkdir()
        for name in city.prompts():
            (folder / f"{name}.wav").touch()
    failing = ("sh", "-c", "echo said this; exit 1")
    monkeypatch.setattr(preflight, "gerbang", lambda *a: failing)
    monkeypatch.setattr(preflight, "read_city_or_last_good", lambda *a, **k: city)
    monkeypatch.setattr(preflight.ports, "problems", lambda *a, **k: [])
    if outcome:
        with pytest.raises(CannotStart, match=outcome):
            await preflight.prepare(settings, lambda said: None)
        return
    ready = await preflight.prepare(settings, lambda said: None)
    assert sorted(ready.alarms) == ["city", "sounds"]
    assert all("said this" in sentence for sentence in ready.alarms.values())
