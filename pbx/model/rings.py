"""Each phone that rang for a call, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pbx.model.call import RingAttempt, RingOutcome, Rung
from pbx.model.channels import Channel
from pbx.model.spans import seconds_between

_CANCELLED_WITHIN_SECONDS = 0.5
"""A phone that stops ringing this close to the caller's end, or to another phone's
answer, rang in vain; Asterisk gives cause 0 for that and for a ring timeout alike."""

_BY_CAUSE = {
    17: RingOutcome.BUSY,
    21: RingOutcome.REFUSED,
    26: RingOutcome.CANCELLED,
}
_RANG_OUT = frozenset({0, 16, 18, 19})
"""Q.850 causes of a phone that rang and was not answered."""


@dataclass(frozen=True, slots=True)
class Rings:
    """The phones of one call: its channels, whose caller is one of them, and each
    moment at which he began to talk with somebody."""

    channels: Sequence[Channel]
    caller: Channel
    talked_at: Sequence[datetime]

    def attempts(self, rungs: Sequence[Rung]) -> tuple[RingAttempt, ...]:
        """Every operator's phone that rang, in the order of ringing."""
        return tuple(
            self._attempt(c, rungs)
            for c in self.channels
            if c is not self.caller and c.is_operator and c.is_dialled
        )

    def _attempt(self, channel: Channel, rungs: Sequence[Rung]) -> RingAttempt:
        end = channel.answered_at or channel.ended_at
        return RingAttempt(
            operator=channel.endpoint,
            queue=self._queue(channel, rungs),
            at=channel.first_at,
            ring_seconds=seconds_between(channel.first_at, end),
            outcome=self._outcome(channel),
            cause=channel.hung_up.cause if channel.hung_up else None,
        )

    def _queue(self, channel: Channel, rungs: Sequence[Rung]) -> str | None:
        """The queue that had him then; None after a talk: rung by a transfer."""
        rang_at = channel.first_at
        rung = next((rung for rung in reversed(rungs) if rung.at <= rang_at), None)
        if rung is None or any(rung.at < at < rang_at for at in self.talked_at):
            return None
        return rung.queue

    def _outcome(self, channel: Channel) -> RingOutcome:
        if channel.answered_at:
            return RingOutcome.ANSWERED
        if channel.ended_at is None:
            return RingOutcome.RINGING
        cause = channel.hung_up.cause if channel.hung_up else 0
        if cause in _RANG_OUT:
            return self._rang_out(channel.ended_at)
        return _BY_CAUSE.get(cause, RingOutcome.UNREACHABLE)

    def _rang_out(self, ended_at: datetime) -> RingOutcome:
        others = (c.answered_at for c in self.channels if c is not self.caller)
        in_vain = any(
            abs((ended_at - at).total_seconds()) <= _CANCELLED_WITHIN_SECONDS
            for at in (self.caller.ended_at, *others)
            if at
        )
        return RingOutcome.CANCELLED if in_vain else RingOutcome.NO_ANSWER
