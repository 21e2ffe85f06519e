"""`/v1/health`: whether the feed and its store answer."""

from __future__ import annotations

import asyncio

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from pbx.feed.calls import answer_json
from pbx.feed.routes import Asked
from pbx.feed.store import FeedStore
from pbx.records.queries import newest_cursor

DEADLINE_SECONDS = 3.0


async def health(asked: Asked) -> web.StreamResponse:
    """For whoever balances load or looks after us; tells nothing of calls."""
    is_there = await newest(asked.services.store) is not None
    return answer_json(
        {"ok": is_there, "store": is_there}, status=200 if is_there else 503
    )


async def newest(store: FeedStore) -> int | None:
    """The newest cursor; None if the store does not say."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await newest_cursor(await store.reader())
    except (SQLAlchemyError, OSError, TimeoutError):
        return None
