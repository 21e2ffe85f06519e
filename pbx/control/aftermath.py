"""What the journal cannot know of a conversation: holds, and when its operator is ready
again. Heard over the manager link, told as notes (`pbx.notes`), from where the recorder
takes them like any other line.

While this process or its link is away nobody hears: such a hold or wrap-up is missing
in the record, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol

from pbx.ami import (
    ChannelBridged,
    ChannelGone,
    ChannelHeld,
    ManagerEvent,
    Member,
    Snapshot,
)
from pbx.control.room import Room, declared_queue
from pbx.model.channels import endpoint_of
from pbx.model.city import City
from pbx.status import Status

_log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.5
RETRY_SECONDS = 2.0
MOST_WAITING = 10_000
"""Notes that wait for a disk that takes none; then the oldest are given up."""
PATIENCE = timedelta(hours=1)
"""Who pauses for longer after a call is not wrapping it up any more."""


class Teller(Protocol):
    """Where notes go: `pbx.notes.Notes`."""

    def tell(
        self,
        call_id: str,
        name: str,
        channel: str | None = None,
        *,
        at: datetime | None = None,
        **values: object,
    ) -> None:
        """Write one fact. Raises ValueError or OSError."""


@dataclass(frozen=True, slots=True)
class _Note:
    call_id: str
    name: str
    channel: str
    at: datetime
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Finished:
    """An operator's conversation that is over."""

    call_id: str
    channel: str
    at: datetime


@dataclass(slots=True)
class Aftermath:
    """Listens to the link (`handle`), looks at the operators and writes (`run`)."""

    notes: Teller
    room: Room
    city: Callable[[], City]
    status: Status
    dropped: int = 0
    _talking: set[str] = field(default_factory=set)
    """Operators' channels that heard somebody."""
    _finished: dict[str, _Finished] = field(default_factory=dict)
    """Operator → the conversation he wraps up."""
    _waiting: deque[_Note] = field(default_factory=deque)

    async def handle(self, event: ManagerEvent) -> None:
        """Take in one manager event."""
        match event:
            case ChannelHeld():
                self._note(
                    event.linkedid,
                    "HELD" if event.is_held else "UNHELD",
                    event.uniqueid,
                    event.at or datetime.now(UTC),
                    by=endpoint_of(event.channel),
                )
            case ChannelBridged() if endpoint_of(event.channel).isdecimal():
                self._talking.add(event.uniqueid)
                self._finished.pop(endpoint_of(event.channel), None)
            case ChannelGone() if event.uniqueid in self._talking:
                self._talking.discard(event.uniqueid)
                self._finished[endpoint_of(event.channel)] = _Finished(
                    event.linkedid, event.uniqueid, event.at or datetime.now(UTC)
                )
            case Snapshot():
                self._talking = {
                    channel.uniqueid
                    for channel in event.channels
                    if channel.bridge and endpoint_of(channel.channel).isdecimal()
                }
            case _:
                pass

    def look(self, now: datetime) -> None:
        """Note who is ready again at `now` (aware UTC)."""
        for operator, finished in list(self._finished.items()):
            places = [
                member
                for member in self.room.members.values()
                if member.interface == f"PJSIP/{operator}"
            ]
            since = finished.at + timedelta(seconds=self._wrapup_seconds(places))
            if not any(member.is_reachable for member in places) or (
                now - finished.at > PATIENCE
            ):
                del self._finished[operator]  # went home, or is no queue's member
            elif now >= since and not any(member.is_paused for member in places):
                del self._finished[operator]
                is_prompt = (now - since).total_seconds() < 2 * LOOK_EVERY_SECONDS
                self._note(
                    finished.call_id,
                    "WRAPPED_UP",
                    finished.channel,
                    since if is_prompt else now,
                    operator=operator,
                )

    def _wrapup_seconds(self, places: list[Member]) -> int:
        """The longest of the operator's own queues; a patient one has its queue's."""
        declared = {queue.name: queue.wrapup_seconds for queue in self.city().queues}
        own = [m.queue for m in places if m.queue == declared_queue(m.queue)]
        return max((declared.get(name, 0) for name in own), default=0)

    def _note(
        self, call_id: str, name: str, channel: str, at: datetime, **values: str
    ) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(_Note(call_id, name, channel, at, values))

    # ── towards the disk ─────────────────────────────────────────────────────────

    async def run(self) -> NoReturn:
        """Look and write until cancelled, whatever the disk does."""
        while True:
            self.look(datetime.now(UTC))
            try:
                await self._write()
            except OSError as error:
                self.status.raise_alarm(
                    "notes-unwritable",
                    f"Notes of holds and wrap-up cannot be written ({error}). Calls go "
                    "on; the notes wait in memory. Make room on the disk of "
                    "$GERBANG_STATE/notes, or give that folder back to its user.",
                )
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.status.clear_alarm("notes-unwritable")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _write(self) -> None:
        while self._waiting:
            note = self._waiting[0]
            try:
                await asyncio.to_thread(
                    self.notes.tell,
                    note.call_id,
                    note.name,
                    note.channel,
                    at=note.at,
                    **note.values,
                )
            except ValueError as error:  # of no use to anybody, and never will be
                _log.warning("note given up: %s", error)
            # A full memory may have dropped it meanwhile.
            if self._waiting and self._waiting[0] is note:
                self._waiting.popleft()

    async def flush(self, *, deadline_seconds: float) -> None:
        """Write what waits, at the end; what does not go is said and left."""
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._write()
        except (OSError, TimeoutError) as error:
            _log.warning("%d notes not written: %r", len(self._waiting), error)
