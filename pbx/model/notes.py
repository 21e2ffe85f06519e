"""What our own processes and people told of a call: the notes, folded.

A note may be read long before or after the call's own lines, in any order among calls,
and some may be missing: the control room was away. It says nothing of the call's
course, so a call with notes and without is the same call, but for these fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pbx.model.call import Classified, Hold, Survey
from pbx.model.channels import Channel, endpoint_of
from pbx.model.events import FactTold
from pbx.model.facts import ClassTold, Held, Surveyed, Unheld, WrappedUp

NOTES = frozenset({Held, Unheld, WrappedUp, ClassTold, Surveyed})
"""The kinds of fact that are notes (`pbx.model.facts.Note`)."""

_EARLY_SECONDS = 2.0
"""An operator may be called ready this long before his call's last journal line: the
manager's events and the journal are written by different threads."""


@dataclass(slots=True)
class Notes:
    """The notes of one call, in order of time."""

    told: list[FactTold] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Files may be read in any order; a moment's own order is kept."""
        self.told.sort(key=lambda note: note.at)

    def holds(
        self, channels: Iterable[Channel], ended_at: datetime | None
    ) -> tuple[Hold, ...]:
        """Each hold, by its beginning. One whose end was not told ends with its
        channel, or with the call (`ended_at`; None: it goes on)."""
        ends = {c.id: c.ended_at or ended_at for c in channels}
        holds: list[Hold] = []
        open_: dict[str, FactTold] = {}
        for note in self.told:
            match note.fact:
                case Held():
                    open_.setdefault(note.channel, note)
                case Unheld() if note.channel in open_:
                    holds.append(_hold(open_.pop(note.channel), note.at, ends))
                case _:
                    pass
        for channel, note in open_.items():
            holds.append(_hold(note, ends.get(channel, ended_at), ends))
        return tuple(sorted(holds, key=lambda hold: (hold.at, hold.by)))

    def ready_at(self, operator: str, since: datetime) -> datetime | None:
        """When this operator was first ready again after `since`."""
        for note in self.told:
            fact = note.fact
            if (
                isinstance(fact, WrappedUp)
                and fact.operator == operator
                and (note.at - since).total_seconds() >= -_EARLY_SECONDS
            ):
                return note.at
        return None

    def classified(self) -> Classified | None:
        """The last word of an operator."""
        for note in reversed(self.told):
            if isinstance(fact := note.fact, ClassTold):
                return Classified(
                    category=fact.category,
                    type=fact.type or None,
                    operator=fact.operator or None,
                    note=fact.note or None,
                    at=note.at,
                )
        return None

    def survey(self) -> Survey | None:
        """The caller's last answer."""
        for note in reversed(self.told):
            if isinstance(note.fact, Surveyed):
                return Survey(note.fact.score, note.at)
        return None


def _hold(
    began: FactTold, end: datetime | None, ends: Mapping[str, datetime | None]
) -> Hold:
    last = ends.get(began.channel)
    if end is not None and last is not None:
        end = min(end, last)
    by = began.fact.by if isinstance(began.fact, Held) else ""
    return Hold(
        by=by or endpoint_of(began.channel_name),
        at=began.at,
        ended_at=None if end is None else max(began.at, end),
    )
