"""What the recorder proves beside its work: the ledger each minute, a sweep each night.

Neither may hurt recording: the ledger is some milliseconds, the sweep a task of its own
with a connection of its own. What fails is told in the log and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.records.base import now
from pbx.records.database import open_engine
from pbx.records.ledger import bring_up_to_date
from pbx.records.ledger_tables import sweeps
from pbx.records.sweep import Places, keep, sweep
from pbx.records.tables import calls
from pbx.status import Status

_log = logging.getLogger(__name__)

LEDGER_SECONDS = 60.0
NIGHT = clock(3, 30)
"""The city's hour with the fewest calls; a night missed is made up for later."""
_AGAIN_AFTER_SECONDS = 3600.0


@dataclass(slots=True)
class Proofs:
    """Ledger and sweep of one store; `look` whenever the journal is read to its end.

    What fails here is no reason to call the database unreachable: recording finds that
    out by itself.
    """

    url: str
    zone: Callable[[], ZoneInfo]
    """The city's; asked each time, a city file may change."""
    places: Places
    status: Status
    _next_ledger: float = 0.0
    _next_sweep: float = 0.0
    _sweeping: asyncio.Task[None] | None = field(default=None)

    async def look(self, engine: AsyncEngine) -> None:
        """Do what is due; raises nothing."""
        try:
            await self._look(engine)
        except Exception as error:  # noqa: BLE001 — recording goes on
            _log.warning("ledger or sweep failed, tried again: %r", error)

    async def _look(self, engine: AsyncEngine) -> None:
        if time.monotonic() >= self._next_ledger:
            self._next_ledger = time.monotonic() + LEDGER_SECONDS
            await self._ledger(engine)
        is_sweeping = self._sweeping is not None and not self._sweeping.done()
        if not is_sweeping and time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + LEDGER_SECONDS
            day = await self._due(engine)
            if day is not None:
                self._next_sweep = time.monotonic() + _AGAIN_AFTER_SECONDS
                self._sweeping = asyncio.create_task(self._sweep(engine, day))

    async def close(self) -> None:
        """End a sweep that is under way; it begins anew after the next start."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeping

    async def _ledger(self, engine: AsyncEngine) -> None:
        uneven = await bring_up_to_date(engine, now())
        if not uneven:
            self.status.clear_alarm("ledger-difference")
            return
        hour = uneven[-1]
        named = ", ".join((*hour.missing, *hour.unseen)[:3])
        self.status.raise_alarm(
            "ledger-difference",
            f"In the hour from {hour.hour:%F %H:%M} UTC there were {hour.invites} "
            f"INVITEs and {hour.records} records; first: {named}. "
            "`gerbang records ledger` shows all hours, `gerbang records sweep --day "
            f"{hour.hour.astimezone(self.zone()):%F}` what differs.",
        )

    async def _due(self, engine: AsyncEngine) -> date | None:
        """Yesterday, if its night is here and nobody has swept it."""
        here = now().astimezone(self.zone())
        yesterday = here.date() - timedelta(days=1)
        if here.time() < NIGHT:
            return None
        async with engine.connect() as connection:
            done = await connection.scalar(
                sa.select(sweeps.c.day).where(
                    sweeps.c.day == yesterday,
                    sweeps.c.swept_at <= now(),  # else by a clock set back since
                )
            )
            first = await connection.scalar(sa.select(sa.func.min(calls.c.started_at)))
        is_new = first is None or _day_of(first, self.zone()) > yesterday
        return None if done is not None or is_new else yesterday

    async def _sweep(self, engine: AsyncEngine, day: date) -> None:
        reading = open_engine(self.url, writes=False)
        try:
            found = await sweep(reading, day, self.zone(), self.places)
            await keep(engine, found)
        except Exception:  # noqa: BLE001 — recording goes on
            _log.exception("the sweep of %s failed; tried again in an hour", day)
            return
        finally:
            await reading.dispose()
        _log.info("swept %s: %d differences", day, found.differences)
        if not found.differences:
            self.status.clear_alarm("sweep-difference")
            return
        first = found.told[0]
        self.status.raise_alarm(
            "sweep-difference",
            f"The sweep of {day} found {found.differences} differences between journal "
            f"files, queue log and tables; first: {first.kind} {first.what} "
            f"{first.detail}. `gerbang records sweep --day {day}` tells them all.",
        )


def _day_of(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()
