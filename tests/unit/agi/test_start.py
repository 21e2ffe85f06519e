"""A worker that was killed is back soon: it imports what it needs and no more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agi.server import Worker
from ghostfilter import net
from pbx.__main__ import COMMANDS, asked_for
from pbx.settings import PROJECT, Settings

AS_THE_WORKER_STARTS = """
import sys
from pbx.__main__ import asked_for, build
from typer.main import get_command
assert "intake" in get_command(build(asked_for(["intake"]))).commands
import uvloop, agi.log_thread, agi.server, pbx.log
print(*sys.modules)
"""

HEAVY = {
    "aiohttp", "alembic", "asyncpg", "cryptography", "jinja2", "panoramisk",
    "prometheus_client", "psutil", "pydub", "rich", "scipy", "sqlalchemy",
}  # fmt: skip


def test_the_intake_imports_no_other_command_and_nothing_heavy() -> None:
    found = subprocess.run(
        [sys.executable, "-c", AS_THE_WORKER_STARTS],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert {name.partition(".")[0] for name in found} & HEAVY == set()
    commands = {n for n in found if n.startswith("pbx.commands.")}
    assert commands == {"pbx.commands.intake"}


@pytest.mark.parametrize("line", [[], ["--help"], ["intak"], ["--", "intake"]])
def test_a_line_that_names_no_command_needs_them_all(line: list[str]) -> None:
    assert asked_for(line) == COMMANDS


def test_a_line_needs_the_command_it_names() -> None:
    assert asked_for(["calls", "--json"]) == ["calls"]
    assert asked_for(["call", "intake"]) == ["call"]


async def test_a_worker_that_could_not_listen_takes_no_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without an intake the dialplan greets; one that fails each call is worse."""
    monkeypatch.setattr(net, "SHIPPED", "lost.npz")
    net.shipped_weights.cache_clear()
    with pytest.raises(OSError, match="lost"):
        Worker(Settings(), 0)
