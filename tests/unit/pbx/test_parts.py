"""Parts of a process: one that falls is started again and takes nothing with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from pbx import parts
from pbx.control.process import Control
from pbx.feed.process import Feed
from pbx.parts import Part, Parts, asked_to_stop
from pbx.settings import PROJECT, Settings
from pbx.status import Status
from tests.fakes.control_room import FakeStore
from tests.patience import until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(parts, "HEALTHY_SECONDS", 0.05)


def of_the_house(directory: Path) -> Parts:
    return Parts(Status(directory, "house"), "part-house-", "the house", "see its log")


async def test_a_part_that_falls_is_told_started_again_and_well_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, stop, starts, other = of_the_house(tmp_path), asyncio.Event(), [0], [0]

    async def falls_twice() -> None:
        starts[0] += 1
        if starts[0] <= 2:
            raise OSError("the wall is wet")
        await asyncio.Event().wait()

    async def stands() -> None:
        other[0] += 1
        await asyncio.Event().wait()

    both: dict[str, Part] = {"wall": falls_twice, "roof": stands}
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(kept.run(both, stop))
        await until(lambda: "part-house-wall" in kept.status.alarms)
        said = kept.status.alarms["part-house-wall"]["sentence"]
        await until(lambda: not kept.status.alarms)
        assert not running.done()
        stop.set()
    assert said == (
        "wall of the house fails (OSError('the wall is wet')) and is started again "
        "each second; see its log"
    )
    assert (kept.failures, starts, other) == (2, [3], [1])
    assert caplog.text.count("wall failed, starting it again") == 1


async def test_one_that_returns_is_started_again_without_an_alarm(
    tmp_path: Path,
) -> None:
    kept, stop, starts = of_the_house(tmp_path), asyncio.Event(), [0]

    async def short() -> None:
        starts[0] += 1
        if starts[0] == 3:
            stop.set()

    async with asyncio.timeout(20):
        await kept.run({"short": short}, stop)
    assert (starts, kept.failures, kept.status.alarms) == ([3], 0, {})


async def test_a_signal_asks_to_stop() -> None:
    loop = asyncio.get_running_loop()
    try:
        stop = asked_to_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(20):
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def test_the_runbook_names_every_part(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    settings.asterisk_home.mkdir()
    settings.secrets_file.write_text(
        json.dumps({"manager": {"control": "right"}, "operators": {}})
    )
    feed, control = Feed(settings), Control(settings, FakeStore())
    names = [f"part-feed-{name}" for name in feed.parts()]
    names += [f"part-{name}" for name in control.parts()]
    runbook = (PROJECT / "docs" / "runbook.md").read_text()
    assert [name for name in names if f"`{name}`" not in runbook] == []
