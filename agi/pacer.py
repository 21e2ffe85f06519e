"""One clock for all callers' ears: every 20 ms each line gets what is due.

One timer for all lines costs a tenth of one timer each.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from agi.frames import FRAME_SECONDS

_log = logging.getLogger(__name__)

LATE_SECONDS = 0.5
"""So far behind (a stopped process, a sleeping machine) the clock starts anew."""


class Line(Protocol):
    """Something that is due to be sent every 20 ms."""

    def send_due(self, now: float) -> None:
        """Send what is due by `now`, in the loop's time."""

    def abort(self) -> None:
        """Cut the connection."""


class Pacer:
    """Calls `send_due` of every line on absolute deadlines."""

    def __init__(self) -> None:
        self._lines: set[Line] = set()
        self.worst_lateness_seconds = 0.0
        """The latest tick so far: how long something held the loop."""

    def add(self, line: Line) -> None:
        """Serve this line from now on, beginning at once."""
        self._lines.add(line)
        line.send_due(asyncio.get_running_loop().time())

    def remove(self, line: Line) -> None:
        """Serve it no more."""
        self._lines.discard(line)

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += FRAME_SECONDS
            await asyncio.sleep(due - loop.time())
            now = loop.time()
            self.worst_lateness_seconds = max(self.worst_lateness_seconds, now - due)
            if now - due > LATE_SECONDS:
                due = now
            for line in tuple(self._lines):
                self._serve(line, now)

    def _serve(self, line: Line, now: float) -> None:
        """A fault in one call's line must not silence the others."""
        try:
            line.send_due(now)
        except Exception:  # noqa: BLE001 - per call: logged; its caller goes to a human
            _log.exception("audio line given up")
            self.remove(line)
            line.abort()
