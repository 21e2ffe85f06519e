"""What a call was: the record, its parts, and how far a call can have come.

Times are aware UTC, durations seconds. A `Call` is made by `pbx.model.fold` from the
journal, or by `witnessed` when the journal itself was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pbx.model.facts import Judged, KeyPressed, PromptHeard


class State(StrEnum):
    """Whether more may come."""

    OPEN = "open"
    CLOSED = "closed"


class Direction(StrEnum):
    """Who began: a citizen, through a trunk, or an operator, from a phone."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


class Disposition(StrEnum):
    """How far a call came. The first four are on the way, the others ends."""

    OFFERED = "offered"
    ANSWERED = "answered"
    PASSED = "passed"
    QUEUED = "queued"
    CONNECTED = "connected"
    """A person talked with the caller."""
    ABANDONED = "abandoned"
    """The caller left while waiting in a queue."""
    LEFT = "left"
    """The caller hung up before being queued: no answer yet, or inside the filter."""
    RELEASED = "released"
    """The filter ended a ghost call."""
    LOST = "lost"
    """We ended it, or Asterisk died, before a person answered. Must never happen."""
    UNANSWERED = "unanswered"
    """An operator's own call that nobody took."""


_ENDS_EARLY = frozenset({Disposition.LEFT, Disposition.LOST, Disposition.UNANSWERED})

PROGRESS: Mapping[Disposition, int] = {
    Disposition.OFFERED: 0,
    Disposition.ANSWERED: 1,
    Disposition.PASSED: 2,
    Disposition.RELEASED: 3,
    Disposition.QUEUED: 4,
    Disposition.CONNECTED: 5,
}
"""A call only moves on: what comes later and counts less changes nothing."""

CHANGES: Mapping[Disposition, frozenset[Disposition]] = {
    Disposition.OFFERED: frozenset({Disposition.ANSWERED}) | _ENDS_EARLY,
    Disposition.ANSWERED: frozenset(
        {
            Disposition.PASSED,
            Disposition.QUEUED,  # rescued or degraded: nobody judged
            Disposition.CONNECTED,  # an operator's own call
            Disposition.RELEASED,
        }
    )
    | _ENDS_EARLY,
    Disposition.PASSED: frozenset({Disposition.QUEUED}) | _ENDS_EARLY,
    Disposition.QUEUED: frozenset(
        {Disposition.CONNECTED, Disposition.ABANDONED, Disposition.LOST}
    ),
    Disposition.CONNECTED: frozenset(),
    Disposition.ABANDONED: frozenset(),
    Disposition.LEFT: frozenset(),
    Disposition.RELEASED: frozenset({Disposition.QUEUED}),  # a second chance
    Disposition.LOST: frozenset(),
    Disposition.UNANSWERED: frozenset(),
}
"""The one table of allowed changes. The fold takes any change that happened; one that
is not in here means that journal lines are missing: the record is `incomplete`."""


class HungUpBy(StrEnum):
    """Which side ended the call."""

    CALLER = "caller"
    OPERATOR = "operator"
    OTHER = "other"
    """Whoever the call was transferred to or joined with."""
    SYSTEM = "system"


class RingOutcome(StrEnum):
    """What became of one ringing phone."""

    RINGING = "ringing"
    ANSWERED = "answered"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"
    """The caller left, or another phone took the call, while this one rang."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One channel of the call."""

    channel: str
    name: str
    endpoint: str
    """The PJSIP endpoint: an operator's number or a trunk's name."""
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    cause: int | None
    """Q.850 cause, as the channel ended."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One stay in one queue."""

    queue: str
    priority: int
    rung: int
    at: datetime
    left_at: datetime | None
    status: str | None
    """Why the queue gave the caller back (Asterisk's QUEUESTATUS), if it did."""


@dataclass(frozen=True, slots=True)
class RingAttempt:
    """One operator's phone, rung once."""

    operator: str
    queue: str | None
    """None: rung by a transfer or a colleague."""
    at: datetime
    ring_seconds: float | None
    outcome: RingOutcome
    cause: int | None


@dataclass(frozen=True, slots=True)
class Hold:
    """The other side was sent music, or nothing, for a while."""

    by: str
    """The endpoint that asked for it: an operator's number or a trunk's name."""
    at: datetime
    ended_at: datetime | None
    """None: nobody told of its end, and the call goes on."""


class TransferKind(StrEnum):
    """How a call was passed on."""

    BLIND = "blind"
    ATTENDED = "attended"
    """The operator spoke with the target first, then left."""
    CONFERENCE = "conference"
    """The target joined the two, and all three spoke."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One attempt to pass the call on, or to bring somebody in."""

    kind: TransferKind
    by: str
    to: str
    """The number dialled, or the endpoint where only that is known."""
    at: datetime
    completed: bool
    """Somebody there took the call."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A conversation kept as sound."""

    name: str
    """File name under `Settings.recordings`."""
    at: datetime


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """What the network said of the caller, as it came. Personal data."""

    asserted: str | None = None
    """P-Asserted-Identity (RFC 3325)."""
    access_network: str | None = None
    """P-Access-Network-Info (RFC 7315)."""
    geolocation: str | None = None
    """Geolocation (RFC 6442)."""
    cell_id: str | None = None
    """The radio cell, out of `access_network` (3GPP TS 24.229, 7.2A.4)."""


@dataclass(frozen=True, slots=True)
class Classified:
    """What the operator says the call was."""

    category: str
    """ghost, prank, information or valid."""
    type: str | None
    operator: str | None
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Survey:
    """How the caller rates the service."""

    score: int
    """1 (worst) to 5."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The whole record of one call."""

    call_id: str
    state: State
    disposition: Disposition
    direction: Direction = Direction.INCOMING
    incomplete: bool = False
    """Journal lines are known to be missing."""
    truncated: bool = False
    """Asterisk died under this call: it was closed by the next start."""
    joined: tuple[str, ...] = ()
    """Other calls that a transfer made part of this one."""
    trunk: str | None = None
    number: str | None = None
    """The number dialled."""
    ani: str | None = None
    """The caller's number as the network asserts it, also if withheld; empty: none."""
    presentation: str | None = None
    flow: str | None = None
    started_at: datetime
    answered_at: datetime | None = None
    queued_at: datetime | None = None
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    last_event_at: datetime
    prompts: tuple[PromptHeard, ...] = ()
    keys: tuple[KeyPressed, ...] = ()
    verdict: Judged | None = None
    rescued: str | None = None
    degraded: str | None = None
    released_at: datetime | None = None
    release_prompt: str | None = None
    queued: tuple[Rung, ...] = ()
    rings: tuple[RingAttempt, ...] = ()
    operator: str | None = None
    """The first operator the caller talked with."""
    hangup_cause: int | None = None
    hung_up_by: HungUpBy | None = None
    wait_seconds: float | None = None
    """From the first queue to the operator, or to the end."""
    ring_seconds: float | None = None
    """How long the phone that was answered had rung."""
    talk_seconds: float | None = None
    """In a bridge with somebody; known when the call is closed."""
    hold_seconds: float | None = None
    """On hold, within `talk_seconds`; known when the call is closed."""
    wrap_up_seconds: float | None = None
    """From the conversation's end until its last operator was ready again."""
    holds: tuple[Hold, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    recordings: tuple[Recording, ...] = ()
    caller: CallerFacts = CallerFacts()
    classified: Classified | None = None
    """The last word of an operator."""
    survey: Survey | None = None
    abandoned: bool = False
    legs: tuple[Leg, ...] = ()


def witnessed(
    call_id: str,
    *,
    trunk: str,
    number: str | None,
    ani: str | None,
    seen_at: datetime,
    ended_at: datetime,
    cause: int | None,
) -> Call:
    """The record of a call the journal does not know: what the manager link saw."""
    return Call(
        call_id=call_id,
        state=State.CLOSED,
        disposition=Disposition.OFFERED,
        incomplete=True,
        trunk=trunk,
        number=number,
        ani=ani,
        started_at=seen_at,
        ended_at=ended_at,
        last_event_at=ended_at,
        hangup_cause=cause,
    )


def unfolded(
    call_id: str, *, started_at: datetime, last_event_at: datetime, is_over: bool
) -> Call:
    """The record of a call whose fold failed: that it was there, and nothing else."""
    return Call(
        call_id=call_id,
        state=State.CLOSED if is_over else State.OPEN,
        disposition=Disposition.OFFERED,
        incomplete=True,
        started_at=started_at,
        ended_at=last_event_at if is_over else None,
        last_event_at=last_event_at,
    )


def as_record(call: Call) -> dict[str, Any]:
    """The call as JSON would hold it: times ISO 8601 UTC with milliseconds."""
    record: dict[str, Any] = _plain(call)
    return record


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is datetime:
        at = value if value.tzinfo is UTC else value.astimezone(UTC)
        return at.isoformat(timespec="milliseconds")[:-6] + "Z"
    if kind is tuple:
        return [_plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    return {name: _plain(getattr(value, name)) for name in _names(kind)}


_NAMES: dict[type, tuple[str, ...]] = {}
"""Field names of each part of a record, once asked for."""


def _names(kind: type[Any]) -> tuple[str, ...]:
    names = _NAMES.get(kind)
    if names is None:
        names = _NAMES[kind] = tuple(field.name for field in fields(kind))
    return names
