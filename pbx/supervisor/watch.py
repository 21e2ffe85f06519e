"""When a process counts as well, as hung, and when it may start again.

Pure: the clock is passed in, in seconds that never go backwards.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

BEAT_SECONDS = 3.0
"""A process whose beats stop this long is hung; `WatchdogSec=3` says the same."""
HEALTHY_SECONDS = 30.0
"""Ready for this long: earlier failures are forgotten."""
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 10.0
OFTEN_SECONDS = 300.0
OFTEN_RESTARTS = 5
"""This many restarts in `OFTEN_SECONDS` raise an alarm."""


class State(StrEnum):
    """Where a process stands."""

    WAITING = "waiting"
    """Not running; it will be started when its back-off is over."""
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    ENDED = "ended"
    """Not running, and not to be started again."""


@dataclass(slots=True)
class Watch:
    """What is known of one process's health."""

    ready_seconds: float = 20.0
    """It must say READY within this time of its start."""
    beat_seconds: float | None = BEAT_SECONDS
    """Longest time between two beats once ready; None: it does not beat."""
    stop_seconds: float = 30.0
    """Longest time from its own STOPPING to its end."""
    state: State = State.WAITING
    restarts: int = 0
    _since: float = 0.0
    _last_beat: float = 0.0
    _failures: int = 0
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=50))

    def started(self, now: float) -> None:
        """It was started just now."""
        self._enter(State.STARTING, now)

    def heard(self, message: str, now: float) -> None:
        """It sent an sd_notify(3) message: lines of NAME=value; unknown ones pass."""
        for line in message.splitlines():
            match line.strip():
                case "READY=1" if self.state is State.STARTING:
                    self._enter(State.READY, now)
                case "STOPPING=1" if self.state in (State.STARTING, State.READY):
                    self._enter(State.STOPPING, now)
                case "WATCHDOG=1":
                    self._last_beat = now
                case _:
                    pass

    def asked_to_stop(self, now: float) -> None:
        """We told it to end; from here on only `stop_seconds` judges it."""
        if self.state in (State.STARTING, State.READY):
            self._enter(State.STOPPING, now)

    def overdue(self, now: float) -> str | None:
        """Why it must be killed now, or None while it is well."""
        waited = now - self._since
        match self.state:
            case State.STARTING if waited > self.ready_seconds:
                return f"not ready {waited:.1f} s after its start"
            case State.STOPPING if waited > self.stop_seconds:
                return f"still there {waited:.1f} s after it began to stop"
            case State.READY if self.beat_seconds is not None:
                silent = now - self._last_beat
                if silent > self.beat_seconds:
                    return f"no heartbeat for {silent:.1f} s"
        return None

    def ended(self, now: float) -> float:
        """It is gone; returns how many seconds to wait before it starts again.

        The first restart is at once: most faults are single, and callers wait.
        """
        was_well = self.state in (State.READY, State.STOPPING)
        if was_well and now - self._since >= HEALTHY_SECONDS:
            self._failures = 0
        self._failures += 1
        self.restarts += 1
        self._ends.append(now)
        self._enter(State.WAITING, now)
        if self._failures == 1:
            return 0.0
        # Capped before the power: after a day of failures 2**n is no float any more.
        doublings = min(self._failures - 2, 10)
        return min(FIRST_WAIT_SECONDS * 2.0**doublings, LONGEST_WAIT_SECONDS)

    def finished(self, now: float) -> None:
        """It is gone and shall stay so."""
        self._enter(State.ENDED, now)

    def forgive(self, seconds: float) -> None:
        """The watcher itself slept this long; what it did not hear is no evidence."""
        self._since += seconds
        self._last_beat += seconds

    def restarts_lately(self, now: float) -> int:
        """How often it ended within the last `OFTEN_SECONDS`."""
        return sum(1 for end in self._ends if now - end <= OFTEN_SECONDS)

    def _enter(self, state: State, now: float) -> None:
        self.state = state
        self._since = now
        self._last_beat = now
