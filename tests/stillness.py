"""Tests that failed because the machine stood still are told so, and tried again.

Whole calls run in real time: where a virtual machine is paused by its host for a tenth
of a second five times a second, a voice arrives in crumbs, and no code of ours can mend
that. Witnesses beside each pytest process (`tests/fakes/still_witness.py`) measure it.
Only a test of whole calls or live processes that failed while the machine provably
stood still is tried again, twice at most and within its own time limit. The closing
line counts it (`rerun`), and every failed try is told with how long that was. A pause
is no licence to lose a caller: read those tries. Other failures stand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from pbx.settings import PROJECT
from tests.fakes import still_witness
from tests.patience import whole_lines

RETRIES = 2
RETRY_SECONDS = 10.0
"""A host that pauses its machines does so for a while."""
IN_REAL_TIME = ("tests/calls", "tests/integration")
SECTION = "the machine"
SPOILT_SHARE = 0.02
"""Of a test's time: from here on its failure proves nothing about us."""


class Stillness:
    """What the witnesses beside this process have seen: a file for each core."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self.since = time.monotonic()
        """When the test began that runs now."""

    def begin(self) -> None:
        """A test begins, or begins again."""
        self.since = time.monotonic()

    def seconds(self) -> float:
        """How long the core that stood still longest has done so since then."""
        return max(map(self._seconds, self.files), default=0.0)

    def _seconds(self, file: Path) -> float:
        spans = [map(float, line.split()) for line in whole_lines(file)]
        return sum(max(0.0, until - max(start, self.since)) for start, until in spans)

    def has_spoilt_it(self) -> bool:
        """Whether a failure until now may be the machine's."""
        return self.seconds() > SPOILT_SHARE * (time.monotonic() - self.since)

    def sentence(self) -> str:
        """For whoever reads the failure."""
        return (
            f"The machine stood still for {self.seconds():.1f} s of the "
            f"{time.monotonic() - self.since:.1f} s this test took "
            f"(pauses over {still_witness.STILL_SECONDS} s)."
        )


STILLNESS = pytest.StashKey[Stillness]()


def pytest_sessionstart(session: pytest.Session) -> None:
    folder = Path(tempfile.mkdtemp(prefix="gerbang-still-"))
    session.config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    cores = sorted(os.sched_getaffinity(0))
    files = [folder / f"core-{core}" for core in cores]
    watching = [sys.executable, "-S", still_witness.__file__]
    for core, file in zip(cores, files, strict=True):
        file.touch()
        # Apart: a test that looks for what it left running must not find them.
        whom = [str(file), str(os.getpid()), str(core), "apart"]
        subprocess.run([*watching, *whom], check=True)
    session.config.stash[STILLNESS] = Stillness(files)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folders = [PROJECT / folder for folder in IN_REAL_TIME]
    for item in items:
        if not any(item.path.is_relative_to(folder) for folder in folders):
            continue
        stillness = item.config.stash[STILLNESS]
        item.add_marker(
            pytest.mark.flaky(
                reruns=RETRIES,
                reruns_delay=RETRY_SECONDS,
                condition=stillness.has_spoilt_it,
            )
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[STILLNESS].begin()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    stillness = item.config.stash[STILLNESS]
    if report.failed and stillness.seconds():
        report.sections.append((SECTION, stillness.sentence()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("rerun", []):
        for text in (text for name, text in report.sections if name == SECTION):
            terminalreporter.write_line(f"{report.nodeid}, a failed try: {text}")
