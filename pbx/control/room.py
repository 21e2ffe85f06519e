"""What the control room knows now: manager events folded into one picture. Pure.

It shows the present and is never the source of a record.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from pbx.ami import (
    CallerLeft,
    CallerWaits,
    ChannelBridged,
    ChannelGone,
    ChannelHeld,
    ChannelSeen,
    ContactChanged,
    DeviceState,
    LinkLost,
    ManagerEvent,
    Member,
    MemberRemoved,
    Snapshot,
)
from pbx.model.city import City

PATIENT = "-patient"
"""Each declared queue is rendered twice; the last rung of its ladder ends in this."""


def declared_queue(name: str) -> str:
    """The city's name of an Asterisk queue: `darurat-patient` → `darurat`."""
    return name.removesuffix(PATIENT)


def trunk_of(channel: str, trunks: Collection[str]) -> str | None:
    """The trunk a channel's name tells: `PJSIP/carrier-0000001f` → `carrier`."""
    technology, _, rest = channel.partition("/")
    name = rest.rpartition("-")[0]
    return name if technology == "PJSIP" and name in trunks else None


class Stage(StrEnum):
    """How far a call is, by the dialplan context it stands in."""

    FILTER = "filter"
    DEGRADED = "degraded"
    RELEASE = "release"
    QUEUE = "queue"
    OTHER = "other"


_STAGES = {
    "filter": Stage.FILTER,
    "degraded": Stage.DEGRADED,
    "release": Stage.RELEASE,
    "queue": Stage.QUEUE,
}


def stage_of(context: str) -> tuple[Stage, str]:
    """A context's stage, and the flow or queue it names: `filter-filter0`."""
    head, _, name = context.partition("-")
    return _STAGES.get(head, Stage.OTHER), name


@dataclass(frozen=True, slots=True)
class Waiting:
    """One caller in one queue; `since` on the monotonic clock, seconds."""

    queue: str
    uniqueid: str
    since: float


class Mood(StrEnum):
    """What an operator is doing, for people."""

    FREE = "free"
    RINGING = "ringing"
    TALKING = "talking"
    WRAP_UP = "wrap-up"
    PAUSED = "paused"
    AWAY = "not registered"


@dataclass(slots=True)
class Room:
    """The picture. `apply` one event after another; read the rest."""

    is_linked: bool = False
    why_down: str = "not linked yet"
    booted_at: datetime | None = None
    restarted_at: float | None = None
    """When another boot was noticed, monotonic; None: never."""
    channels: dict[str, ChannelSeen] = field(default_factory=dict)
    members: dict[tuple[str, str], Member] = field(default_factory=dict)
    waiting: dict[tuple[str, str], Waiting] = field(default_factory=dict)
    contacts: dict[str, str] = field(default_factory=dict)

    def apply(self, event: ManagerEvent, now: float) -> None:
        """Take one event in; `now` is the monotonic clock, seconds."""
        match event:
            case Snapshot():
                self._restart(event, now)
            case LinkLost():
                self.is_linked = False
                self.why_down = event.reason
            case ChannelSeen():
                self.channels[event.uniqueid] = event
            case ChannelGone():
                self.channels.pop(event.uniqueid, None)
                for key in [k for k in self.waiting if k[1] == event.uniqueid]:
                    del self.waiting[key]
            case CallerWaits():
                key = (event.queue, event.uniqueid)
                since = now - event.waited_seconds
                self.waiting.setdefault(
                    key, Waiting(event.queue, event.uniqueid, since)
                )
            case CallerLeft():
                self.waiting.pop((event.queue, event.uniqueid), None)
            case Member():
                self.members[event.queue, event.interface] = event
            case MemberRemoved():
                self.members.pop((event.queue, event.interface), None)
            case ContactChanged():
                self.contacts[event.endpoint] = event.status
            case ChannelHeld() | ChannelBridged():
                pass  # `pbx.control.aftermath` listens to these
            case _:
                assert_never(event)

    def _restart(self, snapshot: Snapshot, now: float) -> None:
        if self.booted_at and snapshot.booted_at != self.booted_at:
            self.restarted_at = now
        self.is_linked = True
        self.booted_at = snapshot.booted_at
        self.channels.clear()
        self.members.clear()
        self.waiting.clear()
        found: list[ManagerEvent] = [*snapshot.channels, *snapshot.members]
        for event in (*found, *snapshot.waiting):
            self.apply(event, now)

    def refresh(self, channels: Collection[ChannelSeen]) -> None:
        """Take in where the channels stand now; events tell the new and the gone."""
        for channel in channels:
            known = self.channels.get(channel.uniqueid)
            if known is not None:
                self.channels[channel.uniqueid] = replace(channel, at=known.at)

    def calls(self, trunks: Collection[str]) -> list[ChannelSeen]:
        """The citizens' channels, oldest first."""
        return [
            channel
            for channel in self.channels.values()
            if channel.is_first_of_its_call and trunk_of(channel.channel, trunks)
        ]

    def waiting_in(self, queue: str) -> list[Waiting]:
        """Who waits in a declared queue, on any rung, the longest first."""
        here = [w for w in self.waiting.values() if declared_queue(w.queue) == queue]
        return sorted(here, key=lambda caller: caller.since)

    def members_of(self, queue: str) -> list[Member]:
        """The operators of a declared queue."""
        return [m for (name, _), m in self.members.items() if name == queue]


def mood(member: Member, wrapup_seconds: int, now: datetime) -> Mood:
    """What this operator is doing; a pause outweighs a free phone."""
    if not member.is_reachable:
        return Mood.AWAY
    if member.state in {DeviceState.RINGING, DeviceState.RING_IN_USE}:
        return Mood.RINGING
    if member.is_in_call or member.state is not DeviceState.NOT_IN_USE:
        return Mood.TALKING
    if member.is_paused:
        return Mood.PAUSED
    ended = member.last_call_at or datetime.fromtimestamp(0, UTC)
    if now - ended < timedelta(seconds=wrapup_seconds):
        return Mood.WRAP_UP
    return Mood.FREE


def ladder(city: City, queue: str) -> list[str]:
    """A queue and those it overflows into, in order."""
    return [queue, *city.queue(queue).overflow]
