"""One deadline at a time, set often and seldom met: a command's, in a session.

A timer of the loop for every command costs more than the command itself. So one timer
runs on: setting and clearing the deadline only writes down when it is, and the timer
looks when it fires whether it is time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `passed(seconds)` when the deadline last set is over and was not cleared.

    `seconds` is what was set, for whoever tells the story.
    """

    __slots__ = ("_at", "_loop", "_passed", "_seconds", "_timer", "_timer_at")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, passed: Callable[[float], None]
    ) -> None:
        self._loop = loop
        self._passed: Callable[[float], None] | None = passed
        self._seconds = 0.0
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def set(self, seconds: float) -> None:
        """From now on this deadline, in place of any; nothing once closed."""
        if self._passed is None:
            return
        self._seconds = seconds
        self._at = at = self._loop.time() + seconds
        if self._timer is None or at < self._timer_at:
            self._start(at)

    def clear(self) -> None:
        """No deadline."""
        self._at = None

    def close(self) -> None:
        """No deadline any more; no timer stays behind, and no hold on who asked.

        (A circle of references would wait for the garbage collector, call after call.)
        """
        self._at = self._passed = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._fired)

    def _fired(self) -> None:
        self._timer = None
        if self._at is None or self._passed is None:
            return
        if self._at > self._timer_at:
            self._start(self._at)
            return
        self._at = None
        self._passed(self._seconds)
