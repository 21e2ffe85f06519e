"""One channel at a time: which channels make a call, and what each says by itself.

Asterisk orders events within a channel, not across channels; so each is read alone, in
its own order, and only times are compared between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pbx.model.events import (
    AttendedTransferred,
    BlindTransferred,
    BridgeEntered,
    BridgeExited,
    ChannelAnswered,
    ChannelEnded,
    ChannelStarted,
    Fact,
    FactTold,
    HungUp,
    JournalEvent,
)

_BORN = re.compile(r"^.*?(\d+)\.(\d+)$")
_OPERATOR = re.compile(r"^\+?\d+$")


def oldest(ids: Iterable[str]) -> str:
    """The id of the channel created first: `<system>-<epoch>.<count>`, counted up."""
    return min(ids, key=birth)


def birth(channel: str) -> tuple[int, int, str]:
    """Sorts ids by age; what is no uniqueid of Asterisk's sorts last."""
    born = _BORN.match(channel)
    return (int(born[1]), int(born[2]), channel) if born else (2**63, 0, channel)


def endpoint_of(channel_name: str) -> str:
    """`PJSIP/101-0000002a` → `101`."""
    return channel_name.partition("/")[2].rpartition("-")[0]


def group(events: Iterable[JournalEvent]) -> list[list[JournalEvent]]:
    """Sort events into calls: whatever shares a channel or a linkedid, transitively."""
    root: dict[str, str] = {}

    def find(member: str) -> str:
        while (above := root.setdefault(member, member)) != member:
            root[member] = root[above]
            member = above
        return member

    kept = list(events)
    for event in kept:
        root[find(event.channel)] = find(event.linkedid)
    groups: dict[str, list[JournalEvent]] = {}
    for event in kept:
        groups.setdefault(find(event.linkedid), []).append(event)
    return list(groups.values())


@dataclass(slots=True)
class Stay:
    """One stay in one bridge."""

    bridge: str
    entered: datetime
    left: datetime | None = None


@dataclass(slots=True)
class Channel:
    """What one channel's events say, in their own order."""

    id: str
    linkedid: str
    name: str
    first_at: datetime
    started: ChannelStarted | None = None
    answered_at: datetime | None = None
    hung_up: HungUp | None = None
    ended_at: datetime | None = None
    stays: list[Stay] = field(default_factory=list)
    facts: list[tuple[datetime, Fact]] = field(default_factory=list)
    transfers: list[BlindTransferred | AttendedTransferred] = field(
        default_factory=list
    )
    gap: bool = False
    endpoint: str = field(init=False)
    """An operator's number or a trunk's name."""
    is_operator: bool = field(init=False)
    """Phones are named by number, trunks by a word (`pbx.model.city`)."""

    def __post_init__(self) -> None:
        """What the name tells."""
        self.endpoint = endpoint_of(self.name)
        self.is_operator = _OPERATOR.match(self.endpoint) is not None

    @property
    def is_dialled(self) -> bool:
        """Asterisk made this channel on behalf of another one."""
        return self.id != self.linkedid

    def take(self, event: JournalEvent) -> None:
        """Note what the next event says."""
        note = _NOTED.get(type(event))
        if note is not None:
            note(self, event)

    def start(self, event: ChannelStarted) -> None:
        """It exists."""
        self.started = event

    def answer(self, event: ChannelAnswered) -> None:
        """It is up."""
        self.answered_at = self.answered_at or event.at

    def enter(self, event: BridgeEntered) -> None:
        """It hears others."""
        self.stays.append(Stay(event.bridge, event.at))

    def leave(self, event: BridgeExited) -> None:
        """It does not hear them any more."""
        for stay in reversed(self.stays):
            if stay.bridge == event.bridge and stay.left is None:
                stay.left = event.at
                return
        self.gap = True

    def hang_up(self, event: HungUp) -> None:
        """It is dead."""
        self.hung_up = event
        self.ended_at = self.ended_at or event.at

    def end(self, event: ChannelEnded) -> None:
        """It is gone."""
        self.gap |= self.hung_up is None
        self.ended_at = self.ended_at or event.at

    def tell(self, event: FactTold) -> None:
        """Something was told of it."""
        self.facts.append((event.at, event.fact))

    def transfer(self, event: BlindTransferred | AttendedTransferred) -> None:
        """It passed others on."""
        self.transfers.append(event)

    def overlaps(self, other: Channel) -> list[tuple[datetime, datetime | None]]:
        """When both were in the same bridge; None: they still are."""
        shared = []
        for mine in self.stays:
            for theirs in other.stays:
                if mine.bridge != theirs.bridge:
                    continue
                begin = max(mine.entered, theirs.entered)
                ends = [s for s in (self._end(mine), other._end(theirs)) if s]
                end = min(ends, default=None)
                if end is None or begin <= end:
                    shared.append((begin, end))
        return shared

    def _end(self, stay: Stay) -> datetime | None:
        return stay.left or self.ended_at


_NOTED: Mapping[type[JournalEvent], Callable[[Channel, Any], None]] = {
    ChannelStarted: Channel.start,
    ChannelAnswered: Channel.answer,
    BridgeEntered: Channel.enter,
    BridgeExited: Channel.leave,
    HungUp: Channel.hang_up,
    ChannelEnded: Channel.end,
    FactTold: Channel.tell,
    BlindTransferred: Channel.transfer,
    AttendedTransferred: Channel.transfer,
}


def read_channels(events: Sequence[JournalEvent]) -> list[Channel]:
    """The channels in order of birth. One that is first heard of at its end, by the
    LINKEDID_END of others, still counts: its other lines are missing."""
    channels: dict[str, Channel] = {}
    for event in events:
        channel = channels.get(event.channel)
        if channel is None:
            channel = channels[event.channel] = Channel(
                event.channel, event.linkedid, event.channel_name, event.at
            )
            channel.gap = not isinstance(event, ChannelStarted)
        channel.take(event)
    return sorted(channels.values(), key=lambda channel: birth(channel.id))
