"""The keeper of all processes: hears them, judges them, drains them in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pbx.status import Status
from pbx.supervisor.child import Child, Listener
from pbx.supervisor.notify import NotifySocket
from pbx.supervisor.strays import identify
from pbx.supervisor.watch import OFTEN_RESTARTS, OFTEN_SECONDS, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pbx.supervisor.engine import Engine
    from pbx.supervisor.output import Output

_log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
OVERSLEPT_SECONDS = 1.0
"""A tick this late: it was us who slept, so nobody is judged by that time."""
STATUS_SECONDS = 5.0
OTHERS_READY_SECONDS = 8.0
"""Once Asterisk is up callers reach operators; the others get this much longer before
we say so, and who is missing."""
END_SECONDS = 10.0
"""What a Python process gets to drain once Asterisk carries no call any more."""
HURRIED_SECONDS = 2.0
RECORDER_SECONDS = 10.0
"""The recorder's, hurried or not: the last record is worth it."""


class House:
    """Keeps processes alive until asked to stop."""

    def __init__(self, run: Path, output: Output) -> None:
        self.notify = NotifySocket(run)
        self.status = Status(run, "supervisor")
        self.listener = Listener(output.line, _log.log, self._note_change)
        self.output = output
        self._children: list[Child] = []
        self._engine: Engine | None = None
        self._changed = asyncio.Event()
        self._status_due = 0.0
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def serve(
        self,
        children: Sequence[Child],
        engine: Engine | None = None,
        *,
        announce: Callable[[list[str]], None],
        drain_seconds: float,
    ) -> None:
        """Keep them until SIGTERM or Ctrl-C; return when all of them are gone.

        They stop in the order given: the last one hears the others' last words.
        `announce` is called once, with the names of those who are not ready.
        """
        self._engine = engine
        self._children = [*([engine] if engine else []), *children]
        with self._signals():
            try:
                async with asyncio.TaskGroup() as tasks:
                    for child in self._children:
                        tasks.create_task(child.keep())
                    ticking = tasks.create_task(self._tick())
                    announcing = tasks.create_task(self._announce(announce))
                    await self._stop.wait()
                    announcing.cancel()
                    await self._drain(drain_seconds)
                    ticking.cancel()
            finally:
                self._write_status()
                self.notify.close()

    def stop(self) -> None:
        """Begin to drain; the second time: end at once."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        ours = {
            signal.SIGINT: self.stop,
            signal.SIGTERM: self.stop,
            # A closed terminal does not close 112.
            signal.SIGHUP: lambda: _log.warning("terminal closed; still serving"),
            # Ctrl-Z: nobody would hear the heartbeats, or read the children's output.
            signal.SIGTSTP: lambda: _log.warning("not while serving; Ctrl-C ends it"),
        }
        for number, action in ours.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in ours:
                loop.remove_signal_handler(number)

    async def _announce(self, announce: Callable[[list[str]], None]) -> None:
        """Without Asterisk nothing is ready; without the others, callers still are."""
        while self._engine and not self._engine.is_ready:
            await self._next_change()
        with suppress(TimeoutError):
            async with asyncio.timeout(OTHERS_READY_SECONDS):
                while self._not_ready():
                    await self._next_change()
        try:
            announce(self._not_ready())
        except Exception:  # noqa: BLE001 - words on a screen end no service
            _log.exception("not announced, and yet ready")

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _not_ready(self) -> list[str]:
        return [child.name for child in self._children if not child.is_ready]

    async def _tick(self) -> None:
        asyncio.get_running_loop().add_reader(self.notify.socket, self._hear)
        before = time.monotonic()
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                now = time.monotonic()
                try:
                    self._look_after(now, now - before)
                except Exception:  # noqa: BLE001 - the watch must not end
                    _log.exception("watching failed; going on")
                before = now
        finally:
            asyncio.get_running_loop().remove_reader(self.notify.socket)

    def _look_after(self, now: float, passed: float) -> None:
        if passed > OVERSLEPT_SECONDS:
            _log.warning("the supervisor slept for %.1f s; nobody is judged", passed)
            for child in self._children:
                child.watch.forgive(passed)
        self._hear()
        for child in self._children:
            child.judge()
        if now >= self._status_due:
            self._write_status()
            self._status_due = now + STATUS_SECONDS

    def _hear(self) -> None:
        by_pid = {child.pid: child for child in self._children}
        for pid, message in self.notify.read():
            if child := by_pid.get(pid):
                child.heard(message)

    def _note_change(self) -> None:
        self._changed.set()
        self._status_due = 0.0

    def _write_status(self) -> None:
        self.status.figures["processes"] = {
            child.name: _figures(child) for child in self._children
        }
        for child in self._children:
            self._alarm_of(child)
        self.status.write()

    def _alarm_of(self, child: Child) -> None:
        name = f"restarts-{child.name}"
        often = child.watch.restarts_lately(time.monotonic())
        if often >= OFTEN_RESTARTS:
            self.status.raise_alarm(
                name,
                f"{child.name} was restarted {often} times within "
                f"{OFTEN_SECONDS / 60:.0f} minutes; it last {child.last_end}. Read its "
                "log lines; callers still reach operators. See docs/runbook.md",
            )
        elif often == 0:
            self.status.clear_alarm(name)

    async def _drain(self, drain_seconds: float) -> None:
        _log.warning(
            "draining: calls may end, up to %.0f s; Ctrl-C again ends at once",
            drain_seconds,
        )
        if self._engine:
            await self._drain_engine(self._engine, drain_seconds)
        others = [child for child in self._children if child is not self._engine]
        patience = HURRIED_SECONDS if self._hurry.is_set() else END_SECONDS
        await asyncio.gather(*(child.stop(patience) for child in others[:-1]))
        for child in others[-1:]:
            await child.stop(RECORDER_SECONDS)
        _log.warning("everything has ended")

    async def _drain_engine(self, engine: Engine, drain_seconds: float) -> None:
        limit = time.monotonic() + drain_seconds
        engine.ask_to_stop()
        said = -1
        while not await engine.is_gone_within(0.1):
            if self._hurry.is_set() or time.monotonic() > limit:
                calls = await engine.calls()
                _log.warning("ending asterisk now, with %d calls in progress", calls)
                await engine.stop_now()
                return
            if (calls := await engine.calls()) != said and calls:
                _log.warning("%d calls in progress; waiting for their end", calls)
                said = calls


def _figures(child: Child) -> dict[str, object]:
    identity = identify(child.pid) if child.pid is not None else None
    return {
        "pid": child.pid,
        "state": child.watch.state.value,
        "since": datetime.fromtimestamp(child.since, UTC).isoformat(timespec="seconds"),
        "restarts": child.watch.restarts,
        "identity": identity.as_json() if identity else None,
        "last_end": child.last_end
        if child.watch.state is not State.READY or child.watch.restarts
        else "",
    }
