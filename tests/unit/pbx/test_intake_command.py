"""What the intake's command sets up before the first call."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agi.doorkeeper import CHAIRS
from agi.server import MAX_CALLS
from pbx.commands.intake import OPEN_FILES

TELL = """
import resource
from pbx.commands.intake import OPEN_FILES, allow_open_files
allow_open_files(OPEN_FILES)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("limits", "then"),
    [("256:20000", OPEN_FILES), ("256:1000", 1000), ("9000:20000", 9000)],
)
def test_a_worker_may_hold_as_many_connections_as_it_takes_calls(
    limits: str, then: int
) -> None:
    """In a process of its own: a limit lowered here would stay lowered."""
    told = subprocess.run(
        ["prlimit", f"--nofile={limits}", sys.executable, "-c", TELL],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(told.stdout) == then


def test_every_call_and_every_chair_has_its_files() -> None:
    assert OPEN_FILES > 2 * MAX_CALLS + 2 * CHAIRS + 100
