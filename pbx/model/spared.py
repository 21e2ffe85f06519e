"""Ghosts kept from operators, and what is known of those who were dropped.

The promise is that 80 % of ghosts never ring a phone, and that no person is among the
dropped. The first is counted. The second is estimated from the holdout, the would-be
releases that went to an operator by lot, with its exact 95 % interval, and from what
people heard who listened to the drops (`reviews`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pbx.model.call import Disposition
from pbx.model.category import Category
from pbx.model.figures import Share
from pbx.model.reported import ReportedCall
from pbx.model.review import DROPS, Kind, Review

PROMISED_SHARE = 0.80
"""Of ghosts, those that never ring a phone."""


@dataclass(slots=True)
class Spared:
    """What the filter did with ghosts, and with whom it dropped."""

    ghosts: int = 0
    never_rang: int = 0
    """Ghosts that rang no operator's phone."""
    low_priority: int = 0
    """Ghosts that waited behind everybody else."""
    connected: int = 0
    """Ghosts an operator talked to."""
    ghost_ms: int = 0
    """Of operators, talking to ghosts."""
    kinds: Counter[Kind] = field(default_factory=Counter)
    reviews: Counter[Review] = field(default_factory=Counter)
    """Of drops."""
    tried: int = 0
    """Holdout and shadow calls of which is known whether a person was there."""
    people: int = 0
    """Of these, people."""
    untried: int = 0
    """Holdout and shadow calls nobody knows about."""
    genuine: int = 0
    """Calls of people, whatever the filter said."""

    def add(self, call: ReportedCall) -> None:
        """Count one call."""
        self.genuine += call.is_person
        if call.category is Category.GHOST:
            self._add_ghost(call)
        if call.kind is None:
            return
        self.kinds[call.kind] += 1
        if call.kind in DROPS:
            self.reviews[call.review] += 1
        if call.kind in (Kind.HOLDOUT, Kind.SHADOW):
            self._add_tried(call)

    def _add_ghost(self, call: ReportedCall) -> None:
        self.ghosts += 1
        self.never_rang += not call.rings
        self.low_priority += call.is_low_priority
        if call.disposition is Disposition.CONNECTED:
            self.connected += 1
            self.ghost_ms += round((call.talk_seconds or 0.0) * 1000)

    def _add_tried(self, call: ReportedCall) -> None:
        if not _is_known(call):
            self.untried += 1
            return
        self.tried += 1
        self.people += call.review is Review.PERSON or call.is_person

    def merge(self, other: Spared) -> None:
        """Add what another one counted."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def kept_away(self) -> Share:
        """Ghosts that rang no phone, of all ghosts."""
        return Share(self.never_rang, self.ghosts)

    @property
    def drops(self) -> int:
        """Callers who reached nobody by the filter's doing."""
        return sum(self.kinds[kind] for kind in DROPS)

    @property
    def people_tried(self) -> Share:
        """People among would-be releases that went to an operator."""
        return Share(self.people, self.tried)

    @property
    def people_dropped(self) -> tuple[float, float, float] | None:
        """How many drops may have been people: estimate, low, high; None: untried."""
        if not self.tried:
            return None
        low, high = self.people_tried.interval
        return (
            self.people / self.tried * self.drops,
            low * self.drops,
            high * self.drops,
        )

    @property
    def reviewed(self) -> int:
        """Drops somebody listened to."""
        return self.drops - self.reviews[Review.UNREVIEWED]

    @property
    def people_reviewed(self) -> Share:
        """People among the drops whose reviewer was sure."""
        people = self.reviews[Review.PERSON]
        return Share(people, people + self.reviews[Review.NOBODY])


_SUMS = (
    "ghosts",
    "never_rang",
    "low_priority",
    "connected",
    "ghost_ms",
    "kinds",
    "reviews",
    "tried",
    "people",
    "untried",
    "genuine",
)


def _is_known(call: ReportedCall) -> bool:
    return (
        call.is_classified
        or call.disposition is Disposition.CONNECTED
        or call.review in (Review.PERSON, Review.NOBODY)
    )
