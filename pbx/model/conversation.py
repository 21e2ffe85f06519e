"""Who talked with whom: the caller's talks, and how the call was passed on.

Asterisk's journal tells bridges, and transfers that went well as far as Asterisk is
concerned; whether anybody took the call is seen by the bridge that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pbx.model.call import Transfer, TransferKind
from pbx.model.channels import Channel
from pbx.model.events import AttendedTransferred, BlindTransferred
from pbx.model.facts import Queued
from pbx.model.spans import Span, seconds_between, seconds_within

_CONFERENCE_SECONDS = 1.0
"""Three in one bridge for less is a transfer seen while it happens: the one comes
before the other has left."""


@dataclass(frozen=True, slots=True)
class Talk:
    """The caller and another heard each other; `end` None: they still do."""

    begin: datetime
    end: datetime | None
    other: Channel

    def lasts_until(self, last_at: datetime) -> Span:
        """From, to; `last_at` where it has not ended."""
        return self.begin, self.end or last_at


def talks_of(caller: Channel, channels: Sequence[Channel]) -> list[Talk]:
    """Each talk, in the order of the others' birth."""
    return [
        Talk(begin, end, other)
        for other in channels
        if other is not caller and other.stays
        for begin, end in caller.overlaps(other)
    ]


def talk_seconds(talks: Sequence[Talk], last_at: datetime) -> float:
    """Seconds in a bridge with somebody, whoever that was."""
    return seconds_within(talk.lasts_until(last_at) for talk in talks)


@dataclass(frozen=True, slots=True)
class Transfers:
    """How one call was passed on: its channels, its caller, when last heard of."""

    channels: Sequence[Channel]
    caller: Channel
    last_at: datetime

    def told(self, talks: Sequence[Talk]) -> tuple[Transfer, ...]:
        """Every transfer, in order of time."""
        found = [
            self._blind(channel, event)
            if isinstance(event, BlindTransferred)
            else self._attended(channel, event)
            for channel in self.channels
            for event in channel.transfers
        ]
        if len(talks) > 1:
            found += self._conferences(sorted(talks, key=lambda talk: talk.begin))
        return tuple(sorted(found, key=lambda transfer: (transfer.at, transfer.to)))

    def _blind(self, channel: Channel, event: BlindTransferred) -> Transfer:
        return Transfer(
            kind=TransferKind.BLIND,
            by=channel.endpoint,
            to=event.extension,
            at=event.at,
            completed=self._is_taken(self._named(event.transferee), channel, event.at),
        )

    def _attended(self, channel: Channel, event: AttendedTransferred) -> Transfer:
        second = self._named(event.second)
        dialled = second.started.dialled if second and second.started else ""
        target = self._named(event.target)
        return Transfer(
            kind=TransferKind.ATTENDED,
            by=channel.endpoint,
            to=dialled or (target.endpoint if target else ""),
            at=event.at,
            completed=self._is_taken(self._named(event.transferee), channel, event.at),
        )

    def _named(self, uniqueid: str) -> Channel | None:
        return next((c for c in self.channels if c.id == uniqueid), None)

    def _is_taken(self, passed: Channel | None, by: Channel, at: datetime) -> bool:
        """Whether somebody else heard who was passed on, before a queue had him."""
        who = passed or self.caller
        back_at = min(
            (when for when, f in who.facts if isinstance(f, Queued) and when >= at),
            default=None,
        )
        return any(
            end is None or end > max(begin, at)
            for other in self.channels
            if other is not who and other.endpoint != by.endpoint
            for begin, end in who.overlaps(other)
            if back_at is None or begin < back_at
        )

    def _conferences(self, talks: Sequence[Talk]) -> list[Transfer]:
        """Who came to a talk that went on; `talks` by their beginning."""
        found = []
        for i, talk in enumerate(talks):
            others = [t for t in talks[:i] if self._is_shared(t, talk)]
            if others:
                found.append(
                    Transfer(
                        kind=TransferKind.CONFERENCE,
                        by=self._who_asked(talk.other, others[0].other),
                        to=talk.other.endpoint,
                        at=talk.begin,
                        completed=True,
                    )
                )
        return found

    def _is_shared(self, one: Talk, two: Talk) -> bool:
        end = min(one.end or self.last_at, two.end or self.last_at)
        shared = seconds_between(two.begin, end) or 0.0
        return one.other is not two.other and shared >= _CONFERENCE_SECONDS

    def _who_asked(self, third: Channel, there: Channel) -> str:
        """Who dialled came by himself; else it was whoever dialled him."""
        if not third.is_dialled:
            return third.endpoint
        dialler = self._named(third.linkedid)
        return dialler.endpoint if dialler and dialler.is_operator else there.endpoint
