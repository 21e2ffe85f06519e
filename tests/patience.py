"""Waiting for what must come to be true, and reading what is being written."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pbx.records.journal import whole_records

PATIENCE_SECONDS = 30.0
"""How long a busy machine may take. No promise of ours: where one is meant, a test says
its own seconds and says whose they are."""


async def until(
    holds: Callable[[], object] | Callable[[], Awaitable[object]],
    seconds: float = PATIENCE_SECONDS,
) -> float:
    """Ask until the answer is yes; the seconds it took. Fails after `seconds`."""
    began = time.monotonic()
    while True:
        answer = holds()
        if inspect.isawaitable(answer):
            answer = await answer
        waited = time.monotonic() - began
        if answer:
            return waited
        assert waited < seconds, f"not within {seconds:g} s: {holds}"
        await asyncio.sleep(0.01)


def whole_lines(path: Path) -> list[str]:
    """The text's lines that are complete; none of a file that is not there.

    A writer's buffer ends anywhere (Asterisk's every 4,096 bytes): what follows the
    last line feed is still being written.
    """
    if not path.exists():
        return []
    return path.read_bytes().rpartition(b"\n")[0].decode().splitlines()


def journal_records(path: Path) -> list[bytes]:
    """The journal's complete records; none of one that is not there."""
    if not path.exists():
        return []
    return whole_records(path.read_bytes())
