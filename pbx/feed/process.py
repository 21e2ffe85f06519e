"""`gerbang feed`: records for other services, by HTTP and webhook.

Each part runs on its own; one that fails is logged, counted and started again, and
takes nothing with it. Nobody's call depends on this process, nor on what reads it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from sqlalchemy.exc import SQLAlchemyError

from pbx.feed import app, health, webhooks
from pbx.feed.audio import write_down
from pbx.feed.book import TokenBook
from pbx.feed.limits import Buckets, Room
from pbx.feed.routes import Services
from pbx.feed.store import FeedStore
from pbx.feed.table import routes
from pbx.feed.webhooks.source import source_of
from pbx.model.city import City, read_city
from pbx.parts import Part, Parts, asked_to_stop
from pbx.records.audit import AuditKeyError
from pbx.records.wake import Waker
from pbx.settings import Settings, active_city_file
from pbx.status import Status

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
TELL_USE_SECONDS = 60.0
END_SECONDS = 2.0


@dataclass(slots=True)
class Feed:
    """The parts, wired; `run` them. Raises OSError or ValueError (a CityError) where
    there is no city to read."""

    settings: Settings
    city: City = field(init=False)
    status: Status = field(init=False)
    services: Services = field(init=False)
    _kept: Parts = field(init=False)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def __post_init__(self) -> None:
        """Wire the parts. The city is read once: a change of it asks for a restart."""
        path = active_city_file(self.settings)
        self.city = read_city(path.read_text(), source=str(path))
        self.status = Status(self.settings.run, "feed")
        self._kept = Parts(
            self.status,
            "part-feed-",
            "the feed",
            "the log of `gerbang feed` tells more. Calls do not depend on it, and who "
            "reads the feed resumes from his cursor",
        )
        store = FeedStore(self.settings.database_url)
        limits = self.city.feed
        self.services = Services(
            store=store,
            waker=Waker(self.settings.database_url),
            book=TokenBook(store),
            buckets=Buckets(limits.requests_per_second, limits.burst),
            room=Room(limits.listeners, limits.listeners_per_token),
            zone=lambda: self.city.city.timezone,
            settings=self.settings,
        )

    def parts(self) -> dict[str, Part]:
        """What runs; each until it is cancelled."""
        return {
            "http": self._serve,
            "waker": self.services.waker.run,
            "webhooks": self._deliver,
            "watch": self._watch,
            "use": self._tell_use,
            "audit": self._audit,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then let everybody go and write the last words."""
        await self._kept.run(self.parts(), stop)
        if not await self._written_down(ends=True):
            for entry in self.services.unaudited:
                _log.error(
                    "not in the audit: %s heard %.1f s",
                    entry["actor"],
                    entry["seconds"],
                    extra={"call_id": entry["call_id"]},
                )
            for entry in self.services.reads.waiting + self.services.sent.waiting:
                _log.error(
                    "not in the audit: %s %s %s",
                    entry["actor"],
                    entry["action"],
                    entry["details"],
                )
        with suppress(SQLAlchemyError, OSError, TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self.services.book.tell()
        await self.services.store.close()
        self.status.write()

    async def _serve(self) -> NoReturn:
        port = self.city.network.feed_port
        await app.serve(app.build(routes(), self.services), self.services, port)

    async def _deliver(self) -> None:
        source, waker = source_of(self.settings), self.services.waker
        await webhooks.run(
            self.settings.database_url,
            self.status,
            waker,
            source=source,
            sent=self.services.sent,
        )

    async def _watch(self) -> NoReturn:
        """Once a second: does the store answer? And say how we are."""
        while True:
            newest = await health.newest(self.services.store)
            if newest is None:
                self.status.raise_alarm(
                    "feed-store-unreachable",
                    "the record store does not answer the feed: other services get "
                    "503 and resume from their cursor. Calls and records do not "
                    "depend on it; see the alarms of the recorder",
                )
            else:
                self.status.figures["newest"] = newest
                self.status.clear_alarm("feed-store-unreachable")
            self.status.figures |= self.services.figures | {
                "listeners": self.services.room.taken,
                "part_failures": self._kept.failures,
            }
            self.status.write()
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell_use(self) -> NoReturn:
        """Each minute: when tokens were last used. A store that is away is told of."""
        while True:
            await asyncio.sleep(TELL_USE_SECONDS)
            with suppress(SQLAlchemyError, OSError, TimeoutError):
                await self.services.book.tell()

    async def _audit(self) -> NoReturn:
        """Write down playbacks the audit did not take at once."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self._written_down():
                self.status.clear_alarm("audit-not-written")
            else:
                self.status.raise_alarm(
                    "audit-not-written",
                    f"{len(self.services.unaudited)} playbacks of callers' audio and "
                    f"{len(self.services.reads.waiting)} readings of personal data are "
                    "not in the audit yet; they wait in memory and are tried again "
                    "each second. Nobody hears more meanwhile, and after a minute "
                    "nobody reads personal data. See the database, "
                    f"and {self.settings.secrets}",
                )

    async def _written_down(self, *, ends: bool = False) -> bool:
        """Whether nothing waits any more."""
        async with self._writing:
            return await self._write_down(ends=ends)

    async def _write_down(self, *, ends: bool) -> bool:
        waiting = self.services.unaudited
        both = (self.services.reads, self.services.sent)
        due = [(reads, reads.due(ends=ends)) for reads in both]
        try:
            async with asyncio.timeout(END_SECONDS):
                while waiting:
                    await write_down(self.services, waiting[0])
                    waiting.pop(0)
                for reads, entries in due:
                    if entries:
                        await write_down(self.services, *entries)
                        reads.written(len(entries))
        except (SQLAlchemyError, OSError, TimeoutError, AuditKeyError):
            for reads, _ in due:
                if reads.waiting:
                    reads.failed()
            return False
        return True


async def run(settings: Settings) -> None:
    """Run the feed until SIGTERM or SIGINT.

    Raises ValueError (a CityError) or OSError if there is no city to read.
    """
    await Feed(settings).run(asked_to_stop())
