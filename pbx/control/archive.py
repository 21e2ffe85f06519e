"""The keeper of the review list: finds audio, deletes it in time, watches the figures.

The recorder puts released calls on the list, the intake lays their audio on the disk;
here the two meet. Everything is done again and again from what the disk and the store
say, so that being killed at any moment costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import NoReturn

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.control.retention import tidy
from pbx.model.city import City
from pbx.model.kept import expires_at, places
from pbx.model.retention import Retention
from pbx.model.trend import Fall, find_fall
from pbx.records import reviews
from pbx.records.base import Store
from pbx.records.certificates import Certificate, certificate
from pbx.records.database import explain
from pbx.records.field import genuine_per_day
from pbx.records.keeping import cutoff
from pbx.records.reviews import FilterPicture
from pbx.status import Status

_log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
TIDY_SECONDS = 3600.0
RECENT = timedelta(minutes=15)
"""How far back audio is looked for at each look; further back with each tidying."""
DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """A call's audio on the disk."""

    audio: str
    """Below the folder of kept audio."""
    sha256: str
    seconds: float


@dataclass(slots=True)
class Archive:
    """`run` it; `picture` and `fall` are what it saw last."""

    kept: Path
    url: str
    city: Callable[[], City]
    status: Status
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    picture: FilterPicture = field(default_factory=FilterPicture)
    fall: Fall | None = None
    """A fall of the genuine calls that no luck explains."""
    store: Store | None = None
    deleted: list[Certificate] = field(default_factory=list)
    """Audio that went, to be certified."""
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _next_tidy: float = 0.0

    async def run(self) -> NoReturn:
        """Keep the list until cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            if self.store is not None:
                await self.store.close()
                self.store = None

    async def engine(self) -> AsyncEngine:
        """The store, opened when first needed. Raises what the driver raises."""
        async with self._opening, asyncio.timeout(DEADLINE_SECONDS):
            if self.store is None:
                self.store = await Store.open(self.url)
            return self.store.engine

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        is_time = clock() >= self._next_tidy
        if is_time:
            self._next_tidy = clock() + TIDY_SECONDS
            await self.tidy()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self.look(is_thorough=is_time)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._next_tidy = min(self._next_tidy, clock() + 60)
            self.status.raise_alarm(
                "reviews-not-kept",
                "the review list and the filter's figures stand still: "
                f"{explain(error)}. Audio is kept and deleted all the same",
            )
        else:
            self.status.clear_alarm("reviews-not-kept")

    async def tidy(self) -> None:
        """Delete audio whose days are over."""
        retention = self.city().retention
        done = await asyncio.to_thread(tidy, self.kept, retention, self.now())
        if done.names:
            self.deleted.append(_certificate(done.names, retention, self.now()))
            _log.info(
                "kept audio of %d calls deleted: their days are over", done.deleted
            )
        if done.problems:
            self.status.raise_alarm(
                "audio-not-deleted",
                f"kept audio cannot be deleted although its days are over: "
                f"{done.problems[0]}. Give {self.kept} to the user who runs us",
            )
        else:
            self.status.clear_alarm("audio-not-deleted")

    async def look(self, *, is_thorough: bool) -> None:
        """Find audio, count; thorough: all there is, and the genuine calls' watch.

        Raises SQLAlchemyError, OSError, TimeoutError.
        """
        engine, at = await self.engine(), self.now()
        days = timedelta(days=self.city().retention.released_audio_days + 1)
        await self._attach(engine, at - (days if is_thorough else RECENT))
        if is_thorough:
            await self._look_whether_audio_stands(engine)
            zone = self.city().city.timezone
            self.fall = find_fall(await genuine_per_day(engine, at, zone))
        self.picture = await reviews.picture(engine, at)

    async def _attach(self, engine: AsyncEngine, since: datetime) -> None:
        for call_id, at in await reviews.without_audio(engine, since):
            found = await asyncio.to_thread(find_audio, self.kept, call_id, at)
            if found is not None:
                await reviews.attach(
                    engine,
                    call_id,
                    audio=found.audio,
                    sha256=found.sha256,
                    seconds=found.seconds,
                )
                await reviews.expires(engine, {call_id: self._until(found.audio)})

    async def _look_whether_audio_stands(self, engine: AsyncEngine) -> None:
        """Rows say what the disk says, and until when, as the city declares now."""
        listed = await reviews.audio_listed(engine)
        gone = await asyncio.to_thread(
            lambda: [i for i, audio, _ in listed if not (self.kept / audio).exists()]
        )
        await reviews.forget_audio(engine, gone, self.now())
        until = {
            call_id: self._until(audio)
            for call_id, audio, told in listed
            if told != self._until(audio) and call_id not in gone
        }
        await reviews.expires(engine, until)

    def _until(self, audio: str) -> datetime:
        day = date.fromisoformat(PurePosixPath(audio).parts[0])
        return expires_at(day, self.city().retention.released_audio_days)


def _certificate(
    call_ids: Sequence[str], retention: Retention, at: datetime
) -> Certificate:
    released, other = retention.released_audio_days, retention.other_audio_days
    rule = f"released_audio_days = {released}, other_audio_days = {other}"
    until = cutoff(at, min(released, other))
    return certificate("audio the filter heard", rule, until, call_ids)


def find_audio(kept: Path, call_id: str, at: datetime) -> Found | None:
    """The audio of a call that began then, if it is there, whole."""
    for place in places(call_id, at):
        path = kept / place
        if not path.with_suffix(".json").exists():
            continue  # the story comes last
        try:
            content = path.read_bytes()
            with wave.open(str(path), "rb") as file:
                seconds = file.getnframes() / file.getframerate()
        except (OSError, EOFError, wave.Error) as error:
            _log.warning("kept audio cannot be read: %s", error)
            continue
        digest = hashlib.sha256(content).hexdigest()
        return Found(str(place), digest, round(seconds, 2))
    return None
