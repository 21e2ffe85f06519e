"""Asterisk's queue_log: a third voice on what became of callers who waited.

`epoch|callid|queue|agent|event|data…` a line (main/logger.c, Asterisk 22.10); the
callid is the uniqueid of the caller's channel. It is written by app_queue itself, apart
from the journal, so that a fault of cel_custom does not touch it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_NAME = "queue_log"


@dataclass(slots=True)
class Waited:
    """What the queue log says of one caller."""

    entered: bool = False
    connected: bool = False
    """An agent's phone was bridged with the caller."""
    last: datetime | None = None


def read_queue_log(
    directory: Path, begin: datetime, end: datetime
) -> dict[str, Waited] | None:
    """Callers who entered a queue in [begin, end), by their channel's uniqueid; None if
    there is no queue_log at all. Raises OSError."""
    files = _files(directory)
    if not files:
        return None
    found: dict[str, Waited] = {}
    for path in files:
        for at, call_id, event in _lines(path):
            if event == "ENTERQUEUE" and begin <= at < end:
                found.setdefault(call_id, Waited()).entered = True
            if call_id in found:
                found[call_id].last = at
                found[call_id].connected |= event == "CONNECT"
    return found


def begins_at(directory: Path) -> datetime | None:
    """Since when there is a queue_log: older files are deleted when their days are
    over. None: nothing is in any. Raises OSError."""
    return min(filter(None, map(first_time, _files(directory))), default=None)


def _files(directory: Path) -> list[Path]:
    """The oldest first: a caller may be answered in the file after the one in which he
    began to wait."""
    files = [path for path in directory.glob(f"{_NAME}*") if path.is_file()]
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(files, key=lambda path: (first_time(path) or never, path))


def first_time(path: Path) -> datetime | None:
    """When the first line of a queue log was written; None: there is none. Raises
    OSError."""
    return next((at for at, _, _ in _lines(path)), None)


def _lines(path: Path) -> Iterator[tuple[datetime, str, str]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        for raw in _whole(file, path):
            parts = raw.decode("utf-8", "replace").rstrip("\n").split("|")
            if len(parts) < 5 or not parts[0].isdigit():
                continue
            yield datetime.fromtimestamp(int(parts[0]), UTC), parts[1], parts[4]


def _whole(lines: Iterable[bytes], path: Path) -> Iterator[bytes]:
    """Each line. Raises OSError for a packed file that is damaged, as for any other."""
    try:
        yield from lines
    except (EOFError, zlib.error) as error:
        raise OSError(f"{path} cannot be unpacked: {error}") from error
