"""What should worry the duty officer now. Conditions are pure; the board holds them.

A condition must stand for a while before it becomes an alarm: a phone that registers
again within a second is no news.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pbx.ami import Member
from pbx.control.room import Mood, Room, ladder, mood
from pbx.model.city import City
from pbx.model.trend import Fall
from pbx.status import Status

REMEMBERED_SECONDS = 600.0
"""How long something that happened once, a restart or a rescue, stays an alarm."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that must not last; `sentence` says what it means and what to do."""

    alarm: str
    sentence: str
    after_seconds: float


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the conditions look at beside the room; times on the monotonic clock."""

    now: float
    wall: datetime
    is_store_failing: bool = False
    """Whether the database does not take the witness's notes."""
    unstored: int = 0
    dropped: int = 0
    rescued_at: float | None = None
    rescued: int = 0
    people_dropped: Sequence[str] = ()
    """Drops a reviewer marked as people, not acknowledged yet."""
    fall: Fall | None = None
    """Of the genuine calls."""


def conditions(room: Room, city: City, pulse: Pulse) -> Iterator[Condition]:
    """Everything that stands against us at this moment."""
    yield from _link(room, pulse)
    yield from _witness(pulse)
    yield from _filter(pulse)
    if room.is_linked:
        yield from _operators(room, city)
        yield from _stuck_queues(room, city, pulse)
    if pulse.rescued_at is not None and _recent(pulse.rescued_at, pulse.now):
        yield Condition(
            "calls-rescued",
            f"{pulse.rescued} calls hung in the filter and were sent to the operators; "
            "see the intake's log for why",
            0,
        )


def _recent(then: float, now: float) -> bool:
    return now - then < REMEMBERED_SECONDS


def _link(room: Room, pulse: Pulse) -> Iterator[Condition]:
    if not room.is_linked:
        yield Condition(
            "manager-link",
            f"no link to Asterisk's manager: {room.why_down}. Calls go on; this room "
            "is blind. See whether asterisk runs (`gerbang status`, `gerbang doctor`)",
            3,
        )
    if room.restarted_at is not None and _recent(room.restarted_at, pulse.now):
        booted = room.booted_at.isoformat() if room.booted_at else "?"
        yield Condition(
            "asterisk-restarted",
            f"Asterisk started anew at {booted}: the calls of that moment were cut and "
            "callers had to dial again. Look in its log for what ended it",
            0,
        )


def _witness(pulse: Pulse) -> Iterator[Condition]:
    if pulse.is_store_failing:
        yield Condition(
            "witness-not-stored",
            f"the database has not taken {pulse.unstored} notes about calls; they are "
            "kept in memory and tried again. Look at the database and its disk",
            5,
        )
    if pulse.dropped:
        yield Condition(
            "witness-dropped",
            f"{pulse.dropped} notes about calls were given up, memory being full; a "
            "call lost by the journal in this time may have no record",
            0,
        )


def _filter(pulse: Pulse) -> Iterator[Condition]:
    if pulse.people_dropped:
        first = pulse.people_dropped[0]
        yield Condition(
            "person-released",
            f"the filter dropped a person, as a reviewer heard: {first}, and perhaps "
            "others (`gerbang ghostfilter review --only was-a-person`). Call back, see "
            "why, then acknowledge it: the review page, or `--acknowledge`",
            0,
        )
    if pulse.fall is not None:
        fall = pulse.fall
        yield Condition(
            "genuine-calls-fell",
            f"genuine calls fell to {fall.per_week:.0f} a week over {fall.days} days, "
            f"from {fall.per_week_before:.0f} in the {fall.days_before} days before "
            f"(chance {fall.chance:.2g}). What changed: prompts, thresholds, the "
            "carrier? `gerbang ghostfilter figures`",
            0,
        )


def _operators(room: Room, city: City) -> Iterator[Condition]:
    for queue in dict.fromkeys(number.queue for number in city.numbers):
        rungs = ladder(city, queue)
        members = [m for rung in rungs for m in room.members_of(rung)]
        if any(m.is_reachable and not m.is_paused for m in members):
            continue
        yield Condition(f"no-operator-{queue}", _nobody(queue, rungs, members, city), 5)


def _nobody(
    queue: str, rungs: Sequence[str], members: Sequence[Member], city: City
) -> str:
    """Why nobody can answer, in words for a duty officer and for a first visitor."""
    paused = sorted({m.interface.partition("/")[2] for m in members if m.is_reachable})
    known = " and ".join(rungs)
    if paused:
        return (
            f"nobody can answer the queue {queue}: of the phones in {known} only "
            f"{', '.join(paused)} are registered, and paused. Callers wait. End a "
            "pause, or have another operator register"
        )
    phone = city.queue(queue).members[0]
    return (
        f"no operator's phone is registered yet for the queue {queue} (in {known}). "
        "Who calls now is greeted, then waits until one is. Register a phone: `gerbang "
        f"render --phone {phone}` prints its settings. To try 112 without one: "
        "`gerbang call` brings a stand-in operator"
    )


def _stuck_queues(room: Room, city: City, pulse: Pulse) -> Iterator[Condition]:
    for queue in city.queues:
        moods = [
            mood(member, queue.wrapup_seconds, pulse.wall)
            for member in room.members_of(queue.name)
        ]
        # A phone rings for one caller at a time: whom it rings for is being served.
        unserved = len(room.waiting_in(queue.name)) - moods.count(Mood.RINGING)
        if unserved > 0 and Mood.FREE in moods:
            yield Condition(
                f"queue-stuck-{queue.name}",
                f"{unserved} callers wait in {queue.name} while "
                f"{moods.count(Mood.FREE)} operators are free and their phones do not "
                "ring. Look at `queue show` and the phones' registrations",
                10,
            )


@dataclass(slots=True)
class Board:
    """Turns conditions into alarms, and takes alarms back when conditions end."""

    status: Status
    _since: dict[str, float] = field(default_factory=dict)

    def review(self, standing: Iterator[Condition], now: float) -> None:
        """Compare with the last review; `now` is the monotonic clock."""
        seen: set[str] = set()
        for condition in standing:
            seen.add(condition.alarm)
            since = self._since.setdefault(condition.alarm, now)
            if now - since >= condition.after_seconds:
                self.status.raise_alarm(condition.alarm, condition.sentence)
        for gone in set(self._since) - seen:
            del self._since[gone]
            self.status.clear_alarm(gone)
