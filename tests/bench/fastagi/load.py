"""The load generator: as many FastAGI sessions as a server takes, counted.

`python -m tests.bench.fastagi.load PORT SECONDS AT_ONCE` prints one line of JSON. It
plays Asterisk: opens a connection, sends the opening, answers every command, and counts
the session when the server closes after all of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

from tests.bench.fastagi.session import COMMANDS, REPLY, opening


class Load:
    """Keeps `at_once` sessions open until the time is up."""

    def __init__(self, port: int, at_once: int) -> None:
        self.port = port
        self.at_once = at_once
        self.complete = 0
        self.broken = 0
        self._serial = 0
        self._stopping = False
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> dict[str, float]:
        """Load the server for so long; what came of it."""
        begin = time.perf_counter()
        for _ in range(self.at_once):
            self.begin_session()
        await asyncio.sleep(seconds)
        elapsed = time.perf_counter() - begin
        counted = {"complete": self.complete, "broken": self.broken, "seconds": elapsed}
        self._stopping = True
        await asyncio.sleep(0.2)  # sessions under way may end; they do not count
        return counted

    def begin_session(self) -> None:
        """Open the next connection, unless we are done."""
        if self._stopping:
            return
        self._serial += 1
        task = asyncio.ensure_future(self._connect(self._serial))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _connect(self, serial: int) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: Session(self, serial), "127.0.0.1", self.port
            )
        except OSError:
            self.broken += 1
            await asyncio.sleep(0.01)
            self.begin_session()


class Session(asyncio.Protocol):
    """Asterisk's side of one session."""

    def __init__(self, load: Load, serial: int) -> None:
        self._load = load
        self._serial = serial
        self._commands = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are transports in all but their class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(opening(self._serial, self._load.port))

    def data_received(self, data: bytes) -> None:
        commands = data.count(b"\n")
        self._commands += commands
        self._transport.write(REPLY * commands)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._commands == len(COMMANDS):
            self._load.complete += 1
        else:
            self._load.broken += 1
        self._load.begin_session()


def main() -> None:
    port, seconds, at_once = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    counted = uvloop.run(Load(port, at_once).run(seconds))
    print(json.dumps(counted), flush=True)


if __name__ == "__main__":
    main()
