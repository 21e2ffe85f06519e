"""Waking those who follow the outbox the moment it grows.

PostgreSQL tells by NOTIFY, in the writing transaction (`pbx.records.base.announce`);
SQLite by `PRAGMA data_version`, looked at ten times a second. A wake-up is only a hint:
whoever is woken reads the store, and one that was lost costs a poll's time, no record.

    async with TaskGroup() as tasks:
        tasks.create_task(waker.run())
        ...
        seen = waker.count            # first the count,
        found = await read_outbox()   # then the store: nothing slips in between
        if not found:
            await waker.changed(seen, seconds=25)
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.records.base import CHANNEL
from pbx.records.database import explain, open_engine

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often SQLite is asked; one PRAGMA costs some microseconds."""
BLIND_POLL_SECONDS = 0.5
"""How often everybody is woken on suspicion while the connection is lost."""
PING_SECONDS = 5.0
"""A connection cut without a word is noticed after this and a statement's deadline."""


class Waker:
    """Counts up whenever the store at `url` may hold something new.

    One for a process: any number of tasks may wait on it. `run` goes on until
    cancelled, whatever happens to the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._changed = asyncio.Event()
        self.count = 0
        self.is_listening = False
        """Told at once; else woken every `BLIND_POLL_SECONDS` on suspicion."""

    def wake(self) -> None:
        """Wake everybody who waits."""
        self.count += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seen: int, seconds: float) -> bool:
        """Return when `count` is no longer `seen`, or after so long; whether it is."""
        if self.count == seen:
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return self.count != seen

    async def run(self) -> None:
        """Listen until cancelled; without a connection, poll."""
        told = ""
        while True:
            why = await self._listen_once()
            self.is_listening = False
            if why != told:
                _log.warning("not told of changes, polling: %s", why)
                told = why
            self.wake()
            await asyncio.sleep(BLIND_POLL_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 — apart from the others, no secret

    async def _listen_once(self) -> str:
        """Listen as long as it goes; why it no longer did."""
        try:
            engine = open_engine(self._url, writes=False)
        except (OSError, SQLAlchemyError) as error:
            return explain(error)
        try:
            await self._listen(engine)
        except (OSError, SQLAlchemyError, TimeoutError) as error:
            return explain(error)
        except Exception as error:  # noqa: BLE001 — asyncpg's, from its own connection
            return repr(error)
        finally:
            await _dispose(engine)
        return "the connection was closed"

    async def _listen(self, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                await self._hear(connection)
            else:
                await self._look(connection)

    async def _hear(self, connection: AsyncConnection) -> None:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        gone = asyncio.Event()

        def heard(*_: Any) -> None:
            self.wake()

        def ended(_: Any) -> None:
            gone.set()

        raw.add_termination_listener(ended)
        await raw.add_listener(CHANNEL, heard)
        try:
            self._is_heard()
            while not gone.is_set():
                try:
                    async with asyncio.timeout(PING_SECONDS):
                        await gone.wait()
                except TimeoutError:
                    await raw.execute("SELECT 1")
        finally:
            raw.remove_termination_listener(ended)
            if not raw.is_closed():
                await raw.remove_listener(CHANNEL, heard)

    async def _look(self, connection: AsyncConnection) -> None:
        """SQLite: the version changes with every commit of another connection.

        It stands still within a transaction, so each look has one of its own.
        """
        before = None
        self._is_heard()
        while True:
            version = await connection.scalar(text("PRAGMA data_version"))
            await connection.rollback()
            if before is not None and version != before:
                self.wake()
            before = version
            await asyncio.sleep(POLL_SECONDS)

    def _is_heard(self) -> None:
        """What happened until now nobody told: look once."""
        if not self.is_listening:
            _log.info("told of changes as they are written")
        self.is_listening = True
        self.wake()


async def _dispose(engine: AsyncEngine) -> None:
    try:
        async with asyncio.timeout(2):
            await engine.dispose()
    except Exception as error:  # noqa: BLE001 — dead ones may die loudly
        _log.debug("closing the listener: %r", error)
