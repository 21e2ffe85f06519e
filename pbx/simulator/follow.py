"""Following the city's journal from here on, while calls are placed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pbx.model.events import JournalEvent, UnreadableLineError, read_event


@dataclass(slots=True)
class JournalFollower:
    """What the journal says from the moment this is made; survives its rotation."""

    path: Path
    _offset: int = 0
    _inode: int = 0
    _rest: bytes = field(default=b"")

    def __post_init__(self) -> None:
        with suppress(OSError):
            found = self.path.stat()
            self._offset, self._inode = found.st_size, found.st_ino

    def news(self) -> list[JournalEvent]:
        """Every event written since the last look; lines nobody can read are left."""
        try:
            with self.path.open("rb") as file:
                found = self.path.stat()
                if found.st_ino != self._inode or found.st_size < self._offset:
                    self._offset, self._inode, self._rest = 0, found.st_ino, b""
                file.seek(self._offset)
                fresh = file.read()
        except OSError:
            return []
        self._offset += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        events = []
        for line in lines:
            with suppress(UnreadableLineError):
                events.append(read_event(line))
        return events
