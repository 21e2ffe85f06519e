"""The second witness: each citizen's call, as the manager link saw it.

The journal is the truth, but it can fail to be written. So every channel of a trunk is
noted here too and stored; the recorder compares. Notes wait in memory while the
database is away.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol

from pbx.ami import ChannelGone, ChannelSeen, ManagerEvent, Snapshot
from pbx.control.room import trunk_of

_log = logging.getLogger(__name__)

TRUNK_CONTEXT = "from-trunk"
"""Where the dialplan lets a carrier's calls in."""

MOST_NOTES = 50_000
"""About 25,000 calls, two months of Kediri, in some 15 MB."""

STORE_DEADLINE_SECONDS = 10.0
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0


class WitnessStore(Protocol):
    """What the record store does for the witness; every call may come twice."""

    async def witness_seen(
        self,
        call_id: str,
        *,
        channel: str,
        trunk: str,
        seen_at: datetime,
        number: str,
        ani: str,
    ) -> None:
        """A trunk channel exists; `number` is empty if it was not seen to begin."""

    async def witness_ended(
        self, call_id: str, *, ended_at: datetime, cause: int | None
    ) -> None:
        """It ended; None: it was gone when we looked again."""

    async def open_witnesses(self) -> list[str]:
        """Call ids seen and not ended, as stored."""

    async def boot_seen(self, booted_at: datetime) -> None:
        """Asterisk started then."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A note: a trunk channel exists."""

    call_id: str
    channel: str
    trunk: str
    number: str
    ani: str
    at: datetime

    async def store(self, store: WitnessStore) -> None:
        """Write it down."""
        await store.witness_seen(
            self.call_id,
            channel=self.channel,
            trunk=self.trunk,
            seen_at=self.at,
            number=self.number,
            ani=self.ani,
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """A note: a witnessed channel ended."""

    call_id: str
    cause: int | None
    at: datetime

    async def store(self, store: WitnessStore) -> None:
        """Write it down."""
        await store.witness_ended(self.call_id, ended_at=self.at, cause=self.cause)


@dataclass(frozen=True, slots=True)
class Booted:
    """A note: Asterisk started."""

    at: datetime
    call_id: str = ""

    async def store(self, store: WitnessStore) -> None:
        """Write it down."""
        await store.boot_seen(self.at)


Note = Seen | Ended | Booted


def _began(channel: ChannelSeen) -> datetime:
    """When a channel of a snapshot began, to the second."""
    return datetime.now(UTC) - timedelta(seconds=channel.duration_seconds)


@dataclass(slots=True)
class Witness:
    """Listens to the link (`handle`) and writes to the store (`write`)."""

    trunks: Collection[str]
    most_notes: int = MOST_NOTES
    open: set[str] = field(default_factory=set)
    """Calls seen and not ended."""
    dropped: int = 0
    is_failing: bool = False
    """Whether the database did not take the last note we offered."""
    _notes: deque[Note] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _has_looked: bool = False

    @property
    def unstored(self) -> int:
        """Notes that wait for the database."""
        return len(self._notes)

    async def handle(self, event: ManagerEvent) -> None:
        """Note what matters of one manager event."""
        match event:
            case Snapshot():
                self._look(event)
            case ChannelSeen() if event.context == TRUNK_CONTEXT:
                self._see(event)
            case ChannelGone() if event.uniqueid in self.open:
                self._end(event.uniqueid, event.cause, event.at)
            case _:
                pass

    def _look(self, snapshot: Snapshot) -> None:
        """Compare with what we knew: what is gone ended while nobody looked."""
        self._has_looked = True
        self._note(Booted(snapshot.booted_at))
        for call_id in self.open - {c.uniqueid for c in snapshot.channels}:
            self._end(call_id, None, None)
        for channel in snapshot.channels:
            self._see(channel)

    def _see(self, channel: ChannelSeen) -> None:
        trunk = trunk_of(channel.channel, self.trunks)
        is_new = channel.uniqueid not in self.open
        if trunk and is_new and channel.is_first_of_its_call:
            self.open.add(channel.uniqueid)
            is_fresh = channel.context == TRUNK_CONTEXT
            self._note(
                Seen(
                    call_id=channel.uniqueid,
                    channel=channel.channel,
                    trunk=trunk,
                    number=channel.extension if is_fresh else "",
                    ani=channel.caller,
                    at=channel.at or _began(channel),
                )
            )

    def _end(self, call_id: str, cause: int | None, at: datetime | None) -> None:
        self.open.discard(call_id)
        self._note(Ended(call_id, cause, at or datetime.now(UTC)))

    def _note(self, note: Note) -> None:
        if len(self._notes) >= self.most_notes:
            self._notes.popleft()
            self.dropped += 1
        self._notes.append(note)
        self._news.set()

    # ── towards the database ─────────────────────────────────────────────────────

    async def write(self, store: WitnessStore) -> NoReturn:
        """Store every note in order, however often it takes, until cancelled."""
        retry = FIRST_RETRY_SECONDS
        has_remembered = False
        while True:
            try:
                if not has_remembered:
                    await self._remember(store)
                    has_remembered = True
                await self._write_waiting(store)
            except Exception as error:  # noqa: BLE001 — whatever ails the database
                if not self.is_failing:
                    _log.warning("witness not stored, trying on: %r", error)
                self.is_failing = True
                await asyncio.sleep(retry)
                retry = min(retry * 2, LONGEST_RETRY_SECONDS)
                continue
            retry = FIRST_RETRY_SECONDS
            self.is_failing = False
            await self._news.wait()

    async def _remember(self, store: WitnessStore) -> None:
        """Take up what an earlier process of ours left open."""
        async with asyncio.timeout(STORE_DEADLINE_SECONDS):
            stored = set(await store.open_witnesses())
        # A snapshot's view of a call stored before knows less than the store.
        self._notes = deque(
            note
            for note in self._notes
            if not (isinstance(note, Seen) and note.call_id in stored)
        )
        noted = {note.call_id for note in self._notes}
        for call_id in stored - self.open - noted:
            if self._has_looked:
                self._end(call_id, None, None)
            else:
                self.open.add(call_id)

    async def _write_waiting(self, store: WitnessStore) -> None:
        self._news.clear()
        while self._notes:
            note = self._notes[0]
            async with asyncio.timeout(STORE_DEADLINE_SECONDS):
                await note.store(store)
            # A full memory may have dropped it meanwhile.
            if self._notes and self._notes[0] is note:
                self._notes.popleft()

    async def flush(self, store: WitnessStore, *, deadline_seconds: float) -> None:
        """Store what waits, at the end; what does not go is said and left."""
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._write_waiting(store)
        except Exception as error:  # noqa: BLE001 — whatever ails the database
            _log.warning("%d witness notes not stored: %r", self.unstored, error)
