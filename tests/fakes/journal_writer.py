"""Writes a journal as Asterisk does: open, append, close, for every line."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

from tests.fakes.journal_lines import connected


def call_id(n: int) -> str:
    return f"kediri-1-1795{300000 + n}.0"


def whole_call(n: int) -> list[bytes]:
    """All lines of call number n, with ids of its own."""
    prefix = b"kediri-1-1795%d." % (300000 + n)
    lines = []
    for raw in connected():
        raw = raw.replace(b"kediri-1-1795293664.", prefix)
        for second in (b"71", b"72"):
            raw = raw.replace(b"kediri-1-17952936" + second + b".", prefix)
        lines.append(raw)
    return lines


def interleaved(first: int, count: int, seed: int = 112) -> Iterator[bytes]:
    """The lines of `count` calls, up to five going on at once."""
    choose = random.Random(seed)
    waiting = [list(reversed(whole_call(n))) for n in range(first, first + count)]
    while waiting:
        call = choose.choice(waiting[:5])
        yield call.pop()
        if not call:
            waiting.remove(call)


def append(journal: Path, raw: bytes) -> None:
    """As cel_custom does. Raises OSError on a full disk, perhaps after half a line."""
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, raw)
    finally:
        os.close(descriptor)
