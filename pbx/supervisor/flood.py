"""How much a process may say: a bucket of lines that fills again.

Showing a line costs some 30 µs. A process gone mad would take a whole processor from
Asterisk that way, so beyond the bucket its lines are counted, not shown, and it is read
more slowly.
"""

from __future__ import annotations

from dataclasses import dataclass

LINES_A_SECOND = 1000.0
"""Sixty calls a second would be needed to say that much (some 16 lines a call)."""
BURST_LINES = 5000.0
PAUSE_SECONDS = 0.01
"""Between two reads of 64 KiB from a flood: at most 6.5 MB/s."""


@dataclass(slots=True)
class Flood:
    """One process's bucket; times from the monotonic clock."""

    untold: int = 0
    """Lines not shown since the last one that was."""
    _left: float = BURST_LINES
    _filled_at: float = 0.0

    def lets_pass(self, now: float) -> bool:
        """Whether one more line may be shown."""
        self._left = min(
            BURST_LINES, self._left + (now - self._filled_at) * LINES_A_SECOND
        )
        self._filled_at = now
        if self._left < 1:
            self.untold += 1
            return False
        self._left -= 1
        return True

    @property
    def pause_seconds(self) -> float:
        """Wait this long before the next read; 0 still lets others have their turn."""
        return PAUSE_SECONDS if self._left < 1 else 0.0
