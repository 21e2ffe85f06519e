"""What a worker counts. One event loop, so plain integers do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Figures:
    """Since the process started."""

    calls: int = 0
    active: int = 0
    most_active: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    """`ruling/reason`."""
    errors: int = 0
    """Calls that took the safe branch: the dialplan brought the caller to a human."""
    agi_violations: int = 0
    audio_violations: int = 0
    turned_away: int = 0
    """Connections that never said who they are."""
    refused_full: int = 0
    releases_left: int | None = None
    """Of this hour's drop budget, as the last call that came here was told."""

    def begin(self) -> None:
        """A call began."""
        self.calls += 1
        self.active += 1
        self.most_active = max(self.most_active, self.active)

    def end(self) -> None:
        """A call ended."""
        self.active -= 1

    def shown(self) -> dict[str, Any]:
        """For the status file."""
        return {
            "calls": self.calls,
            "active": self.active,
            "most_active": self.most_active,
            "outcomes": dict(self.outcomes),
            "verdicts": dict(self.verdicts),
            "errors": self.errors,
            "agi_violations": self.agi_violations,
            "audio_violations": self.audio_violations,
            "turned_away": self.turned_away,
            "refused_full": self.refused_full,
            "releases_left": self.releases_left,
        }
