"""Journals to measure records with: some of Kediri's synthesized months."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

from pbx.records.journal import Batch, Position, RawLine, hash_of_tail
from tests.bench.children import child, python
from tests.bench.row import BenchError

_DEADLINE_SECONDS = 120.0


async def synthesize(scratch: Path, *, month: str = "2025-04") -> Path:
    """One month of the mix: some 12,000 calls. Returns the folder of journals."""
    out = scratch / "journals"
    argv = python("pbx", "records", "synthesize", "--out", str(out))
    await run([*argv, "--from", month, "--to", month], scratch / "synthesize.log")
    return out


async def run(argv: list[str], log: Path, **environment: str) -> None:
    """A command of ours, to its end. Raises BenchError if it fails."""
    async with child(argv, log, environment=environment) as process:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            code = await process.process.wait()
        if code:
            raise BenchError(f"{' '.join(argv[2:5])} failed{process.complaint()}")


def lines_of(journals: Path, most: int) -> list[bytes]:
    """The first so many lines of Asterisk's own journal."""
    for path in sorted(journals.rglob("journal.jsonl*")):
        with path.open("rb") as file:
            return list(islice(file, most))
    raise BenchError(f"no journal below {journals}")


def batches(lines: list[bytes], size: int) -> list[Batch]:
    """The lines as the reader of the journal hands them on."""
    made: list[Batch] = []
    offset, before = 0, None
    for at in range(0, len(lines), size):
        raw = []
        for line in lines[at : at + size]:
            raw.append(RawLine(offset, line))
            offset += len(line)
        after = Position(offset, hash_of_tail(raw[-1].raw))
        made.append(Batch("bench", tuple(raw), before, after))
        before = after
    return made
