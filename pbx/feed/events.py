"""`/v1/events`: changes as they come, by server-sent events.

Nothing is queued for a listener: each reads the store from its own cursor, a page at a
time, so one who is slow costs a socket's buffer and, after a while, his connection. He
comes back with Last-Event-ID and has missed nothing.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from pbx.feed import problems
from pbx.feed.calls import cursor_ahead, cursor_number, item
from pbx.feed.cursors import feed_cursor
from pbx.feed.limits import TooManyError
from pbx.feed.problems import Problem
from pbx.feed.routes import Asked
from pbx.feed.words import EventsAsked
from pbx.records import feed
from pbx.records.feed import Entry
from pbx.records.queries import newest_cursor

_log = logging.getLogger(__name__)

BEAT_SECONDS = 15.0
"""A comment this often: proxies keep the line open, and we learn who has gone."""
LOOK_SECONDS = 1.0
BREATH_SECONDS = 0.05
"""Between two pages: a burst of changes becomes few of them."""
SLOW_SECONDS = 10.0
"""A listener who does not take a page in this time is dropped."""
PAGE = 50
LAST_EVENT_ID = "Last-Event-ID"


async def events(asked: Asked) -> web.StreamResponse:
    """Stream until somebody leaves, we stop, or the token no longer holds."""
    try:
        with asked.services.room.entered(asked.grant.token_id):
            after = await _beginning(asked)
            response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
            response.content_type = "text/event-stream"
            response.charset = "utf-8"
            await response.prepare(asked.request)
            await _Stream(asked, response, after).run()
            return response
    except TooManyError:
        raise problems.too_many(5, "too many listen at the same time") from None


async def _beginning(asked: Asked) -> int:
    """After which entry. Raises Problem."""
    told = asked.request.headers.get(LAST_EVENT_ID)
    told = told or asked.query_as(EventsAsked).after
    newest = await newest_cursor(await asked.services.store.reader())
    if told is None:
        return newest
    after = cursor_number(told)
    if after > newest:
        raise cursor_ahead()
    return after


class _Stream:
    """One listener."""

    def __init__(self, asked: Asked, response: web.StreamResponse, after: int) -> None:
        self._asked = asked
        self._services = asked.services
        self._response = response
        self._after = after
        self._beat_at = 0.0

    async def run(self) -> None:
        try:
            await self._send(f"retry: 2000\nid: {feed_cursor(self._after)}\n\n")
            while await self._goes_on():
                seen = self._services.waker.count
                entries = await self._entries()
                if entries:
                    await self._send("".join(self._event(e) for e in entries))
                    self._after = entries[-1].cursor
                    await asyncio.sleep(BREATH_SECONDS)
                    continue
                if asyncio.get_running_loop().time() >= self._beat_at:
                    await self._send(": beat\n\n")
                await self._services.waker.changed(seen, LOOK_SECONDS)
        except (ConnectionError, Problem):
            return  # gone; or the audit takes nothing, and he may come back
        except TimeoutError:
            self._services.count("dropped_listeners")
            _log.warning("a listener of %s is too slow, let go", self._asked.grant.name)
            if self._asked.request.transport is not None:
                self._asked.request.transport.abort()

    async def _goes_on(self) -> bool:
        if self._services.stopping.is_set() or self._asked.is_gone:
            return False
        return await self._asked.still_holds()

    async def _entries(self) -> list[Entry]:
        """The next page; none while the store is away, which ends no stream."""
        closed_only = self._asked.query_as(EventsAsked).state is not None
        try:
            engine = await self._services.store.reader()
            return await feed.entries_after(
                engine, self._after, most=PAGE, closed_only=closed_only
            )
        except (SQLAlchemyError, OSError) as error:
            self._services.count("store_failures")
            _log.debug("store away: %s", type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)
            return []

    def _event(self, entry: Entry) -> str:
        """One event. A line end would end its data; in JSON it is only space."""
        told = item(entry, self._asked).replace("\n", " ").replace("\r", " ")
        return f"id: {feed_cursor(entry.cursor)}\nevent: call\ndata: {told}\n\n"

    async def _send(self, text: str) -> None:
        """Raises ConnectionError if he has gone, TimeoutError if he is too slow."""
        self._beat_at = asyncio.get_running_loop().time() + BEAT_SECONDS
        async with asyncio.timeout(SLOW_SECONDS):
            await self._response.write(text.encode())
