"""A scripted manager on a real socket: says what the test tells it, no more.

It knows enough to let a link log in and take its snapshot; every answer can be
replaced, silenced or torn apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

Answer = Callable[["FakeManager", dict[str, str]], Awaitable[None]]


def block(*lines: str) -> bytes:
    """One AMI message."""
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def channel(name: str, uniqueid: str, **more: str) -> list[str]:
    """The header lines of a channel, as Asterisk writes them."""
    headers = {
        "Channel": name,
        "CallerIDNum": "081234567890",
        "Context": "from-trunk",
        "Exten": "112",
        "Uniqueid": uniqueid,
        "Linkedid": uniqueid,
    } | more
    return [f"{key}: {value}" for key, value in headers.items()]


@dataclass
class FakeManager:
    """Start it, point a link at `port`, script `answers`, look at `asked`."""

    secret: str = "right"
    port: int = 0
    channels: list[list[str]] = field(default_factory=list)
    queue_items: list[list[str]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    logins: int = 0
    boot_clock: str = "10:00:00"
    uptime: int = 0
    _writer: asyncio.StreamWriter | None = None
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> FakeManager:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port or None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.cut()
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def cut(self) -> None:
        """Reset the connection of whoever is logged in."""
        if self._writer:
            self._writer.transport.abort()

    async def say(self, *lines: str) -> None:
        await self.say_raw(block(*lines))

    async def say_raw(self, data: bytes) -> None:
        assert self._writer
        self._writer.write(data)
        with suppress(ConnectionError):
            await self._writer.drain()

    def names(self) -> list[str]:
        """The actions asked for, pings and logins aside."""
        return [a["Action"] for a in self.asked if a["Action"] not in {"Ping", "Login"}]

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writer = writer
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        try:
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                lines = raw.decode().strip().split("\r\n")
                action = dict(line.split(": ", 1) for line in lines if ": " in line)
                self.asked.append(action)
                answer = (_ANSWERS | self.answers).get(action["Action"], success)
                await answer(self, action)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def list_of(
        self, action: dict[str, str], items: list[list[str]], end: str
    ) -> None:
        own = f"ActionID: {action['ActionID']}"
        await self.say("Response: Success", own, "EventList: start", "Message: follows")
        for item in items:
            await self.say(item[0], own, *item[1:])
        await self.say(f"Event: {end}", own, "EventList: Complete")


async def success(server: FakeManager, action: dict[str, str]) -> None:
    await server.say(
        "Response: Success", f"ActionID: {action['ActionID']}", "Message: done"
    )


async def silence(server: FakeManager, action: dict[str, str]) -> None:
    """Never answer."""


def refuses(reason: str) -> Answer:
    async def answer(server: FakeManager, action: dict[str, str]) -> None:
        await server.say(
            "Response: Error", f"ActionID: {action['ActionID']}", f"Message: {reason}"
        )

    return answer


async def _login(server: FakeManager, action: dict[str, str]) -> None:
    if action["Secret"] != server.secret:
        await refuses("Authentication failed")(server, action)
        return
    server.logins += 1
    await success(server, action)
    await server.say("Event: FullyBooted", f"Uptime: {server.uptime}")


async def _core_status(server: FakeManager, action: dict[str, str]) -> None:
    await server.say(
        "Response: Success",
        f"ActionID: {action['ActionID']}",
        "CoreStartupDate: 2025-11-21",
        f"CoreStartupTime: {server.boot_clock}",
    )


async def _channels(server: FakeManager, action: dict[str, str]) -> None:
    items = [["Event: CoreShowChannel", *lines] for lines in server.channels]
    await server.list_of(action, items, "CoreShowChannelsComplete")


async def _queues(server: FakeManager, action: dict[str, str]) -> None:
    await server.list_of(action, server.queue_items, "QueueStatusComplete")


_ANSWERS: dict[str, Answer] = {
    "Login": _login,
    "CoreStatus": _core_status,
    "CoreShowChannels": _channels,
    "QueueStatus": _queues,
}
