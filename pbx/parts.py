"""The parts of a process, each kept running on its own.

One part that fails is logged, counted, told by an alarm and started again, and takes
nothing with it. The heartbeat runs beside them: it tells of the event loop, not of
them.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pbx import heartbeat
from pbx.status import Status

_log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
HEALTHY_SECONDS = 5.0
"""A part that has run this long has recovered."""

Part = Callable[[], Awaitable[None]]
"""Runs until it is cancelled; one that returns is started again."""


@dataclass(slots=True)
class Parts:
    """The parts of one process; `run` them."""

    status: Status
    alarm: str
    """Begins each part's alarm: `part-feed-` makes `part-feed-http`."""
    of: str
    """Whose parts they are, in the alarm's sentence: `the feed`."""
    more: str
    """The rest of that sentence: where to look, what does not depend on it."""
    failures: int = 0
    """Parts that fell and were started again."""

    async def run(self, parts: Mapping[str, Part], stop: asyncio.Event) -> None:
        """Run them until `stop` is set; then cancel them and wait for their end."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._keep(name, part), name=name)
                for name, part in parts.items()
            ]
            running.append(tasks.create_task(heartbeat.beat(), name="heartbeat"))
            await stop.wait()
            for task in running:
                task.cancel()

    async def _keep(self, name: str, part: Part) -> None:
        """Run one part for ever, whatever it raises."""
        loop = asyncio.get_running_loop()
        alarm = f"{self.alarm}{name}"
        while True:
            healthy = loop.call_later(HEALTHY_SECONDS, self.status.clear_alarm, alarm)
            try:
                await part()
            except Exception as error:  # noqa: BLE001 — one part never fells the rest
                self.failures += 1
                if alarm not in self.status.alarms:
                    _log.exception("%s failed, starting it again", name)
                self.status.raise_alarm(
                    alarm,
                    f"{name} of {self.of} fails ({error!r}) and is started again each "
                    f"second; {self.more}",
                )
            finally:
                healthy.cancel()
            await asyncio.sleep(RESTART_SECONDS)


def asked_to_stop() -> asyncio.Event:
    """Set by SIGTERM and SIGINT from now on; call it inside the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
