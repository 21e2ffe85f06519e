"""A real feed on a real store, with calls in it, and a client that asks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa
from multidict import CIMultiDictProxy

from pbx.feed.process import Feed
from pbx.model.call import Call, CallerFacts, Disposition, State
from pbx.records import tokens
from pbx.records.store import RecordStore
from pbx.records.tables import calls
from pbx.records.tokens import Scope
from pbx.settings import PROJECT, Settings
from tests.fakes.live_city import on_free_ports

STARTED = datetime(2026, 11, 21, 17, 30, tzinfo=UTC)
"""00:30 in Kediri."""
CALLER = "081234567890"
ASSERTED = f'"Ibu Sri" <sip:+62{CALLER[1:]}@ims.example>'
CELL = "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=510101a2b3c4d5"
SECRETS = (CALLER, CALLER[1:], "Ibu Sri", "510101a2b3c4d5")
"""What nobody may see without the scope `personal`."""


def a_call(call_id: str, **changes: Any) -> Call:
    """A closed call of a caller whose number must not be seen."""
    at = STARTED
    call = Call(
        call_id=call_id,
        state=State.CLOSED,
        disposition=Disposition.CONNECTED,
        trunk="carrier",
        number="112",
        ani=CALLER,
        presentation="allowed",
        flow="filter0",
        started_at=at,
        ended_at=at + timedelta(seconds=60),
        last_event_at=at + timedelta(seconds=60),
        operator="101",
        caller=CallerFacts(asserted=ASSERTED, access_network=CELL),
    )
    return replace(call, **changes)


@dataclass(slots=True)
class FeedHouse:
    """`put` calls, `get` answers."""

    settings: Settings
    store: RecordStore
    feed: Feed
    session: aiohttp.ClientSession
    stop: asyncio.Event

    def end(self) -> None:
        """As SIGTERM does."""
        self.stop.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.feed.city.network.feed_port}"

    async def put(self, call_id: str, **changes: Any) -> None:
        """Write one revision of a call."""
        async with self.store.engine.begin() as connection:
            found = await connection.execute(
                sa.select(calls).where(calls.c.call_id == call_id)
            )
            call = a_call(call_id, **changes)
            assert await self.store.write(connection, call, found.one_or_none())

    async def token(
        self, *scopes: str, days: int = 30, at: datetime | None = None
    ) -> dict[str, str]:
        """Headers of a new token; several of one kind are told apart."""
        at = at or datetime.now(UTC)
        count = len(await tokens.every_token(self.store.engine))
        text = await tokens.create(
            self.store.engine,
            f"{'-'.join(scopes)}-{count}",
            [Scope(scope) for scope in scopes],
            days=days,
            at=at,
        )
        self.feed.services.book._read_at = -10.0  # known at once, not within 2 s
        return {"Authorization": f"Bearer {text}"}

    async def get(self, path: str, headers: dict[str, str], **query: Any) -> Any:
        """JSON of an answer that must be 200."""
        async with self.session.get(
            self.url + path, headers=headers, params=query
        ) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return told

    async def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> tuple[int, CIMultiDictProxy[str], bytes]:
        """Status, headers and body of any answer."""
        async with self.session.request(
            method, self.url + path, headers=headers, **more
        ) as answer:
            return answer.status, answer.headers, await answer.read()


@asynccontextmanager
async def open_feed(
    place: Path, url: str, monkeypatch: Any, *, more: str = ""
) -> AsyncIterator[FeedHouse]:
    """The feed, serving; its store is `url`, `more` goes into the city's file."""
    text = (PROJECT / "asterisk-config" / "city.toml").read_text() + more
    city_file = place / "city.toml"
    city_file.write_text(on_free_ports(text))
    monkeypatch.setenv("GERBANG_DATABASE_URL", re.sub(r"\+\w+", "", url, count=1))
    settings = Settings(place / "var", city_file, place / "cache")
    store = await RecordStore.open(settings.database_url)
    feed, stop = Feed(settings), asyncio.Event()
    running = asyncio.create_task(feed.run(stop))
    try:
        async with aiohttp.ClientSession() as session:
            house = FeedHouse(settings, store, feed, session, stop)
            await _until_it_answers(house)
            yield house
    finally:
        stop.set()
        await running
        await store.close()


async def _until_it_answers(house: FeedHouse) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                status, _, _ = await house.ask("GET", "/v1/health")
            except aiohttp.ClientConnectionError:
                status = 0
            if status == 200:
                return
            await asyncio.sleep(0.02)
