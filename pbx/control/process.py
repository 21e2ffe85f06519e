"""`gerbang control`: the manager link, the witness, the watch, alarms and the page.

Each part runs on its own; one that fails is logged, counted and started again, and
takes nothing with it. Calls never depend on this process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import NoReturn

from pbx.ami import ManagerError, ManagerEvent, ManagerLink, Timing
from pbx.control.active import ActiveCity
from pbx.control.aftermath import Aftermath
from pbx.control.alarms import Board, Pulse, conditions
from pbx.control.archive import Archive
from pbx.control.keeper import Keeper
from pbx.control.page import build, serve
from pbx.control.picture import Moment
from pbx.control.review_page import ReviewPage
from pbx.control.room import Room
from pbx.control.store import LazyStore
from pbx.control.watch import Watch, worker_lives
from pbx.control.witness import Witness, WitnessStore
from pbx.model.city import City
from pbx.notes import Notes
from pbx.parts import Part, Parts, asked_to_stop
from pbx.settings import Settings
from pbx.status import Status, read_all

_log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
CHANNELS_EVERY_LOOKS = 2
"""Each channel is some 600 B of manager talk: a hundred calls cost 1 % of a core."""
FLUSH_SECONDS = 2.0


@dataclass(slots=True)
class Control:
    """The parts, wired; `run` them."""

    settings: Settings
    store: WitnessStore
    timing: Timing = field(default_factory=Timing)
    room: Room = field(default_factory=Room)
    active: ActiveCity = field(init=False)
    status: Status = field(init=False)
    board: Board = field(init=False)
    link: ManagerLink = field(init=False)
    witness: Witness = field(init=False)
    watch: Watch = field(init=False)
    archive: Archive = field(init=False)
    keeper: Keeper = field(init=False)
    aftermath: Aftermath = field(init=False)
    _kept: Parts = field(init=False)

    def __post_init__(self) -> None:
        """Wire the parts; raises ValueError or OSError where there is no city."""
        self.active = ActiveCity(self.settings)
        self.status = Status(self.settings.run, "control")
        self._kept = Parts(
            self.status,
            "part-",
            "the control room",
            "the log of `gerbang control` tells more",
        )
        self.board = Board(self.status)
        self.link = ManagerLink(self.active.login, timing=self.timing)
        self.witness = Witness({trunk.name for trunk in self.active.read().trunks})
        self.watch = Watch(worker_lives(self.settings.run))
        database = self.settings.database_url
        self.archive = Archive(
            self.settings.kept, database, self.active.read, self.status
        )
        self.keeper = Keeper(
            self.settings, self.active.read, self.status, self.archive.deleted
        )
        self.link.subscribe(self._fold)
        self.link.subscribe(self.witness.handle)
        notes = Notes(self.settings.notes.parent)
        self.aftermath = Aftermath(notes, self.room, self.active.read, self.status)
        self.link.subscribe(self.aftermath.handle)

    async def _fold(self, event: ManagerEvent) -> None:
        self.room.apply(event, time.monotonic())

    def parts(self) -> dict[str, Part]:
        """What runs; each until it is cancelled."""
        return {
            "manager-link": self.link.run,
            "witness": lambda: self.witness.write(self.store),
            "watch": self._look_around,
            "archive": self.archive.run,
            "keeper": self.keeper.run,
            "notes": self.aftermath.run,
            "page": self._serve,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then let go of everything and flush the witness."""
        await self._kept.run(self.parts(), stop)
        await self.aftermath.flush(deadline_seconds=FLUSH_SECONDS)
        await self.witness.flush(self.store, deadline_seconds=FLUSH_SECONDS)
        self.status.write()

    async def _serve(self) -> NoReturn:
        review = ReviewPage(
            self.archive.engine,
            self.settings.kept,
            lambda: self.active.read().city.timezone,
            self.settings.secrets,
        )
        app = build(self.moment, lambda: read_all(self.settings.run), review)
        port = self.active.read().network.status_port
        await serve(app, port)

    # ── looking around, once a second ────────────────────────────────────────────

    async def _look_around(self) -> NoReturn:
        for look in count():
            await self._look(with_channels=look % CHANNELS_EVERY_LOOKS == 0)
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        raise AssertionError("count() has no end")

    async def _look(self, *, with_channels: bool) -> None:
        city = self.active.read()
        self.witness.trunks = {trunk.name for trunk in city.trunks}
        if not self.link.is_up:
            self.room.is_linked = False
            self.room.why_down = self.link.why_down
        elif with_channels and self.room.channels:
            await self._rescue(city)
        self.board.review(conditions(self.room, city, self._pulse()), time.monotonic())
        self.status.figures = self._counters() | {
            "link_up": self.link.is_up,
            "calls": len(self.room.calls(self.witness.trunks)),
            "witness_unstored": self.witness.unstored,
        }
        self.status.write()

    async def _rescue(self, city: City) -> None:
        try:
            channels = await self.link.snapshot_channels()
        except ManagerError as error:
            _log.warning("channels not seen: %s", error)
            return
        self.room.refresh(channels)
        citizens = self.room.calls(self.witness.trunks)
        for rescue in self.watch.look(city, citizens, time.monotonic()):
            await self.watch.rescue(self.link, rescue, time.monotonic())

    def _pulse(self) -> Pulse:
        return Pulse(
            now=time.monotonic(),
            wall=datetime.now(UTC),
            is_store_failing=self.witness.is_failing,
            unstored=self.witness.unstored,
            dropped=self.witness.dropped,
            rescued_at=self.watch.rescued_at,
            rescued=self.watch.rescued,
            people_dropped=self.archive.picture.people_dropped,
            fall=self.archive.fall,
        )

    def _counters(self) -> dict[str, int]:
        link = self.link.figures
        return {
            "rescued_calls": self.watch.rescued,
            "witness_dropped": self.witness.dropped,
            "notes_dropped": self.aftermath.dropped,
            "manager_connects": link.connects,
            "manager_losses": link.losses,
            "manager_events": link.events,
            "manager_handler_errors": link.handler_errors,
            "manager_overflows": link.overflows,
            "control_part_failures": self._kept.failures,
        }

    def moment(self) -> Moment:
        """The picture of now, for the page."""
        return Moment(
            room=self.room,
            city=self.active.read(),
            now=time.monotonic(),
            wall=datetime.now(UTC),
            counters=self._counters(),
            gauges={"witness_unstored": float(self.witness.unstored)},
            alarms=self.status.alarms,
            filter=self.archive.picture,
        )


async def run(settings: Settings) -> None:
    """Run the control room until SIGTERM or SIGINT.

    Raises ValueError (a CityError) or OSError if there is no city to read at the start.
    """
    stop = asked_to_stop()
    store = LazyStore(settings.database_url)
    try:
        await Control(settings, store).run(stop)
    finally:
        await store.close()
