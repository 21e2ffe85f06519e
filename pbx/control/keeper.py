"""Retention, carried out each night: records, raw lines, conversations, journal files.

The audio the filter heard is the archive's (`pbx.control.archive`), which deletes it
also while the store is away; its certificates are written here, as soon as they can be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.control.retention import Tidied, tidy_files
from pbx.model.city import City
from pbx.records.audit import AuditKeyError
from pbx.records.base import Store
from pbx.records.certificates import Certificate, certificate, certify
from pbx.records.database import explain, patient_engine
from pbx.records.keeping import ACTOR, carry_out, cutoff
from pbx.records.tables import journal_offsets
from pbx.settings import Settings
from pbx.status import Status

_log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
AT = time(2, 30)
"""City time: when the fewest call."""


@dataclass(slots=True)
class Keeper:
    """`run` it. `uncertified` is what others deleted and nobody certified yet."""

    settings: Settings
    city: Callable[[], City]
    status: Status
    uncertified: list[Certificate] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _done: date | None = None

    async def run(self) -> NoReturn:
        """Look each minute whether it is time, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Do what is due; what cannot be done is an alarm, and tried again."""
        today = self._due()
        if today is None and not self.uncertified:
            return
        try:
            engine = await self._engine()
            try:
                await self._certify(engine)
                if today is not None:
                    await self._carry_out(engine)
            finally:
                await engine.dispose()
        except (AuditKeyError, SQLAlchemyError, OSError, TimeoutError) as error:
            cure = error if isinstance(error, AuditKeyError) else explain(error)
            self.status.raise_alarm(
                "retention-not-done",
                f"what is over its time cannot be taken out of the store: {cure}. "
                "It is tried again each minute; calls and records go on",
            )
        else:
            self._done = today or self._done
            self.status.clear_alarm("retention-not-done")

    def _due(self) -> date | None:
        """The day whose run is due; None: it is done, or not yet time."""
        local = self.now().astimezone(ZoneInfo(self.city().city.timezone))
        is_time = local.time() >= AT and local.date() != self._done
        return local.date() if is_time else None

    async def _engine(self) -> AsyncEngine:
        """A patient one: a look through a year of a province may take a minute."""
        url = self.settings.database_url
        store = await Store.open(url)
        if store.engine.dialect.name == "sqlite":
            return store.engine
        await store.close()
        return patient_engine(make_url(url))

    async def _certify(self, engine: AsyncEngine) -> None:
        while self.uncertified:
            async with engine.begin() as connection:
                await certify(
                    connection,
                    self.uncertified[0],
                    actor=ACTOR,
                    secrets=self.settings.secrets,
                )
            del self.uncertified[0]

    async def _carry_out(self, engine: AsyncEngine) -> None:
        retention, at = self.city().retention, self.now()
        read_at = await _read_at(engine)
        problems: list[str] = []
        for what, setting, folders in (
            ("conversations", "conversation_days", [(self.settings.recordings, "*")]),
            ("journal files", "raw_line_days", self._journals()),
        ):
            until = cutoff(at, getattr(retention, setting))
            if what == "journal files":
                until = min(until, read_at)
            done = await asyncio.to_thread(tidy_files, folders, until)
            self._note(what, f"{setting} = {getattr(retention, setting)}", until, done)
            problems += done.problems
        self._tell(problems)
        await self._certify(engine)
        made = await carry_out(engine, retention, at, secrets=self.settings.secrets)
        for one in made:
            _log.info("taken out: %s of %d calls (%s)", one.what, one.count, one.rule)

    def _journals(self) -> list[tuple[Path, str]]:
        """Rotated ones; what Asterisk and we write to now has no more in its name."""
        return [
            (path.parent, f"{path.name}[.-]*")
            for path in (self.settings.journal, self.settings.notes)
        ]

    def _note(self, what: str, rule: str, until: datetime, done: Tidied) -> None:
        if done.names:
            self.uncertified.append(certificate(what, rule, until, done.names))
            _log.info("taken out: %d %s (%s)", len(done.names), what, rule)

    def _tell(self, problems: list[str]) -> None:
        if problems:
            self.status.raise_alarm(
                "files-not-deleted",
                "recordings or journal files cannot be deleted although their days "
                f"are over: {problems[0]}. Give them to the user who runs us",
            )
        else:
            self.status.clear_alarm("files-not-deleted")


async def _read_at(engine: AsyncEngine) -> datetime:
    """When the recorder last read: what was rotated before, it has read."""
    async with engine.connect() as connection:
        at = await connection.scalar(sa.select(sa.func.max(journal_offsets.c.read_at)))
    return at if at is not None else datetime.fromtimestamp(0, UTC)
