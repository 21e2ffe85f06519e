"""A service that is told by webhook: a real HTTP server that checks every signature
with the reference library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook

from tests.patience import PATIENCE_SECONDS, until

Answer = Callable[[dict[str, Any]], Awaitable[web.Response]]


@dataclass
class Receiver:
    """What came, in its order."""

    url: str = ""
    secret: str = ""
    """Checked if there is one."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """Those that were answered 2xx."""
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    """webhook-id and body of every attempt."""
    answer: Answer | None = None
    """Decides; None: 204."""
    at_once: int = 0
    most_at_once: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.secret:
            Webhook(self.secret).verify(body, dict(request.headers))
        event = json.loads(body)
        assert request.headers["webhook-id"] == event["id"]
        self.bodies.append((event["id"], body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.005)  # so that others may come meanwhile
            said = await self.answer(event) if self.answer else web.Response(status=204)
        finally:
            self.at_once -= 1
        if said.status < 300:
            self.events.append(event)
        return said

    @property
    def revisions(self) -> dict[str, list[int]]:
        """Of each call, as they came."""
        found: dict[str, list[int]] = {}
        for event in self.events:
            found.setdefault(event["subject"], []).append(event["data"]["revision"])
        return found

    async def until(
        self, is_so: Callable[[Receiver], bool], seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait for what must come; fails if it does not."""
        await until(lambda: is_so(self), seconds)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver at a free port of 127.0.0.1."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/calls", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/calls"
    try:
        yield receiver
    finally:
        await runner.cleanup()
