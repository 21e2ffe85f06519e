"""Lines that are missing, told by those that are there.

Each rule names what Asterisk and our dialplan always write together; where half of it
stands alone the record is `incomplete`. What nothing else tells of is listed in
`docs/records.md`; `tests/replay/test_one_line_less.py` holds both to real journals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pbx.model.call import Transfer, TransferKind
from pbx.model.channels import Channel
from pbx.model.conversation import Talk
from pbx.model.facts import (
    Degraded,
    Judged,
    PromptHeard,
    Queued,
    QueueLeft,
    Released,
    Rescued,
)
from pbx.model.spans import seconds_between

_NEXT_RUNG_SECONDS = 2.0
"""From leaving a queue to the next one: at once, or, after a whole round, Wait(1)."""

_AFTER_ANSWER = (PromptHeard, Judged, Degraded, Queued, Released)
_WHY_QUEUED = (Judged, Rescued, Degraded)


@dataclass(frozen=True, slots=True)
class Gaps:
    """One call: its channels, its caller, whom he talked with, how he was passed on,
    when last heard of, and whether we hung up."""

    channels: Sequence[Channel]
    caller: Channel
    talks: Sequence[Talk]
    transfers: Sequence[Transfer]
    last_at: datetime
    is_ended_by_us: bool

    def are_there(self) -> bool:
        """Whether a line must be missing."""
        return any(map(_is_torn, self.channels)) or (
            not self.caller.is_operator
            and (
                self._is_course_torn()
                or self._is_queueing_torn()
                or self._is_a_transfer_missing()
            )
        )

    def _is_course_torn(self) -> bool:
        """Nobody is greeted unanswered, queued for no reason, or released unsaid."""
        facts = [fact for _, fact in self.caller.facts]
        is_queued = any(type(fact) is Queued for fact in facts)
        verdicts = [fact.verdict for fact in facts if isinstance(fact, Judged)]
        is_released = any(type(fact) is Released for fact in facts)
        is_to_go = verdicts[-1:] == ["release"] and not (is_queued or self.talks)
        return (
            (
                self.caller.answered_at is None
                and any(isinstance(fact, _AFTER_ANSWER) for fact in facts)
            )
            or (is_queued and not any(isinstance(fact, _WHY_QUEUED) for fact in facts))
            or (is_to_go and self.is_ended_by_us and not is_released)
            or (is_released and "release" not in verdicts)
        )

    def _is_queueing_torn(self) -> bool:
        """In and out in turn, and after out in again; only a transfer, or a talk that
        ends the call, takes him out without a word."""
        inside: Queued | None = None
        since: datetime | None = None
        for at, fact in self.caller.facts:
            match fact:
                case Queued():
                    if inside and since and not self._is_passed_on(since, at):
                        return True
                    inside, since = fact, at
                case QueueLeft():
                    if inside is None or (inside.queue, inside.rung) != (
                        fact.queue,
                        fact.rung,
                    ):
                        return True
                    inside, since = None, at
                case _:
                    pass
        if inside or since is None:
            return False
        waited = seconds_between(since, self.caller.ended_at or self.last_at)
        return (waited or 0.0) > _NEXT_RUNG_SECONDS

    def _is_a_transfer_missing(self) -> bool:
        """Whoever rings for him does so for a queue or a transfer; whoever an operator
        dialled comes to him by a transfer."""
        return any(map(self._rings_for_nothing, self.channels)) or any(
            self._is_brought(talk.other)
            and all(transfer.kind is TransferKind.BLIND for transfer in self.transfers)
            for talk in self.talks
        )

    def _rings_for_nothing(self, phone: Channel) -> bool:
        if phone.started is None or phone.linkedid != self.caller.id:
            return False
        if phone is self.caller:
            return False
        rang_at = phone.first_at
        talked_at = [t.begin for t in self.talks if t.begin < rang_at]
        since = max(talked_at, default=self.caller.first_at)
        return not (
            self._is_passed_on(since, rang_at)
            or any(
                type(fact) is Queued and since <= at <= rang_at
                for at, fact in self.caller.facts
            )
        )

    def _is_passed_on(self, since: datetime, until: datetime) -> bool:
        return any(since <= transfer.at <= until for transfer in self.transfers)

    def _is_brought(self, other: Channel) -> bool:
        """An operator's own call made this channel."""
        dialler = next((c for c in self.channels if c.id == other.linkedid), None)
        return (
            dialler is not None
            and dialler is not other
            and dialler is not self.caller
            and dialler.is_operator
        )


def _is_torn(channel: Channel) -> bool:
    """Only an answered channel comes into a bridge, and it leaves it before its end."""
    is_gone = channel.hung_up is not None
    return bool(channel.stays) and (
        channel.answered_at is None
        or (is_gone and any(stay.left is None for stay in channel.stays))
    )
