"""One channel at a time: which channels make a call, and what each says by itself.

Asterisk orders events within a channel, not across channels; so each is read alone, in
its own order, and only times are compared between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
_CLOCK_SET_BACK = timedelta(seconds=1)
"""A channel's events are in order; one that is so much older than the one before tells
of another clock, by which no time of the record can be trusted. (Or of lines that came
late, which is a gap as well.)"""


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

    def shared(self, other: Stay) -> tuple[datetime, datetime | None] | None:
        """When both were there; None: never. `left` must be as it was in the end.

        A clock set back makes a stay that ends before it begins. Such a one was there
        after its beginning on the old clock, and before its end on the new one; two of
        them were there together, though nobody can say how long.
        """
        begin, end = max(self.entered, other.entered), _first(self.left, other.left)
        if end is None or begin <= end or (self.is_turned and other.is_turned):
            return begin, end
        turned, still = (self, other) if self.is_turned else (other, self)
        if not turned.is_turned:
            return None
        if still.entered <= end:
            return still.entered, end
        is_before = still.left is None or turned.entered <= still.left
        return (begin, still.left or end) if is_before else None

    @property
    def is_turned(self) -> bool:
        """Whether the clock was set back meanwhile."""
        return self.left is not None and self.left < self.entered


def _first(one: datetime | None, two: datetime | None) -> datetime | None:
    return one if two is None else two if one is None else min(one, two)


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
    last_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        """What the name tells."""
        self.endpoint = endpoint_of(self.name)
        self.is_operator = _OPERATOR.match(self.endpoint) is not None
        self.last_at = self.first_at

    @property
    def is_dialled(self) -> bool:
        """Asterisk made this channel on behalf of another one."""
        return self.id != self.linkedid

    def take(self, event: JournalEvent) -> None:
        """Note what the next event says."""
        if event.at < self.last_at:
            self.gap |= self.last_at - event.at > _CLOCK_SET_BACK
        self.last_at = event.at
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
        found = (
            mine.shared(theirs)
            for mine in map(self._ended, self.stays)
            for theirs in map(other._ended, other.stays)
            if mine.bridge == theirs.bridge
        )
        return [shared for shared in found if shared is not None]

    def _ended(self, stay: Stay) -> Stay:
        if stay.left or self.ended_at is None:
            return stay
        return Stay(stay.bridge, stay.entered, self.ended_at)


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
