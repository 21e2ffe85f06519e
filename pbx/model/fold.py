"""Journal events → the record of a call. Pure: the same lines make the same record.

Lines may be missing, doubled (a restored file), still to come, and interleaved in any
way across channels; notes may come at any time. What does not add up is no error, it
makes the record `incomplete`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from typing import TypeVar

from pbx.model.call import (
    CHANGES,
    PROGRESS,
    Call,
    Direction,
    Disposition,
    Hold,
    HungUpBy,
    Leg,
    Recording,
    Rung,
    State,
    unfolded,
)
from pbx.model.caller import caller_facts
from pbx.model.channels import Channel, birth, oldest, read_channels
from pbx.model.conversation import Talk, Transfers, talk_seconds, talks_of
from pbx.model.events import CallEnded, FactTold, JournalEvent
from pbx.model.facts import (
    Degraded,
    Fact,
    Judged,
    KeyPressed,
    Offered,
    PromptHeard,
    Queued,
    QueueLeft,
    RecordingBegan,
    Released,
    Rescued,
)
from pbx.model.gaps import Gaps
from pbx.model.notes import NOTES, Notes
from pbx.model.rings import Rings
from pbx.model.spans import common, seconds_between, seconds_within

TRUNK_CONTEXT = "from-trunk"
"""The dialplan context, or the head of its name, that carriers' calls enter."""

_Told = Sequence[tuple[datetime, Fact]]
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
    course, notes = _apart(events)
    if not course:
        return _unheard_of(notes, rebooted_at, gone_at)
    call_id = oldest({e.linkedid for e in (*course, *notes)})
    channels = read_channels(course)
    last_at = max(event.at for event in course)
    is_over = all(c.ended_at for c in channels) or any(
        type(e) is CallEnded and e.linkedid == call_id for e in course
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
    linkedids = {e.linkedid for e in course}
    return _Story(
        call_id=call_id,
        channels=channels,
        caller=caller,
        notes=Notes(notes),
        last_at=last_at,
        is_over=is_over or is_truncated or is_end_lost,
        is_truncated=is_truncated,
        has_gap=bool(unreadable) or is_end_lost,
        joined=tuple(sorted(linkedids - {call_id}, key=birth)),
    ).tell()


def _apart(
    events: Iterable[JournalEvent],
) -> tuple[list[JournalEvent], list[FactTold]]:
    """The call's own course, and the notes; each event once. Raises ValueError."""
    course: list[JournalEvent] = []
    notes: list[FactTold] = []
    for event in dict.fromkeys(events):
        if type(event) is FactTold and type(event.fact) in NOTES:
            notes.append(event)
        else:
            course.append(event)
    if not (course or notes):
        raise ValueError("no events, no call")
    return course, notes


def _unheard_of(
    told: Sequence[FactTold], rebooted_at: datetime | None, gone_at: datetime | None
) -> Call:
    """Notes alone: the journal's lines are still to come, or lost."""
    notes = Notes(list(told))
    began_at, last_at = notes.told[0].at, notes.told[-1].at
    is_truncated = rebooted_at is not None and began_at < rebooted_at
    call = unfolded(
        oldest({note.linkedid for note in told}),
        started_at=began_at,
        last_event_at=last_at,
        is_over=is_truncated or gone_at is not None,
    )
    return replace(
        call,
        truncated=is_truncated,
        holds=notes.holds((), call.ended_at),
        classified=notes.classified(),
        survey=notes.survey(),
    )


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
    notes: Notes
    last_at: datetime
    is_over: bool
    is_truncated: bool
    has_gap: bool
    """Some of its lines could not be read."""
    joined: tuple[str, ...]

    def tell(self) -> Call:
        facts = [f for c in self._caller_first() for f in c.facts]
        offered = _last(facts, Offered)
        released = next(((at, f) for at, f in facts if isinstance(f, Released)), None)
        rungs = _rungs(facts)
        talks = talks_of(self.caller, self.channels)
        connected_at = min((talk.begin for talk in talks), default=None)
        with_operators = [talk for talk in talks if talk.other.is_operator]
        first = min(with_operators, key=lambda talk: talk.begin, default=None)
        queued_at = rungs[0].at if rungs else None
        ended_at = self._ended_at()
        direction = self._direction(offered)
        disposition, is_regular = self._disposition(facts, connected_at, direction)
        holds = self.notes.holds(self.channels, ended_at)
        started, hung_up = self.caller.started, self.caller.hung_up
        # A torn CHAN_START says "" of what was torn off.
        caller = (started.caller or None) if started else None
        dialled = (started.dialled or None) if started else None
        is_told = bool(talks) and self.is_over
        transfers = Transfers(self.channels, self.caller, self.last_at).told(talks)
        hung_up_by = self._hung_up_by()
        gaps = Gaps(
            self.channels,
            self.caller,
            talks,
            transfers,
            self.last_at,
            hung_up_by is HungUpBy.SYSTEM,
        )
        return Call(
            call_id=self.call_id,
            state=State.CLOSED if self.is_over else State.OPEN,
            disposition=disposition,
            direction=direction,
            incomplete=not is_regular
            or gaps.are_there()
            or self._is_incomplete(offered),
            truncated=self.is_truncated,
            joined=self.joined,
            trunk=offered.trunk if offered else self._trunk(),
            number=offered.number if offered else dialled,
            ani=offered.ani if offered else caller,
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
            verdict=_last(facts, Judged),
            rescued=next((f.reason for _, f in facts if isinstance(f, Rescued)), None),
            degraded=next((f.heard for _, f in facts if isinstance(f, Degraded)), None),
            released_at=released[0] if released else None,
            release_prompt=released[1].prompt if released else None,
            queued=rungs,
            rings=Rings(
                self.channels, self.caller, [talk.begin for talk in talks]
            ).attempts(rungs),
            operator=first.other.endpoint if first else None,
            hangup_cause=hung_up.cause if hung_up else None,
            hung_up_by=hung_up_by,
            wait_seconds=seconds_between(queued_at, connected_at or ended_at),
            ring_seconds=seconds_between(first.other.first_at, first.other.answered_at)
            if first
            else None,
            talk_seconds=talk_seconds(talks, self.last_at) if is_told else None,
            hold_seconds=self._hold_seconds(talks, holds) if is_told else None,
            wrap_up_seconds=self._wrap_up_seconds(with_operators),
            holds=holds,
            transfers=transfers,
            recordings=_recordings(facts) if talks else (),
            caller=caller_facts(self.caller.facts),
            classified=self.notes.classified(),
            survey=self.notes.survey(),
            abandoned=disposition is Disposition.ABANDONED,
            legs=tuple(_leg(channel) for channel in self.channels),
        )

    def _caller_first(self) -> list[Channel]:
        return [self.caller, *(c for c in self.channels if c is not self.caller)]

    def _hold_seconds(self, talks: Sequence[Talk], holds: Sequence[Hold]) -> float:
        held = [(hold.at, hold.ended_at or self.last_at) for hold in holds]
        talked = [talk.lasts_until(self.last_at) for talk in talks]
        return seconds_within(common(held, talked))

    def _wrap_up_seconds(self, talks: Sequence[Talk]) -> float | None:
        """Of the operator who talked last, once that is over."""
        ended = [(talk.end, talk.other.endpoint) for talk in talks if talk.end]
        if not ended or len(ended) < len(talks):
            return None
        end, operator = max(ended)
        return seconds_between(end, self.notes.ready_at(operator, end))

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


def _recordings(facts: _Told) -> tuple[Recording, ...]:
    """Files begun; one that nobody ever talked into is empty, so it is not told."""
    return tuple(Recording(f.name, at) for at, f in facts if type(f) is RecordingBegan)


def _last(facts: _Told, kind: type[_F]) -> _F | None:
    return next((f for _, f in reversed(facts) if isinstance(f, kind)), None)
