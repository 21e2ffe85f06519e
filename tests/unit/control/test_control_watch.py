"""Calls that hang in the filter come home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pbx.ami import ActionFailed
from pbx.control.watch import Rescue, Watch, worker_lives
from tests.fakes.control_room import call, reference_city
from tests.patience import until

CITY = reference_city()  # deadline_seconds = 40


class Link:
    """Records redirects; may refuse."""

    def __init__(self) -> None:
        self.redirects: list[tuple[str, str, str]] = []
        self.refuses = False

    async def redirect(self, channel: str, *, context: str, extension: str) -> None:
        if self.refuses:
            raise ActionFailed("Redirect: No such channel")
        self.redirects.append((channel, context, extension))


def look(watch: Watch, now: float, *channels: object) -> list[str]:
    return [rescue.call_id for rescue in watch.look(CITY, channels, now)]  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", ["filter", "degraded", "release"])
def test_past_the_deadline_and_a_grace(stage: str) -> None:
    watch = Watch(lambda worker: True)
    hangs = call(context=f"{stage}-filter0")
    assert look(watch, 100, hangs) == []
    assert look(watch, 145, hangs) == []
    assert look(watch, 145.5, hangs) == ["k-1.1"]


def test_the_clock_starts_anew_in_each_context() -> None:
    """The dialplan's own deadline does, too."""
    watch = Watch(lambda worker: True)
    assert look(watch, 100, call(context="filter-filter0")) == []
    assert look(watch, 140, call(context="degraded-filter0")) == []
    assert look(watch, 160, call(context="degraded-filter0")) == []


def test_a_flow_nobody_declares_any_more_has_a_minute() -> None:
    watch = Watch(lambda worker: True)
    assert look(watch, 100, call(context="filter-old")) == []
    assert look(watch, 164, call(context="filter-old")) == []
    assert look(watch, 166, call(context="filter-old")) == ["k-1.1"]


def test_who_waits_in_the_queue_is_left_alone() -> None:
    watch = Watch(lambda worker: False)
    for now in (100, 200, 9000):
        assert look(watch, now, call(context="queue-darurat")) == []


@pytest.mark.parametrize("application", ["AGI", "AudioSocket"])
def test_an_intake_that_is_gone(application: str) -> None:
    watch = Watch(lambda worker: worker != 1)
    held = [
        call("k-1.1", "filter-filter0", application=application, worker=1),
        call("k-1.2", "filter-filter0", application=application, worker=0),
        call("k-1.3", "filter-filter0", application="Answer", worker=1),
        call("k-1.4", "filter-filter0", application=application, worker=None),
    ]
    assert look(watch, 100, *held) == []
    assert look(watch, 104, *held) == []
    assert look(watch, 104.5, *held) == ["k-1.1"]


def test_an_intake_that_never_said_a_word() -> None:
    """Its socket accepts (the kernel does), the process behind it hangs."""
    watch = Watch(lambda worker: True)
    silent = call("k-1.1", "filter-filter0", application="AGI", intake="failed")
    at_work = call("k-1.2", "filter-filter0", application="AGI", intake="started")
    assert look(watch, 100, silent, at_work) == []
    assert look(watch, 104.5, silent, at_work) == ["k-1.1"]


def test_an_intake_that_came_back_is_no_longer_gone() -> None:
    alive = False
    watch = Watch(lambda worker: alive)
    held = call(context="filter-filter0", application="AGI", worker=0)
    assert look(watch, 100, held) == []
    alive = True
    assert look(watch, 103, held) == []
    alive = False
    assert look(watch, 105, held) == []


def test_where_nobody_knows_the_worker_nobody_is_touched() -> None:
    watch = Watch(lambda worker: None)
    held = call(context="filter-filter0", application="AGI", worker=0)
    assert look(watch, 100, held) == []
    assert look(watch, 120, held) == []


async def test_rescue_counts_and_is_not_repeated_at_once() -> None:
    watch, link = Watch(lambda worker: True), Link()
    hangs = call(context="filter-filter0")
    watch.look(CITY, [hangs], 100)
    [rescue] = watch.look(CITY, [hangs], 150)
    await watch.rescue(link, rescue, 150)  # type: ignore[arg-type]
    assert link.redirects == [("PJSIP/carrier-k1.1", "rescue", "s")]
    assert (watch.rescued, watch.rescued_at) == (1, 150)
    assert look(watch, 151, hangs) == []
    assert look(watch, 156, hangs) == ["k-1.1"]


async def test_a_refused_rescue_is_said_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch, link = Watch(lambda worker: True), Link()
    link.refuses = True
    await watch.rescue(link, Rescue("PJSIP/c-1", "k-1.1", "a test"), 100)  # type: ignore[arg-type]
    assert watch.rescued == 0
    assert "not rescued (a test): Redirect: No such channel" in caplog.text


async def test_whether_a_worker_lives(tmp_path: Path) -> None:
    lives = worker_lives(tmp_path)
    assert lives(0) is None
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        told = {"process": "intake-0", "pid": child.pid, "figures": {}}
        (tmp_path / "intake-0.status.json").write_text(json.dumps(told))
        told = {
            "process": "supervisor",
            "pid": os.getpid(),
            "figures": {
                "processes": {"intake-1": {"pid": child.pid}, "intake-2": {"pid": None}}
            },
        }
        (tmp_path / "supervisor.status.json").write_text(json.dumps(told))
        assert lives(0) is True
        assert lives(1) is True
        assert lives(2) is False
        assert lives(3) is None
        child.send_signal(signal.SIGSTOP)
        await until(lambda: lives(0) is False)
        assert lives(1) is False
        child.send_signal(signal.SIGCONT)
        await until(lambda: lives(0) is True)
    finally:
        child.kill()
        child.wait()
    assert lives(0) is False
