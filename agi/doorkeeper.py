"""Who may wait at a door: connections that have not yet said who they are.

A port scan opens connections and says nothing, or says it slowly. Such guests get a
deadline and a limited number of chairs; when all are taken, the one who has waited
longest goes. A call of ours identifies itself within a millisecond, so a scan cannot
crowd it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

DEADLINE_SECONDS = 2.0
CHAIRS = 128


class Guest(Protocol):
    """A connection that can be shown out."""

    def turn_away(self, why: str) -> None:
        """Close at once."""


@dataclass(slots=True)
class Turned:
    """How many were turned away, and why."""

    late: int = 0
    crowded: int = 0


class Doorkeeper:
    """Keeps one port's unidentified connections, the longest waiting first."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        chairs: int = CHAIRS,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._clock = clock
        self._chairs = chairs
        self._deadline_seconds = deadline_seconds
        self._waiting: dict[Guest, float] = {}
        self.turned = Turned()

    @property
    def waiting(self) -> int:
        """How many have not identified themselves yet."""
        return len(self._waiting)

    def admit(self, guest: Guest) -> None:
        """Somebody connected; the longest waiting goes if there is no chair left."""
        self._waiting[guest] = self._clock()
        if len(self._waiting) > self._chairs:
            oldest = next(iter(self._waiting))
            self.forget(oldest)
            self.turned.crowded += 1
            oldest.turn_away("crowded")

    def forget(self, guest: Guest) -> None:
        """The guest has identified itself, or is gone."""
        self._waiting.pop(guest, None)

    def sweep(self) -> None:
        """Turn away who did not identify itself in time; a few times a second."""
        limit = self._clock() - self._deadline_seconds
        late = []
        for guest, since in self._waiting.items():  # in order of arrival
            if since > limit:
                break
            late.append(guest)
        for guest in late:
            self.forget(guest)
            self.turned.late += 1
            guest.turn_away("late")
