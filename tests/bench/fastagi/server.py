"""A FastAGI server in a process of its own: ours, or panoramisk's.

`python -m tests.bench.fastagi.server gerbang|panoramisk` prints its port as JSON and
serves until it is ended. Both run on uvloop, on one core, with logging at WARNING, and
do exactly `session.COMMANDS` in every session.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop
from panoramisk import fast_agi

from agi.doorkeeper import Doorkeeper
from agi.protocol import Request
from agi.session import Session
from tests.bench.fastagi.session import COMMANDS, SCRIPT

BACKLOG = 1024


async def panoramisk() -> asyncio.Server:
    """Panoramisk's own Application, used as its documentation says."""

    async def intake(request: fast_agi.Request) -> None:
        for command in COMMANDS:
            await request.send_command(" ".join(command))

    application = fast_agi.Application(loop=asyncio.get_running_loop())
    application.add_route(SCRIPT, intake)
    return await asyncio.start_server(
        application.handler, "127.0.0.1", 0, backlog=BACKLOG
    )


async def gerbang() -> asyncio.Server:
    """Our own sessions, behind their doorkeeper, as `agi.server` has them."""
    tasks: set[asyncio.Task[None]] = set()
    door = Doorkeeper(asyncio.get_running_loop().time)

    async def intake(session: Session) -> None:
        for name, *arguments in COMMANDS:
            await session.command(name, *arguments)
        session.close()

    def begin(session: Session, _: Request) -> None:
        task = asyncio.ensure_future(intake(session))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return await asyncio.get_running_loop().create_server(
        lambda: Session(door, begin, lambda _: None), "127.0.0.1", 0, backlog=BACKLOG
    )


SERVERS = {"gerbang": gerbang, "panoramisk": panoramisk}


async def serve(name: str) -> None:
    """Serve for ever."""
    server = await SERVERS[name]()
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
