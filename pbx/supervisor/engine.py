"""Asterisk as a child: it outlives us, it may be adopted, it stops when calls end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from pbx.asterisk import run
from pbx.supervisor.child import Child, Listener, Spec

PROBE_SECONDS = 2.0
HUNG_SECONDS = 20.0
"""Its console must greet us within this time. Killing Asterisk ends every call, so we
are far more patient with it than with an intake."""
BOOT_SECONDS = 60.0


class Engine(Child):
    """The city's Asterisk.

    It lives in its own pid namespace below bubblewrap: the pid we start is only the
    wrapper's, and Asterisk may go on when that is killed. Whoever listens on the
    console socket of `home` is Asterisk; if one does already, it is adopted with its
    calls.
    """

    def __init__(
        self,
        argv: tuple[str, ...],
        home: Path,
        user: run.User | None,
        listener: Listener,
    ) -> None:
        super().__init__(
            Spec(
                "asterisk",
                argv,
                ready_seconds=BOOT_SECONDS,
                beat_seconds=HUNG_SECONDS,
                stop_seconds=86400.0,  # calls set the pace; `stop` has the deadline
                dies_with_us=False,
                drops_output=True,
            ),
            listener,
        )
        self._home = home
        self._user = user
        self._inner: int | None = None
        self._errand: asyncio.Task[None] | None = None

    async def keep(self) -> None:
        """As every child; what is still being asked of it ends with it."""
        try:
            await super().keep()
        finally:
            if self._errand:
                self._errand.cancel()

    def kill(self) -> None:
        """SIGKILL to Asterisk itself, or to the wrapper while it does not listen."""
        # A stopped Asterisk's console may be full and tell nothing: remember its pid.
        inner = run.running_pid(self._home) or self._inner
        for pid in filter(None, (inner, self.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _sweep(self) -> None:
        """Leave it: when only the wrapper died, Asterisk goes on and is adopted."""

    def ask_to_stop(self) -> None:
        """End when the last call has ended.

        Not `core stop gracefully`: that refuses every new channel, also the one that
        rings an operator for a caller who waits (main/channel.c, ast_shutting_down).
        """
        self._begin_to_stop()
        if self._errand:
            self._errand.cancel()
        self._errand = asyncio.create_task(
            self._say_until_heard("core stop when convenient", 5.0)
        )

    async def _say_until_heard(self, line: str, deadline_seconds: float) -> None:
        """It may still be on its way to listening, or just restarting."""
        while not self._gone.is_set():
            if await self._say(line, deadline_seconds):
                return
            await asyncio.sleep(0.05)

    async def stop(self, deadline_seconds: float) -> None:
        """End it: once its calls have ended, or at the deadline whatever happens."""
        self.ask_to_stop()
        if await self.is_gone_within(deadline_seconds):
            return
        await self.stop_now()

    async def stop_now(self) -> None:
        """End it, calls or no calls; takes at most some 5 s."""
        self._begin_to_stop()
        with suppress(run.AsteriskError):
            await run.stop(self._home, deadline_seconds=5.0)
        if not await self.is_gone_within(2.0):
            self.kill()
            await self.is_gone_within(5.0)

    async def calls(self) -> int:
        """How many calls it carries; 0 if it does not answer."""
        with suppress(run.AsteriskError, ValueError, IndexError):
            answer = await run.console(
                self._home, "core show channels count", deadline_seconds=2.0
            )
            for line in answer.splitlines():
                if "active call" in line:
                    return int(line.split()[0])
        return 0

    async def _one_life(self) -> str:
        helper = asyncio.create_task(self._attend())
        try:
            if (pid := run.running_pid(self._home)) is not None:
                return await self._adopt(pid)
            run.prepare_home(self._home, self._user)
            return await super()._one_life()
        finally:
            helper.cancel()
            await asyncio.wait([helper])
            self._inner = None

    async def _adopt(self, pid: int) -> str:
        """Follow an Asterisk that runs already until its end."""
        self._tell.said(30, f"asterisk {pid} runs already: taken over with its calls")
        descriptor = os.pidfd_open(pid)
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, gone.set)
        try:
            self.pid = pid
            self.watch.started(time.monotonic())
            self._note_change()
            await self._say("core abort shutdown")  # a former drain may be under way
            if self._stopping.is_set():
                self.ask_to_stop()
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self.pid = None
        return "ended (adopted, its status is unknown)"

    async def _attend(self) -> None:
        """Say READY once it has booted, then WATCHDOG each time its console greets."""
        await self._say_until_heard("core waitfullybooted", BOOT_SECONDS)
        self._inner = run.running_pid(self._home)
        self.heard("READY=1")
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if await self._say("core show uptime", HUNG_SECONDS / 2):
                self.heard("WATCHDOG=1")

    async def _say(self, line: str, deadline_seconds: float = 5.0) -> bool:
        try:
            answer = await run.console(
                self._home, line, deadline_seconds=deadline_seconds
            )
        except run.AsteriskError:
            return False
        return run.is_understood(answer)
