"""Retention, carried out each night: records, raw lines, conversations, journal files;
before it the journal and Asterisk's logs are rotated, so that whole files can go.

The audio the filter heard is the archive's (`pbx.control.archive`), which deletes it
also while the store is away; its certificates are written here, as soon as they can be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.control.read_files import why_unread, why_unswept
from pbx.control.retention import Tidied, tidy_files
from pbx.control.rotation import LOGS, QUEUE_LOG, Rotation
from pbx.model.city import City
from pbx.records.audit import AuditKeyError
from pbx.records.base import Store
from pbx.records.certificates import Certificate, certificate, certify
from pbx.records.database import explain, patient_engine
from pbx.records.journal import NOTES
from pbx.records.keeping import ACTOR, carry_out, cutoff
from pbx.records.ledger_tables import sweeps
from pbx.records.store import RecordStore
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
    rotation: Rotation = field(init=False)
    _done: date | None = None

    def __post_init__(self) -> None:
        """What rotates is the settings' files."""
        self.rotation = Rotation(self.settings)

    async def run(self) -> NoReturn:
        """Look each minute whether it is time, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Do what is due; what cannot be done is an alarm, and tried again."""
        await self._rotate()
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

    async def _rotate(self) -> None:
        """Whatever the store does: the disk must not fill."""
        now = self.now()
        await asyncio.to_thread(self.rotation.rotate, now, self._last_night(now))
        await self.rotation.reopen()
        if self.rotation.problems:
            self.status.raise_alarm(
                "files-not-rotated",
                "the journal, or a log of Asterisk, cannot be renamed or let go of: "
                f"{self.rotation.problems[0]}. It grows, and what is in it cannot go "
                "when its days are over. Give it to the user who runs us",
            )
        else:
            self.status.clear_alarm("files-not-rotated")

    def _last_night(self, now: datetime) -> datetime:
        """The last time the clock showed `AT` in the city."""
        local = now.astimezone(ZoneInfo(self.city().city.timezone))
        night = local.replace(hour=AT.hour, minute=AT.minute, second=0, microsecond=0)
        return night if night <= local else night - timedelta(days=1)

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
        problems: list[str] = []
        for files in await self._files(engine):
            days = getattr(retention, files.setting)
            until = cutoff(at, days)
            done = await asyncio.to_thread(
                tidy_files, files.folders, until, files.why_not
            )
            self._note(files.what, f"{files.setting} = {days}", until, done)
            problems += done.problems
        self._tell(problems)
        await self._certify(engine)
        made = await carry_out(engine, retention, at, secrets=self.settings.secrets)
        for one in made:
            _log.info("taken out: %s of %d calls (%s)", one.what, one.count, one.rule)

    async def _files(self, engine: AsyncEngine) -> list[_Files]:
        """What lies in files, and what must have read it before it goes; never what is
        written to now, which has no more in its name."""
        positions = await RecordStore(engine).positions()
        async with engine.connect() as connection:
            swept = frozenset(await connection.scalars(sa.select(sweeps.c.day)))
        zone = ZoneInfo(self.city().city.timezone)
        log = self.settings.asterisk_home / "log"
        journal, notes = self.settings.journal, self.settings.notes
        days = "raw_line_days"
        return [
            _Files(
                "conversations", "conversation_days", ((self.settings.recordings, "*"),)
            ),
            _Files(
                "journal files",
                days,
                (_siblings(journal),),
                lambda path: why_unread(path, positions),
            ),
            _Files(
                "journal files of notes",
                days,
                (_siblings(notes),),
                lambda path: why_unread(path, positions, NOTES),
            ),
            _Files(
                "queue logs",
                days,
                (_siblings(log / QUEUE_LOG),),
                lambda path: why_unswept(path, swept, zone),
            ),
            _Files("logs of Asterisk", days, tuple(_siblings(log / n) for n in LOGS)),
        ]

    def _note(self, what: str, rule: str, until: datetime, done: Tidied) -> None:
        if done.names:
            self.uncertified.append(certificate(what, rule, until, done.names))
            _log.info("taken out: %d %s (%s)", len(done.names), what, rule)

    def _tell(self, problems: list[str]) -> None:
        if problems:
            self.status.raise_alarm(
                "files-not-deleted",
                "recordings, journal files or logs are not deleted although their days "
                f"are over: {problems[0]}",
            )
        else:
            self.status.clear_alarm("files-not-deleted")


@dataclass(frozen=True, slots=True)
class _Files:
    """One class of data that lies in files."""

    what: str
    setting: str
    folders: tuple[tuple[Path, str], ...]
    """Each with the names that fit."""
    why_not: Callable[[Path], str | None] = lambda _: None


def _siblings(path: Path) -> tuple[Path, str]:
    return path.parent, f"{path.name}[.-]*"
