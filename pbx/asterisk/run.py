"""Running an Asterisk: start it, hear it, speak to it, stop it.

Its world is one directory, its *home*. The same functions run the city's Asterisk, the
simulated carrier and the throw-away one of `gerbang check`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pbx.asterisk.root import NotInstalled, Root, find_root
from pbx.asterisk.sandbox import (
    User,
    command,
    hand_over,
    prepare_home,
    service_user,
)

__all__ = [
    "Asterisk",
    "AsteriskError",
    "NotInstalled",
    "Root",
    "User",
    "command",
    "console",
    "find_root",
    "hand_over",
    "is_booted",
    "is_understood",
    "prepare_home",
    "running_pid",
    "service_user",
    "stop",
]


class AsteriskError(Exception):
    """Asterisk did not start, answer or boot; the text carries its last words."""


def _connect(home: Path) -> socket.socket:
    """Asterisk's console socket. Raises OSError while nobody listens.

    Through a descriptor of its directory, because a socket's path may have at most 107
    characters and a home may lie deep.
    """
    directory = os.open(home / "run", os.O_PATH | os.O_DIRECTORY)
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A stopped Asterisk accepts nothing: its backlog fills and connect would block us.
    peer.setblocking(False)
    try:
        peer.connect(f"/proc/self/fd/{directory}/asterisk.ctl")
    except OSError:
        peer.close()
        raise
    finally:
        os.close(directory)
    return peer


def running_pid(home: Path) -> int | None:
    """The pid, as the machine sees it, of the Asterisk that runs on `home`, if any.

    Asterisk's own pid file is of no use: it runs in its own pid namespace. The kernel
    tells who listens on the console socket, whoever started it, also if it is stopped.
    """
    try:
        with _connect(home) as peer:
            raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except BlockingIOError:  # it listens, but has long accepted nothing
        return _pid_by_its_view(home)
    except OSError:
        return None
    return int.from_bytes(raw[:4], "little") or None


def _pid_by_its_view(home: Path) -> int | None:
    """The Asterisk that sees this home's `run` as its own; slow, asks every process."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "comm").read_text() == "asterisk\n" and (
                process / "root/gerbang/run"
            ).samefile(home / "run"):
                return int(process.name)
    return None


async def console(home: Path, line: str, *, deadline_seconds: float = 10.0) -> str:
    """Say one line on Asterisk's console and return what it answers.

    Raises AsteriskError if nobody answers within the deadline. The protocol is that of
    `asterisk -rx` (main/asterisk.c, netconsole).
    """
    try:
        async with asyncio.timeout(deadline_seconds):
            return await _console(home, line)
    except (OSError, TimeoutError) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else error
        raise AsteriskError(f"console of {home}: {line!r}: {reason}") from error


async def is_booted(home: Path, *, deadline_seconds: float = 10.0) -> bool:
    """Whether every module is up, waiting for it if somebody listens already.

    An Asterisk that gives up while it starts closes the console without this sentence.
    """
    try:
        said = await console(
            home, "core waitfullybooted", deadline_seconds=deadline_seconds
        )
    except AsteriskError:
        return False
    return "has fully booted" in said


def is_understood(answer: str) -> bool:
    """Whether this is an answer, and not that Asterisk knows no such command (yet).

    While it boots, the console answers and knows nothing of `core stop …`
    (main/asterisk.c registers these last of all).
    """
    return not answer.startswith("No such command")


async def _console(home: Path, line: str) -> str:
    reader, writer = await asyncio.open_unix_connection(sock=_connect(home))
    try:
        await reader.readline()  # who and which version
        writer.write(b"cli quit after " + line.encode() + b"\0")
        answer = await reader.read(-1)
    finally:
        writer.close()
    # Verbose lines start with a byte of 0xf6…0xff that tells their level: not for us.
    kept = [row for row in answer.split(b"\n") if not row or row[0] < 0xF6]
    return b"\n".join(kept).decode(errors="replace").strip("\n")


async def stop(home: Path, *, deadline_seconds: float = 10.0) -> None:
    """End the Asterisk that runs on `home`, whoever started it; nothing if none does.

    `core stop now`, then SIGTERM, then SIGKILL: each gets a third of the deadline.
    """
    patience = deadline_seconds / 3
    pid = running_pid(home)
    if pid is None:
        return
    with suppress(AsteriskError):
        await console(home, "core stop now", deadline_seconds=patience)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if await _gone(pid, patience):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    if not await _gone(pid, patience):
        raise AsteriskError(
            f"Asterisk {pid} on {home} does not die; reboot the machine"
        )


async def _gone(pid: int, patience: float) -> bool:
    clock = asyncio.get_running_loop().time
    end = clock() + patience
    while _alive(pid):
        if clock() > end:
            return False
        await asyncio.sleep(0.02)
    return True


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@dataclass(slots=True)
class Asterisk:
    """One Asterisk we start, listen to and stop.

    `on_line` gets each line it prints. A reader that stops reading loses lines, never
    calls: Asterisk's end of the pipe does not block.
    """

    root: Root
    home: Path
    sounds: Path
    user: User | None = None
    die_with_parent: bool = False
    on_line: Callable[[str], None] = lambda line: None
    last_lines: list[str] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None
    _listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it; returns at once. Raises AsteriskError if one runs here already."""
        if (pid := running_pid(self.home)) is not None:
            raise AsteriskError(
                f"an Asterisk ({pid}) runs on {self.home} already; stop it first"
            )
        prepare_home(self.home, self.user)
        argv = command(
            self.root,
            self.home,
            self.sounds,
            user=self.user,
            die_with_parent=self.die_with_parent,
        )
        ours, its = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(its, False)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.DEVNULL, stdout=its, stderr=its
            )
        except FileNotFoundError as error:
            os.close(ours)
            raise NotInstalled(
                f"{error.filename} is missing; run `gerbang install`"
            ) from error
        finally:
            os.close(its)
        self._listening = asyncio.create_task(self._listen(ours))

    async def _listen(self, descriptor: int) -> None:
        reader = asyncio.StreamReader(limit=1 << 20)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        try:
            async for raw in reader:
                line = raw.decode(errors="replace").rstrip()
                self.last_lines = [*self.last_lines[-19:], line]
                self.on_line(line)
        finally:
            transport.close()

    async def wait_booted(self, deadline_seconds: float = 30.0) -> None:
        """Return when every module is up. Raises AsteriskError with its last words."""
        clock = asyncio.get_running_loop().time
        end = clock() + deadline_seconds
        while self.returncode is None and (left := end - clock()) > 0:
            if await is_booted(self.home, deadline_seconds=left):
                return
            await asyncio.sleep(0.05)
        said = "\n  ".join(self.last_lines) or "(it said nothing)"
        what = "did not boot in time" if self.returncode is None else "ended at start"
        raise AsteriskError(f"Asterisk on {self.home} {what}; it said:\n  {said}")

    @property
    def returncode(self) -> int | None:
        """What it ended with; None while it runs or before it is started."""
        return self._process.returncode if self._process else None

    async def wait(self) -> int:
        """Wait for its end; returns its exit status."""
        if self._process is None:
            raise AsteriskError(f"Asterisk on {self.home} was never started")
        code = await self._process.wait()
        if self._listening:  # its last lines; they go on if only bubblewrap was killed
            await asyncio.wait({self._listening}, timeout=0.5)
        return code

    async def stop(self, *, deadline_seconds: float = 10.0) -> None:
        """End it and everything in its namespace; returns when nothing is left."""
        if self._process is None:
            return
        await stop(self.home, deadline_seconds=deadline_seconds)
        try:
            await asyncio.wait_for(self.wait(), 1.0)
        except TimeoutError:  # it never came to listen: it hangs in its start
            for pid in _descendants(self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.wait_for(self.wait(), deadline_seconds)


def _descendants(pid: int) -> list[int]:
    """A process and all below it, the youngest first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [p for child in children for p in _descendants(int(child))] + [pid]
