"""Journal events → the record of a call. Pure: the same lines make the same record.

Lines may be missing, doubled (a restored file), still to come, and interleaved in any
way across channels. What does not add up is no error, it makes the record `incomplete`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import TypeVar

from pbx.model.call import (
    CHANGES,
    PROGRESS,
    Call,
    Direction,
    Disposition,
    HungUpBy,
    Leg,
    RingAttempt,
    RingOutcome,
    Rung,
    State,
)
from pbx.model.channels import Channel, birth, oldest, read_channels
from pbx.model.events import (
    CallEnded,
    Degraded,
    Fact,
    JournalEvent,
    Judged,
    KeyPressed,
    Offered,
    PromptHeard,
    Queued,
    QueueLeft,
    Released,
    Rescued,
)

TRUNK_CONTEXT = "from-trunk"
"""The dialplan context, or the head of its name, that carriers' calls enter."""

_CANCELLED_WITHIN_SECONDS = 0.5
"""A phone that stops ringing this close to the caller's end, or to another phone's
answer, rang in vain; Asterisk gives cause 0 for that and for a ring timeout alike."""

_Told = Sequence[tuple[datetime, Fact]]
_Talk = tuple[datetime, datetime | None, Channel]
_F = TypeVar("_F", bound=Fact)


def fold(
    events: Iterable[JournalEvent],
    *,
    unreadable: int = 0,
    rebooted_at: datetime | None = None,
    gone_at: datetime | None = None,
) -> Call:
    """One group of events → the record of that call.

    `unreadable` counts the group's lines that could not be understood; `rebooted_at` is
    when Asterisk last started, perhaps rounded down to the second: a call that began
    before and is still open died with the old process. `gone_at` is when the second
    witness saw the caller's channel end: it closes a call whose own journal lines never
    will, unless others talk on without the caller. Raises ValueError without any event.
    """
    kept = list(dict.fromkeys(events))
    if not kept:
        raise ValueError("no events, no call")
    call_id = oldest(e.linkedid for e in kept)
    channels = read_channels(kept)
    last_at = max(event.at for event in kept)
    is_over = all(c.ended_at for c in channels) or any(
        isinstance(e, CallEnded) and e.linkedid == call_id for e in kept
    )
    caller = next((c for c in channels if c.id == call_id), channels[0])
    began_at = min(channel.first_at for channel in channels)
    is_truncated = not is_over and rebooted_at is not None and began_at < rebooted_at
    is_end_lost = (
        gone_at is not None
        and not (is_over or is_truncated)
        and not (caller.ended_at and _others_talk(channels, caller))
    )
    if is_end_lost:
        caller.ended_at = caller.ended_at or gone_at
    return _Story(
        call_id=call_id,
        channels=channels,
        caller=caller,
        last_at=last_at,
        is_over=is_over or is_truncated or is_end_lost,
        is_truncated=is_truncated,
        has_gap=bool(unreadable) or is_end_lost,
        joined=tuple(sorted({e.linkedid for e in kept} - {call_id}, key=birth)),
    ).tell()


def _others_talk(channels: Sequence[Channel], caller: Channel) -> bool:
    """Whether two who are not the caller are in one bridge still."""
    others = [c for c in channels if c is not caller]
    return any(
        end is None
        for one, two in combinations(others, 2)
        for _, end in one.overlaps(two)
    )


_GOOD_ENDS = frozenset({Disposition.CONNECTED, Disposition.RELEASED})


@dataclass(slots=True)
class _Story:
    """The parts of one record while it is put together."""

    call_id: str
    channels: list[Channel]
    caller: Channel
    last_at: datetime
    is_over: bool
    is_truncated: bool
    has_gap: bool
    """Some of its lines could not be read."""
    joined: tuple[str, ...]

    def tell(self) -> Call:
        facts = [f for c in self._caller_first() for f in c.facts]
        offered = _last(facts, Offered)
        rungs = _rungs(facts)
        talks = self._talks()
        connected_at = min((begin for begin, _, _ in talks), default=None)
        operator = min(
            ((begin, c) for begin, _, c in talks if c.is_operator),
            key=lambda talk: talk[0],
            default=None,
        )
        queued_at = rungs[0].at if rungs else None
        released_at = next((at for at, f in facts if isinstance(f, Released)), None)
        ended_at = self._ended_at()
        direction = self._direction(offered)
        disposition, is_regular = self._disposition(facts, connected_at, direction)
        rings = tuple(
            self._ring(c, rungs, connected_at) for c in self.channels if self._rang(c)
        )
        verdict = _last(facts, Judged)
        started = self.caller.started
        return Call(
            call_id=self.call_id,
            state=State.CLOSED if self.is_over else State.OPEN,
            disposition=disposition,
            direction=direction,
            incomplete=not is_regular or self._is_incomplete(offered),
            truncated=self.is_truncated,
            joined=self.joined,
            trunk=offered.trunk if offered else self._trunk(),
            number=offered.number if offered else started.dialled if started else None,
            ani=offered.ani if offered else started.caller if started else None,
            presentation=offered.presentation if offered else None,
            flow=offered.flow if offered else None,
            started_at=self.caller.first_at,
            answered_at=self.caller.answered_at,
            queued_at=queued_at,
            connected_at=connected_at,
            ended_at=ended_at,
            last_event_at=self.last_at,
            prompts=tuple(f for _, f in facts if isinstance(f, PromptHeard)),
            keys=tuple(f for _, f in facts if isinstance(f, KeyPressed)),
            verdict=verdict,
            rescued=next((f.reason for _, f in facts if isinstance(f, Rescued)), None),
            degraded=next((f.heard for _, f in facts if isinstance(f, Degraded)), None),
            released_at=released_at,
            release_prompt=next(
                (f.prompt for _, f in facts if isinstance(f, Released)), None
            ),
            queued=rungs,
            rings=rings,
            operator=operator[1].endpoint if operator else None,
            hangup_cause=self.caller.hung_up.cause if self.caller.hung_up else None,
            hung_up_by=self._hung_up_by(),
            wait_seconds=_between(queued_at, connected_at or ended_at),
            ring_seconds=_between(operator[1].first_at, operator[1].answered_at)
            if operator
            else None,
            talk_seconds=self._talk_seconds(talks),
            abandoned=disposition is Disposition.ABANDONED,
            legs=tuple(_leg(channel) for channel in self.channels),
        )

    def _caller_first(self) -> list[Channel]:
        return [self.caller, *(c for c in self.channels if c is not self.caller)]

    def _talks(self) -> list[_Talk]:
        return [
            (begin, end, other)
            for other in self.channels
            if other is not self.caller
            for begin, end in self.caller.overlaps(other)
        ]

    def _ended_at(self) -> datetime | None:
        if not self.is_over:
            return None
        return self.caller.ended_at or self.last_at

    def _disposition(
        self, facts: _Told, connected_at: datetime | None, direction: Direction
    ) -> tuple[Disposition, bool]:
        """How far it came, and whether each step there is allowed by the table."""
        reached, is_regular = Disposition.OFFERED, True
        for step in self._steps(facts, connected_at):
            if PROGRESS[step] <= PROGRESS[reached]:
                continue
            is_regular &= step in CHANGES[reached]
            reached = step
        if self.is_over and reached not in _GOOD_ENDS:
            reached = self._how_it_failed(reached, direction)
        return reached, is_regular

    def _steps(
        self, facts: _Told, connected_at: datetime | None
    ) -> Iterable[Disposition]:
        if self.caller.answered_at:
            yield Disposition.ANSWERED
        for at, fact in facts:
            if connected_at is not None and at > connected_at:
                break  # after the conversation began nothing changes its disposition
            match fact:
                case Judged(verdict="pass" | "low-priority"):
                    yield Disposition.PASSED
                case Queued():
                    yield Disposition.QUEUED
                case Released():
                    yield Disposition.RELEASED
                case _:
                    pass
        if connected_at is not None:
            yield Disposition.CONNECTED

    def _how_it_failed(self, reached: Disposition, direction: Direction) -> Disposition:
        if direction is Direction.OUTGOING:
            return Disposition.UNANSWERED
        if self.is_truncated or self._hung_up_by() is HungUpBy.SYSTEM:
            return Disposition.LOST
        if reached is Disposition.QUEUED:
            return Disposition.ABANDONED
        return Disposition.LEFT

    def _direction(self, offered: Offered | None) -> Direction:
        if offered or not self.caller.is_operator:
            return Direction.INCOMING
        return Direction.OUTGOING

    def _trunk(self) -> str | None:
        return None if self.caller.is_operator else self.caller.endpoint or None

    def _is_incomplete(self, offered: Offered | None) -> bool:
        came_in = self.caller.started is not None and (
            self.caller.started.context.startswith(TRUNK_CONTEXT)
        )
        return (
            self.has_gap
            or self.caller.id != self.call_id
            or any(channel.gap for channel in self.channels)
            or (came_in and offered is None and self.caller.answered_at is not None)
            or (
                self.is_over
                and not self.is_truncated
                and any(channel.ended_at is None for channel in self.channels)
            )
        )

    def _rang(self, channel: Channel) -> bool:
        return channel is not self.caller and channel.is_operator and channel.is_dialled

    def _ring(
        self, channel: Channel, rungs: Sequence[Rung], connected_at: datetime | None
    ) -> RingAttempt:
        end = channel.answered_at or channel.ended_at
        if connected_at is not None and channel.first_at > connected_at:
            rungs = ()  # rung by a transfer, not by a queue
        return RingAttempt(
            operator=channel.endpoint,
            queue=next(
                (r.queue for r in reversed(rungs) if r.at <= channel.first_at), None
            ),
            at=channel.first_at,
            ring_seconds=_between(channel.first_at, end),
            outcome=self._outcome(channel),
            cause=channel.hung_up.cause if channel.hung_up else None,
        )

    def _outcome(self, channel: Channel) -> RingOutcome:
        if channel.answered_at:
            return RingOutcome.ANSWERED
        if channel.ended_at is None:
            return RingOutcome.RINGING
        cause = channel.hung_up.cause if channel.hung_up else 0
        match cause:
            case 17:
                return RingOutcome.BUSY
            case 21:
                return RingOutcome.REFUSED
            case 26:
                return RingOutcome.CANCELLED
            case 0 | 16 | 18 | 19:
                return self._rang_out(channel.ended_at)
            case _:
                return RingOutcome.UNREACHABLE

    def _rang_out(self, ended_at: datetime) -> RingOutcome:
        reasons = [self.caller.ended_at, *(c.answered_at for c in self._dialled())]
        in_vain = any(
            abs((ended_at - at).total_seconds()) <= _CANCELLED_WITHIN_SECONDS
            for at in reasons
            if at
        )
        return RingOutcome.CANCELLED if in_vain else RingOutcome.NO_ANSWER

    def _dialled(self) -> list[Channel]:
        return [c for c in self.channels if c is not self.caller]

    def _hung_up_by(self) -> HungUpBy | None:
        if self.caller.hung_up is None:
            return None
        source = self.caller.hung_up.source
        if source == self.caller.name:
            return HungUpBy.CALLER
        for channel in self._dialled():
            if source == channel.name:
                return HungUpBy.OPERATOR if channel.is_operator else HungUpBy.OTHER
        return HungUpBy.SYSTEM

    def _talk_seconds(self, talks: Sequence[_Talk]) -> float | None:
        if not talks or not self.is_over:
            return None
        seconds, until = 0.0, None
        for begin, end, _ in sorted(talks, key=lambda talk: talk[0]):
            stop = end or self.last_at
            start = begin if until is None else max(begin, until)
            seconds += max(0.0, (stop - start).total_seconds())
            until = stop if until is None else max(until, stop)
        return round(seconds, 3)


def _rungs(facts: _Told) -> tuple[Rung, ...]:
    rungs: list[Rung] = []
    for at, fact in facts:
        match fact:
            case Queued():
                rungs.append(Rung(fact.queue, fact.priority, fact.rung, at, None, None))
            case QueueLeft():
                for i, stay in enumerate(rungs):
                    if stay.queue == fact.queue and stay.left_at is None:
                        rungs[i] = Rung(
                            stay.queue,
                            stay.priority,
                            stay.rung,
                            stay.at,
                            at,
                            fact.status or None,
                        )
                        break
            case _:
                pass
    return tuple(rungs)


def _leg(channel: Channel) -> Leg:
    return Leg(
        channel=channel.id,
        name=channel.name,
        endpoint=channel.endpoint,
        started_at=channel.first_at,
        answered_at=channel.answered_at,
        ended_at=channel.ended_at,
        cause=channel.hung_up.cause if channel.hung_up else None,
    )


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    """Seconds, never negative: the wall clock may have been set back."""
    if begin is None or end is None:
        return None
    return round(max(0.0, (end - begin).total_seconds()), 3)


def _last(facts: _Told, kind: type[_F]) -> _F | None:
    return next((f for _, f in reversed(facts) if isinstance(f, kind)), None)
