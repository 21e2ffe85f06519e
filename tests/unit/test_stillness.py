"""Whether a failure may be the machine's: told by witnesses, and by nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.fakes import still_witness
from tests.stillness import STILLNESS, Stillness

PATIENCE_SECONDS = 20.0


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    file = tmp_path / "core-0"
    core = str(min(os.sched_getaffinity(0)))
    command = [sys.executable, "-S", still_witness.__file__, str(file)]
    with subprocess.Popen([*command, str(os.getpid()), core]) as process:
        until(file.exists)
        yield file, process
        process.kill()


def until(done) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_pause_is_seen_by_whom_it_stopped(witness) -> None:
    file, process = witness
    stillness = Stillness([file])

    def pause() -> str:
        """Again, if it had not begun to watch when it was stopped."""
        process.send_signal(signal.SIGSTOP)
        time.sleep(3 * still_witness.STILL_SECONDS)  # the pause itself
        process.send_signal(signal.SIGCONT)
        time.sleep(3 * still_witness.EVERY_SECONDS)
        return file.read_text()

    until(pause)
    assert stillness.seconds() >= 2 * still_witness.STILL_SECONDS
    assert "The machine stood still for " in stillness.sentence()


def test_only_the_test_that_runs_counts(tmp_path: Path) -> None:
    file = tmp_path / "core-0"
    stillness = Stillness([file])
    begun = stillness.since
    file.write_text(f"{begun - 5} {begun - 4}\n{begun - 1} {begun + 2}\n{begun} 9")
    assert stillness.seconds() == pytest.approx(2.0)  # a line not yet whole waits
    assert stillness.has_spoilt_it()
    stillness.begin()
    file.write_text(f"{begun - 5} {begun - 4}\n")
    assert stillness.seconds() == 0
    assert not stillness.has_spoilt_it()


def test_the_core_that_stood_still_longest_counts(tmp_path: Path) -> None:
    files = [tmp_path / "core-0", tmp_path / "core-1"]
    stillness = Stillness(files)
    files[0].write_text("")
    files[1].write_text(f"{stillness.since} {stillness.since + 0.5}\n")
    assert stillness.seconds() == pytest.approx(0.5)


def test_the_witnesses_of_this_run_are_nobodys_children(
    pytestconfig: pytest.Config,
) -> None:
    folder = pytestconfig.stash[STILLNESS].files[0].parent
    watching = [
        process
        for process in psutil.process_iter(["cmdline", "ppid"])
        if str(folder / "core-") in " ".join(process.info["cmdline"] or [])
    ]
    assert len(watching) == len(os.sched_getaffinity(0))
    assert os.getpid() not in {process.info["ppid"] for process in watching}


def test_the_witness_ends_when_its_file_is_gone(witness) -> None:
    file, process = witness
    file.unlink()
    assert process.wait(PATIENCE_SECONDS) == 0


def test_the_witness_ends_with_whom_it_watches_for(tmp_path: Path) -> None:
    companion = subprocess.Popen(["sleep", "60"])
    core = str(min(os.sched_getaffinity(0)))
    command = [sys.executable, "-S", still_witness.__file__, str(tmp_path / "core")]
    with subprocess.Popen([*command, str(companion.pid), core]) as process:
        companion.kill()
        companion.wait()
        assert process.wait(PATIENCE_SECONDS) == 0
