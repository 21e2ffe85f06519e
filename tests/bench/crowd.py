"""A crowd of callers by SIPp, with real RTP; who leaves is replaced at once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.bench.children import Child, child
from tests.bench.sound import quiet_line

_SCENARIO = Path(__file__).parent / "scenarios" / "caller.xml"
_SOUND_SECONDS = 4.0
"""Repeated for as long as the call lasts."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who calls, how many, how fast they come, and how long each stays."""

    at_once: int
    per_second: float
    hold_seconds: float
    """From answer to hang-up."""
    address: str
    """The trunk's."""
    city: tuple[str, int]


@asynccontextmanager
async def crowd(wanted: Crowd, scratch: Path) -> AsyncIterator[Child]:
    """Let them call while the block lasts; afterwards all of it is gone at once."""
    sound = scratch / "quiet.alaw"
    sound.write_bytes(quiet_line(_SOUND_SECONDS))
    scenario = scratch / "caller.xml"
    scenario.write_text(
        Template(_SCENARIO.read_text()).substitute(
            sound=sound, hold_ms=round(wanted.hold_seconds * 1000)
        )
    )
    argv = [
        *("sipp", f"{wanted.city[0]}:{wanted.city[1]}", "-sf", str(scenario)),
        *("-i", wanted.address, "-p", "6060", "-mi", wanted.address),
        *("-l", str(wanted.at_once), "-r", f"{wanted.per_second:.3f}"),
        *("-rp", "1000", "-nostdin", "-trace_stat", "-fd", "1"),
        *("-stf", str(scratch / "sipp.csv"), "-trace_err"),
        *("-error_file", str(scratch / "sipp-errors.log")),
        *("-default_behaviors", "all", "-timeout", "600"),
    ]
    async with child(argv, scratch / "sipp.log") as sipp:
        yield sipp


def failures(scratch: Path) -> int:
    """How many of the calls failed by SIPp's own count; the last line of its table."""
    lines = (scratch / "sipp.csv").read_text(errors="replace").splitlines()
    if len(lines) < 2:
        return 0
    row = dict(zip(lines[0].split(";"), lines[-1].split(";"), strict=False))
    found = re.match(r"\d+", row.get("FailedCall(C)", ""))
    return int(found.group()) if found else 0
