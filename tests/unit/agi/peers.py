"""One AGI port on loopback for tests, with a peer to drive from the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agi.doorkeeper import Doorkeeper
from agi.protocol import Request
from agi.session import Session

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Port:
    door: Doorkeeper
    number: int = 0
    sessions: asyncio.Queue[Session] = field(default_factory=asyncio.Queue)
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def arrived(self, session: Session, request: Request) -> None:
        self.requests.append(request)
        self.sessions.put_nowait(session)

    async def connect(self) -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        self.writers.append(writer)
        return reader, writer

    async def session(self) -> Session:
        async with asyncio.timeout(30):
            return await self.sessions.get()


@asynccontextmanager
async def open_port(door: Doorkeeper | None = None) -> AsyncIterator[Port]:
    loop = asyncio.get_running_loop()
    port = Port(door or Doorkeeper(loop.time))
    server = await loop.create_server(
        lambda: Session(port.door, port.arrived, port.violations.append),
        "127.0.0.1",
        0,
    )
    port.number = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
        for writer in port.writers:
            writer.transport.abort()
        await server.wait_closed()
