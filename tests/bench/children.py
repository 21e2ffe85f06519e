"""Processes a row starts: their own session, ended by id, whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pbx.settings import PROJECT
from tests.bench.row import BenchError

_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running program and the file that keeps what it complains about."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    async def answer(self, *, deadline_seconds: float) -> dict[str, Any]:
        """The next line it prints, as JSON. Raises BenchError if none comes."""
        assert self.process.stdout
        line = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                line = await self.process.stdout.readline()
        if not line:
            raise BenchError(
                f"process {self.pid} said nothing in {deadline_seconds:g} s"
                + self.complaint()
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def complaint(self) -> str:
        """The end of its log, to be added to an error."""
        lines = self.log.read_text(errors="replace").splitlines()[-6:]
        return "; its last words:\n  " + "\n  ".join(lines) if lines else ""


@asynccontextmanager
async def child(
    argv: Sequence[str],
    log: Path,
    *,
    answers: bool = False,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """Run a program while the block lasts; what it prints goes to `log`.

    With `answers`, its stdout can be read instead. It has its own session, so a Ctrl-C
    at the terminal reaches us only, and we end it in order: SIGTERM, then SIGKILL, to
    all of its group. Raises BenchError if the program is missing.
    """
    with log.open("ab") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if answers else output,
                stderr=output,
                cwd=PROJECT,
                env=os.environ | (environment or {}),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise BenchError(
                f"{argv[0]} is missing; run `gerbang install --dev`"
            ) from error
    try:
        yield Child(process, log)
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _PATIENCE_SECONDS)


def python(module: str, *arguments: str) -> list[str]:
    """The argv of one of our own modules, run by this very Python."""
    return [sys.executable, "-m", module, *arguments]
