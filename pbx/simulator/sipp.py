"""SIPp for what no decent caller does: races, no ACK, malformed messages.

A scenario is an XML file (`tests/calls/sipp/`); keys fill its `[name]` places. SIPp
ends by itself, at the latest at its own global timeout.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


class SippError(Exception):
    """SIPp could not be run; the text says why and the cure."""


@dataclass(frozen=True, slots=True)
class SippResult:
    """How the scenario went: `code` 0 is as written, 1 a call failed, 97 timeout."""

    code: int
    said: str
    """Its errors, or the end of what it printed."""


async def run_scenario(
    scenario: Path,
    *,
    city: tuple[str, int],
    source: str,
    keys: Mapping[str, str] | None = None,
    calls: int = 1,
    per_second: float = 10.0,
    table: Path | None = None,
    deadline_seconds: float = 20.0,
) -> SippResult:
    """Play `scenario` against the city's SIP address and port, from address `source`.

    `scenario` and `table` are absolute paths: SIPp runs in a scratch directory of its
    own. `table` gives each call a line of its own (`[field0]`, …; SIPp's `-inf`).
    Raises SippError if SIPp is missing.
    """
    program = shutil.which("sipp")
    if program is None:
        raise SippError("sipp is missing; run `apt-get install sip-tester`")
    with tempfile.TemporaryDirectory(prefix="gerbang-sipp-") as scratch:
        argv = [program, f"{city[0]}:{city[1]}", "-sf", str(scenario)]
        argv += ["-i", source, "-mi", source, "-m", str(calls), "-nostdin"]
        argv += ["-timeout", f"{deadline_seconds:.0f}s", "-timeout_error", "-trace_err"]
        argv += [
            "-r",
            f"{per_second:g}",
            "-l",
            str(calls),
            *(["-inf", str(table)] if table else []),
        ]
        for name, value in (keys or {}).items():
            argv += ["-key", name, value]
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", *argv),
            cwd=scratch,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(deadline_seconds + 5):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        errors = await asyncio.to_thread(_errors, Path(scratch))
        said = errors or output.decode(errors="replace")[-2000:]
        return SippResult(process.returncode or 0, said)


def _errors(scratch: Path) -> str:
    """What `-trace_err` wrote: each message that was not as the scenario expects."""
    found = sorted(scratch.glob("*errors*"))
    return "".join(path.read_text(errors="replace") for path in found)
