"""What a report looks at of one call. No number of the caller is among it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pbx.model.call import Disposition, RingOutcome
from pbx.model.category import Category
from pbx.model.figures import GENUINE_TALK_SECONDS
from pbx.model.review import Kind, Review


@dataclass(frozen=True, slots=True)
class Rang:
    """One operator's phone, rung once."""

    operator: str
    seconds: float
    outcome: RingOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCall:
    """One closed incoming call."""

    started_at: datetime
    disposition: Disposition
    category: Category
    is_classified: bool = False
    """An operator said so."""
    type: str | None = None
    """What was reported, in the operator's words."""
    score: int | None = None
    """Of the survey, 1 to 5."""
    is_incomplete: bool = False
    queued_at: datetime | None = None
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    wait_seconds: float | None = None
    talk_seconds: float | None = None
    hold_seconds: float | None = None
    wrap_up_seconds: float | None = None
    operator: str | None = None
    rings: tuple[Rang, ...] = ()
    is_low_priority: bool = False
    kind: Kind | None = None
    """Why it is on the review list."""
    review: Review = Review.UNREVIEWED

    @property
    def is_person(self) -> bool:
        """Somebody was there: an operator says so, or talked as long as one does."""
        if self.is_classified:
            return self.category is not Category.GHOST
        return (
            self.disposition is Disposition.CONNECTED
            and (self.talk_seconds or 0.0) >= GENUINE_TALK_SECONDS
        )
