"""One channel at a time: which channels make a call, and what each says by itself.

Asterisk orders events within a channel, not across channels; so each is read alone, in
its own order, and only times are compared between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pbx.model.events import (
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

_BORN = re.compile(r"^(.*?)(\d+)\.(\d+)$")
_OPERATOR = re.compile(r"^\+?\d+$")


def oldest(ids: Iterable[str]) -> str:
    """The id of the channel created first: `<system>-<epoch>.<count>`, counted up."""
    return min(ids, key=birth)


def birth(channel: str) -> tuple[int, int, str]:
    """Sorts ids by age; what is no uniqueid of Asterisk's sorts last."""
    born = _BORN.match(channel)
    return (int(born[2]), int(born[3]), channel) if born else (2**63, 0, channel)


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
    gap: bool = False

    @property
    def endpoint(self) -> str:
        """An operator's number or a trunk's name."""
        return endpoint_of(self.name)

    @property
    def is_operator(self) -> bool:
        """Phones are named by number, trunks by a word (`pbx.model.city`)."""
        return _OPERATOR.match(self.endpoint) is not None

    @property
    def is_dialled(self) -> bool:
        """Asterisk made this channel on behalf of another one."""
        return self.id != self.linkedid

    def take(self, event: JournalEvent) -> None:
        """Note what the next event says."""
        match event:
            case ChannelStarted():
                self.started = event
            case ChannelAnswered():
                self.answered_at = self.answered_at or event.at
            case BridgeEntered():
                self.stays.append(Stay(event.bridge, event.at))
            case BridgeExited():
                self._leave(event)
            case HungUp():
                self.hung_up = event
                self.ended_at = self.ended_at or event.at
            case ChannelEnded():
                self.gap |= self.hung_up is None
                self.ended_at = self.ended_at or event.at
            case FactTold():
                self.facts.append((event.at, event.fact))
            case _:
                pass

    def _leave(self, event: BridgeExited) -> None:
        for stay in reversed(self.stays):
            if stay.bridge == event.bridge and stay.left is None:
                stay.left = event.at
                return
        self.gap = True

    def overlaps(self, other: Channel) -> list[tuple[datetime, datetime | None]]:
        """When both were in the same bridge; None: they still are."""
        shared = []
        for mine in self.stays:
            for theirs in other.stays:
                begin = max(mine.entered, theirs.entered)
                ends = [s for s in (self._end(mine), other._end(theirs)) if s]
                end = min(ends, default=None)
                if mine.bridge == theirs.bridge and (end is None or begin <= end):
                    shared.append((begin, end))
        return shared

    def _end(self, stay: Stay) -> datetime | None:
        return stay.left or self.ended_at


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
