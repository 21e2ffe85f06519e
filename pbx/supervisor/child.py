"""One process, kept alive: started, heard, killed when hung, started again."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from pbx.supervisor.flood import Flood
from pbx.supervisor.watch import State, Watch

PIPE_BYTES = 1 << 20
"""Room for log lines while we are busy; a process whose pipe is full would hang."""
LONGEST_LINE = 16384


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run, and how patient to be with it."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to our own."""
    ready_seconds: float = 20.0
    beat_seconds: float | None = 3.0
    stop_seconds: float = 30.0
    dies_with_us: bool = True
    """It gets SIGTERM when the supervisor dies, and drains."""
    drops_output: bool = False
    """If we do not read, it loses lines rather than wait: a pipe that does not block.
    Python would raise instead, so this is for Asterisk."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a child tells: each line it prints, what we say of it, each change."""

    line: Callable[[str, str], None]
    """The child's name, and a line without its end."""
    said: Callable[[int, str], None]
    """A logging level and our own words about a child."""
    changed: Callable[[], None]


class Child:
    """A process kept alive until `stop`."""

    def __init__(self, spec: Spec, listener: Listener) -> None:
        self.spec = spec
        self.watch = Watch(spec.ready_seconds, spec.beat_seconds, spec.stop_seconds)
        self.pid: int | None = None
        self.since = time.time()
        """When its state last changed, seconds of the epoch; for people."""
        self.last_end = ""
        self._tell = listener
        self._flood = Flood()
        self._stopping = asyncio.Event()
        self._gone = asyncio.Event()

    @property
    def name(self) -> str:
        """Its name in log lines and in the status file."""
        return self.spec.name

    async def keep(self) -> None:
        """Run it, again and again, until `stop`. Raises nothing of the child's."""
        try:
            while not self._stopping.is_set():
                try:
                    self.last_end = await self._one_life()
                except Exception as error:  # noqa: BLE001 - it must be kept alive
                    self.kill()
                    self.last_end = f"was lost sight of: {error!r}"
                if self._stopping.is_set():
                    break
                wait = self.watch.ended(_now())
                self._note_change()
                again = f"again in {wait:.1f} s" if wait else "started again at once"
                self._tell.said(30, f"{self.name} {self.last_end}; {again}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait)
        finally:
            self.watch.finished(_now())
            self.pid = None
            self._note_change()
            self._gone.set()

    def heard(self, message: str) -> None:
        """It sent an sd_notify message."""
        before = self.watch.state
        self.watch.heard(message, _now())
        if self.watch.state is not before:
            self._note_change()

    def judge(self) -> None:
        """Kill it if it is overdue; SIGKILL ends stopped processes as well."""
        if self.pid is not None and (reason := self.watch.overdue(_now())):
            self._tell.said(40, f"{self.name} ({self.pid}): {reason}; killed")
            self.kill()

    def kill(self) -> None:
        """SIGKILL to it and whatever it started in its process group."""
        if self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _sweep(self) -> None:
        """It is gone: so shall be whatever it left behind in its group."""
        self.kill()

    def ask_to_stop(self) -> None:
        """Ask it to drain and end, and do not start it again."""
        self._begin_to_stop()
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    async def stop(self, deadline_seconds: float) -> None:
        """End it: asked first, killed at the deadline. Returns when it is gone."""
        self.ask_to_stop()
        if not await self.is_gone_within(deadline_seconds):
            self._tell.said(30, f"{self.name} did not end in time; killed")
            self.kill()
            await self._gone.wait()

    async def is_gone_within(self, seconds: float) -> bool:
        """Wait for its last end."""
        try:
            await asyncio.wait_for(self._gone.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _begin_to_stop(self) -> None:
        self._stopping.set()
        self.watch.asked_to_stop(_now())
        self._note_change()

    async def _one_life(self) -> str:
        """Start it and wait for its end; returns how it ended, in words."""
        try:
            process, output = await self._spawn()
        except OSError as error:
            self.watch.started(_now())
            return f"cannot be started: {error}"
        self.pid = process.pid
        self.watch.started(_now())
        self._note_change()
        if self._stopping.is_set():  # asked while it was being started
            self.ask_to_stop()
        reading = asyncio.create_task(self._read(output))
        try:
            code = await process.wait()
        finally:
            self._sweep()
            self.pid = None
            await self._last_words(reading)
        return _how_it_ended(code)

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, int]:
        """The running process and our end of its output. Raises OSError."""
        ours, its = os.pipe2(os.O_CLOEXEC)
        with suppress(OSError):  # more than an unprivileged user may have
            fcntl.fcntl(its, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(its, not self.spec.drops_output)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=its,
                stderr=its,
                env=os.environ | dict(self.spec.environment),
                start_new_session=True,  # Ctrl-C is ours alone; we drain in order
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(its)
        return process, ours

    def _argv(self) -> tuple[str, ...]:
        # setpriv (util-linux, on every Debian) sets the parent-death signal and execs,
        # so the pid stays; preexec_fn would run Python between fork and exec.
        if self.spec.dies_with_us and (setpriv := shutil.which("setpriv")):
            return (setpriv, "--pdeathsig", "TERM", "--", *self.spec.argv)
        return self.spec.argv

    async def _last_words(self, reading: asyncio.Task[None]) -> None:
        # A process outside its group may still hold the pipe: then we stop listening.
        with suppress(TimeoutError):
            await asyncio.wait_for(reading, 0.5)

    async def _read(self, descriptor: int) -> None:
        """Pass its output on, line by line, until it closes."""
        reader = asyncio.StreamReader(limit=1 << 18)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        try:
            rest = b""
            while chunk := await reader.read(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._pass_on(line)
                await asyncio.sleep(self._flood.pause_seconds)
            if rest:
                self._pass_on(rest)
        finally:
            transport.close()

    def _pass_on(self, line: bytes) -> None:
        if not self._flood.lets_pass(_now()):
            return
        if untold := self._flood.untold:
            self._flood.untold = 0
            self._tell.said(30, f"{self.name} says too much: {untold} lines not shown")
        text = line[:LONGEST_LINE].decode(errors="replace").rstrip("\r")
        if text:
            self._tell.line(self.name, text)

    def _note_change(self) -> None:
        self.since = time.time()
        self._tell.changed()

    @property
    def is_ready(self) -> bool:
        """Whether it has said READY and runs."""
        return self.watch.state is State.READY


def _now() -> float:
    return time.monotonic()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
