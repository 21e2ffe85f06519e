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

from tests.bench.fastagi.session import COMMANDS, SCRIPT

BACKLOG = 1024


async def panoramisk() -> asyncio.Server:
    """Panoramisk's own Application, used as its documentation says."""

    async def intake(request: fast_agi.Request) -> None:
        for command in COMMANDS:
            await request.send_command(command)

    application = fast_agi.Application(loop=asyncio.get_running_loop())
    application.add_route(SCRIPT, intake)
    return await asyncio.start_server(
        application.handler, "127.0.0.1", 0, backlog=BACKLOG
    )


SERVERS = {"panoramisk": panoramisk}


async def serve(name: str) -> None:
    """Serve for ever."""
    server = await SERVERS[name]()
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
