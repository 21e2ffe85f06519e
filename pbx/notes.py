"""The notes journal: what our own processes and people tell of a call.

Asterisk's journal does not know of hold, of an operator who is ready again, of what a
call turned out to be. Whoever knows tells it here, in the very line format of
Asterisk's journal (`pbx.model.events` reads both), and the recorder takes it from
there. So a record can always be made anew from raw lines alone.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from pbx.model.events import FactTold, read_event

FILE = "notes.jsonl"
ROTATE_BYTES = 16 * 1024 * 1024
LONGEST_LINE_BYTES = 16 * 1024
"""Far below what a reader gives up as endless (`pbx.records.journal`)."""


class Notes:
    """Appends to `directory/notes.jsonl`; any number of processes and threads may.

    A file of an earlier day (UTC), or of more than `rotate_bytes`, is renamed to
    `notes.jsonl-<time>` first.
    """

    def __init__(self, directory: Path, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._path = directory / FILE
        self._rotate_bytes = rotate_bytes

    def tell(
        self,
        call_id: str,
        name: str,
        channel: str | None = None,
        *,
        at: datetime | None = None,
        **values: object,
    ) -> None:
        """Write one fact of `docs/architecture.md`, such as
        `tell("kediri-1-1763756000.12", "CLASSIFIED", category="valid")`.

        It is on the disk when this returns: some milliseconds, so not for an event
        loop. `channel` is the uniqueid it is about (None: the call's own), `at` when it
        happened (None: now). Raises ValueError where no reader would understand it,
        OSError where the disk does not take it; then nothing of it is left behind.
        """
        line = note_line(call_id, name, channel, at or datetime.now(UTC), values)
        with self._locked() as file:
            size = os.fstat(file).st_size
            try:
                written = os.write(file, line)
                if written < len(line):
                    raise OSError(f"only {written} of {len(line)} bytes of a note fit")
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)
                raise

    def rotate_if_due(self) -> None:
        """Rename what an earlier day left, though nobody tells anything today. Raises
        OSError."""
        if self._path.exists():
            with self._locked():
                return

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The live file, ours alone: nobody writes to it or renames it meanwhile."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(
                self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640
            )
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_live(file) and not self._rotate(file):
                    yield file
                    return
            finally:
                os.close(file)  # and let go of the lock

    def _is_live(self, file: int) -> bool:
        """Whether another process has not renamed it while we waited."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(file)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def _rotate(self, file: int) -> bool:
        about = os.fstat(file)
        now = datetime.now(UTC)
        written = datetime.fromtimestamp(about.st_mtime, UTC)
        is_due = written.date() < now.date() or about.st_size > self._rotate_bytes
        if about.st_size == 0 or not is_due:
            return False
        self._path.rename(self._path.with_name(f"{FILE}-{now:%Y%m%dT%H%M%S.%f}"))
        return True


def note_line(
    call_id: str,
    name: str,
    channel: str | None,
    at: datetime,
    values: dict[str, object],
) -> bytes:
    """One line, as Asterisk would write it. Raises ValueError as `Notes.tell` does."""
    said = "&".join(
        f"{key}={quote(str(value), safe='')}" for key, value in values.items()
    )
    when = at.astimezone(UTC)
    fields = {
        "eventtype": name,
        "eventtime": f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d} +0000",
        "uniqueid": channel or call_id,
        "linkedid": call_id,
        "usereventname": name,
        "channame": "",
        "exten": "",
        "context": "",
        "num": "",
        "appname": "",
        "eventextra": json.dumps({"extra": said}, separators=(",", ":")),
    }
    line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    if len(line) > LONGEST_LINE_BYTES:
        raise ValueError(f"a note of {len(line)} bytes; at most {LONGEST_LINE_BYTES}")
    is_known = isinstance(read_event(line), FactTold)
    if not is_known:
        raise ValueError(f"no record knows a fact {name!r}; see docs/architecture.md")
    return line
