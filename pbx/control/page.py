"""The pages: `/healthz`, `/status` (JSON), `/metrics`, `/review`; on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pbx.control.picture import Figures, Moment, describe
from pbx.control.review_page import ReviewPage

Processes = Callable[[], Iterable[dict[str, Any]]]
"""Gives each process's last word (`pbx.status.read_all`)."""


def build(
    look: Callable[[], Moment], processes: Processes, review: ReviewPage | None = None
) -> web.Application:
    """The application; `look` takes the picture of now.

    An error in one request is aiohttp's: logged, answered 500, the rest goes on.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"ok": True, "manager_link": look().room.is_linked})

    async def status(_: web.Request) -> web.Response:
        told = await asyncio.to_thread(lambda: list(processes()))
        return web.json_response(describe(look()) | {"processes": told})

    async def metrics(_: web.Request) -> web.Response:
        registry = CollectorRegistry()
        registry.register(Figures(look()))
        return web.Response(
            body=generate_latest(registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/status", status)
    app.router.add_get("/metrics", metrics)
    if review is not None:
        review.add_to(app)
    return app


async def serve(
    app: web.Application, port: int, *, host: str = "127.0.0.1"
) -> NoReturn:
    """Serve until cancelled. Raises OSError if the port is taken."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        await asyncio.get_running_loop().create_future()
    finally:
        await runner.cleanup()
    raise AssertionError("a future nobody resolves")
