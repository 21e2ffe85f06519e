"""What the manager says, as values: AMI messages in, frozen dataclasses out. Pure.

Header names are Asterisk's (`main/manager_channels.c`, `apps/app_queue.c`). A missing
or odd header never raises: it becomes an empty text, a zero, or `None`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum


class DeviceState(IntEnum):
    """State of an operator's phone (`include/asterisk/devicestate.h`)."""

    UNKNOWN = 0
    NOT_IN_USE = 1
    IN_USE = 2
    BUSY = 3
    INVALID = 4
    UNAVAILABLE = 5
    RINGING = 6
    RING_IN_USE = 7
    ON_HOLD = 8


REACHABLE = frozenset(DeviceState) - {
    DeviceState.UNKNOWN,
    DeviceState.INVALID,
    DeviceState.UNAVAILABLE,
}
"""A PJSIP phone that is not registered is UNAVAILABLE."""


@dataclass(frozen=True, slots=True)
class ChannelSeen:
    """A channel exists: it has just begun, or a snapshot found it."""

    channel: str
    """Asterisk's name, such as `PJSIP/carrier-00000001`."""
    uniqueid: str
    linkedid: str
    caller: str
    context: str
    extension: str
    application: str = ""
    """Only a snapshot knows it, and what follows."""
    application_data: str = ""
    duration_seconds: int = 0
    intake: str = ""
    """The dialplan's INTAKE: `failed`, `started`, `done`; empty: never set."""
    worker: int | None = None
    """The intake worker that has the call, from INTAKE_WORKER."""
    at: datetime | None = None
    """When it began, by Asterisk's clock; a snapshot does not say."""
    bridge: str = ""
    """The bridge it is in; only a snapshot knows."""

    @property
    def is_first_of_its_call(self) -> bool:
        """Whether this channel began its call (later legs carry another's linkedid)."""
        return self.uniqueid == self.linkedid


@dataclass(frozen=True, slots=True)
class ChannelGone:
    """A channel ended; `cause` is a Q.850 cause, 16 = normal clearing."""

    channel: str
    uniqueid: str
    linkedid: str
    cause: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChannelHeld:
    """A phone put the other side on hold, or, not `is_held`, took it up again."""

    channel: str
    uniqueid: str
    linkedid: str
    is_held: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChannelBridged:
    """A channel entered a bridge: it hears somebody."""

    channel: str
    uniqueid: str
    linkedid: str


@dataclass(frozen=True, slots=True)
class CallerWaits:
    """Somebody entered a queue, or a snapshot found them there."""

    queue: str
    channel: str
    uniqueid: str
    position: int
    waited_seconds: int = 0


@dataclass(frozen=True, slots=True)
class CallerLeft:
    """Somebody left a queue, to an operator or otherwise."""

    queue: str
    uniqueid: str


@dataclass(frozen=True, slots=True)
class Member:
    """An operator's place in one queue, as app_queue sees it now."""

    queue: str
    interface: str
    """Such as `PJSIP/101`."""
    name: str
    state: DeviceState
    is_paused: bool
    is_in_call: bool
    calls_taken: int
    last_call_at: datetime | None
    """When the member's last call ended; wrap-up counts from here."""

    @property
    def is_reachable(self) -> bool:
        """Whether the phone is registered."""
        return self.state in REACHABLE

    @property
    def is_available(self) -> bool:
        """Whether a caller could ring this phone now (wrap-up aside)."""
        return (
            self.state is DeviceState.NOT_IN_USE
            and not self.is_paused
            and not self.is_in_call
        )


@dataclass(frozen=True, slots=True)
class MemberRemoved:
    """An operator left a queue."""

    queue: str
    interface: str


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """A phone registered, answered or missed a qualify, or went away."""

    endpoint: str
    uri: str
    status: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All there was when the link came up; always before any live event."""

    booted_at: datetime
    """Asterisk's own start, UTC, to the second: another value is another boot."""
    channels: tuple[ChannelSeen, ...]
    queues: tuple[str, ...]
    members: tuple[Member, ...]
    waiting: tuple[CallerWaits, ...]


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The link went down; what happens now is unknown until the next snapshot."""

    reason: str


LiveEvent = (
    ChannelSeen
    | ChannelGone
    | ChannelHeld
    | ChannelBridged
    | CallerWaits
    | CallerLeft
    | Member
    | MemberRemoved
    | ContactChanged
)
ManagerEvent = Snapshot | LinkLost | LiveEvent

Headers = Mapping[str, object]
"""A panoramisk message, or in tests a dict with lower-case keys."""


def text(headers: Headers, name: str) -> str:
    """One header as text; of a repeated header, its last value."""
    value = headers.get(name, "")
    if isinstance(value, list):
        value = value[-1]
    # No database takes a NUL, and one witness's note must not hold up the others.
    return value.replace("\0", "") if isinstance(value, str) else ""


def number(headers: Headers, name: str) -> int:
    """One header as a whole number; 0 where it is missing or none."""
    try:
        return int(text(headers, name))
    except ValueError:
        return 0


def read_channel(headers: Headers) -> ChannelSeen:
    """A `Newchannel` event or a `CoreShowChannel` list item."""
    worker = _variable(headers, "INTAKE_WORKER")
    return ChannelSeen(
        channel=text(headers, "channel"),
        uniqueid=text(headers, "uniqueid"),
        linkedid=text(headers, "linkedid"),
        caller=text(headers, "calleridnum").replace("<unknown>", ""),
        context=text(headers, "context"),
        extension=text(headers, "exten"),
        application=text(headers, "application"),
        application_data=text(headers, "applicationdata"),
        duration_seconds=_seconds(text(headers, "duration")),
        intake=_variable(headers, "INTAKE"),
        worker=int(worker) if worker.isdecimal() else None,
        at=_at(headers),
        bridge=text(headers, "bridgeid"),
    )


def read_member(headers: Headers) -> Member:
    """A `QueueMember…` event, or a list item (which says Location, not Interface)."""
    last_call = number(headers, "lastcall")
    return Member(
        queue=text(headers, "queue"),
        interface=text(headers, "interface") or text(headers, "location"),
        name=text(headers, "membername") or text(headers, "name"),
        state=_device_state(number(headers, "status")),
        is_paused=number(headers, "paused") == 1,
        is_in_call=number(headers, "incall") == 1,
        calls_taken=number(headers, "callstaken"),
        last_call_at=datetime.fromtimestamp(last_call, UTC) if last_call > 0 else None,
    )


def read_waiting(headers: Headers) -> CallerWaits:
    """A `QueueCallerJoin` event or a `QueueEntry` list item."""
    return CallerWaits(
        queue=text(headers, "queue"),
        channel=text(headers, "channel"),
        uniqueid=text(headers, "uniqueid"),
        position=number(headers, "position"),
        waited_seconds=number(headers, "wait"),
    )


def _gone(headers: Headers) -> ChannelGone:
    return ChannelGone(
        channel=text(headers, "channel"),
        uniqueid=text(headers, "uniqueid"),
        linkedid=text(headers, "linkedid"),
        cause=number(headers, "cause"),
        at=_at(headers),
    )


def _held(headers: Headers) -> ChannelHeld:
    return ChannelHeld(
        channel=text(headers, "channel"),
        uniqueid=text(headers, "uniqueid"),
        linkedid=text(headers, "linkedid"),
        is_held=text(headers, "event").lower() == "hold",
        at=_at(headers),
    )


def _bridged(headers: Headers) -> ChannelBridged:
    return ChannelBridged(
        channel=text(headers, "channel"),
        uniqueid=text(headers, "uniqueid"),
        linkedid=text(headers, "linkedid"),
    )


def _left(headers: Headers) -> CallerLeft:
    return CallerLeft(text(headers, "queue"), text(headers, "uniqueid"))


def _removed(headers: Headers) -> MemberRemoved:
    member = read_member(headers)
    return MemberRemoved(member.queue, member.interface)


def _contact(headers: Headers) -> ContactChanged:
    return ContactChanged(
        endpoint=text(headers, "endpointname") or text(headers, "aor"),
        uri=text(headers, "uri"),
        status=text(headers, "contactstatus"),
    )


_READERS: dict[str, Callable[[Headers], LiveEvent]] = {
    "newchannel": read_channel,
    "hangup": _gone,
    "hold": _held,
    "unhold": _held,
    "bridgeenter": _bridged,
    "queuecallerjoin": read_waiting,
    "queuecallerleave": _left,
    "queuememberadded": read_member,
    "queuememberstatus": read_member,
    "queuememberpause": read_member,
    "queuememberremoved": _removed,
    "contactstatus": _contact,
}


def read_event(headers: Headers) -> LiveEvent | None:
    """The live event this message is; `None` for the many nobody here listens to."""
    reader = _READERS.get(text(headers, "event").lower())
    return reader(headers) if reader else None


def boot_time(
    core_status: Headers, *, uptime_seconds: int | None, now: datetime
) -> datetime:
    """When Asterisk started, UTC, from its `CoreStatus` and `FullyBooted`.

    CoreStatus is exact but in Asterisk's local time, zone unsaid; the uptime is rough
    but zoneless. Together: the zone is the difference, to the next quarter of an hour.
    Where the uptime is not known, the zone is taken to be UTC.
    """
    roughly = now - timedelta(seconds=uptime_seconds or 0)
    day = text(core_status, "corestartupdate")
    clock = text(core_status, "corestartuptime")
    try:
        local = datetime.fromisoformat(f"{day}T{clock}+00:00")
    except ValueError:
        return roughly.replace(microsecond=0)
    if uptime_seconds is None:
        return local
    quarter = timedelta(minutes=15)
    return local - round((local - roughly) / quarter) * quarter


def _at(headers: Headers) -> datetime | None:
    """An event's own time (`timestampevents=yes`), to the millisecond."""
    try:
        return datetime.fromtimestamp(round(float(text(headers, "timestamp")), 3), UTC)
    except (ValueError, OverflowError):
        return None


def _variable(headers: Headers, name: str) -> str:
    """A channel variable that `channelvars` in manager.conf has Asterisk tell."""
    told = headers.get("chanvariable", "")
    for pair in told if isinstance(told, list) else [told]:
        key, _, value = str(pair).partition("=")
        if key == name:
            return value
    return ""


def _device_state(value: int) -> DeviceState:
    try:
        return DeviceState(value)
    except ValueError:
        return DeviceState.UNKNOWN


def _seconds(clock: str) -> int:
    """`01:02:03` → 3723."""
    total = 0
    for part in clock.split(":"):
        if not part.isdigit():
            return 0
        total = total * 60 + int(part)
    return total
