"""Writing log lines where nobody may be reading.

Its own thread, because a terminal on hold (Ctrl-S), a full pipe or a full disk blocks a
write, and a blocked supervisor would hear no heartbeats. Lines that cannot be written
are dropped and counted, never waited for.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress

MOST_WAITING = 2000


class Printer:
    """Lines to a file descriptor, in order, never blocking and never raising."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, daemon=True, name="printer")
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether the next line would be dropped; saves the work of making it."""
        return self._lines.full()

    def say(self, line: str) -> None:
        """Print the line, or count it as lost."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def count_lost(self) -> None:
        """A line was not even made, because `is_full`."""
        self._lost += 1

    def close(self, deadline_seconds: float = 1.0) -> None:
        """Write what waits, but no longer than the deadline."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=deadline_seconds)
        self._thread.join(deadline_seconds)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                line = f"({lost} log lines not shown: too many at once)\n{line}"
            rest = line.encode(errors="replace") + b"\n"
            with suppress(OSError):  # EPIPE, EIO, ENOSPC: nobody reads; go on serving
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
