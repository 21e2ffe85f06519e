"""Running an Asterisk: isolated, unprivileged, its world one directory (its *home*).

The same functions run the city's Asterisk, the simulated carrier and the throw-away one
of `gerbang check`. Inside, `home` is `/gerbang` and the prompts are `/gerbang-sounds`;
only log, spool, run and db can be written. The network is the machine's.

bubblewrap binds everything before privileges are dropped, so a checkout below /root
(mode 0700) serves as well as any other place.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pbx.asterisk.root import NotInstalled, Root, find_root

__all__ = [
    "Asterisk",
    "AsteriskFailed",
    "NotInstalled",
    "Root",
    "User",
    "command",
    "console",
    "find_root",
    "hand_over",
    "prepare_home",
    "running_pid",
    "service_user",
    "stop",
]

USER = "gerbang"
"""The system user Asterisk runs as when we are root; made by `gerbang install`."""

OPEN_FILES = 65536
"""A call holds about ten descriptors; the usual 1024 would end at 100 calls."""

WRITABLE = ("log", "spool", "run", "db")
"""What Asterisk itself may write, below its home."""

_READABLE = ("releases", "tls")
_ETC = (
    "alternatives",
    "group",
    "ld.so.cache",
    "nsswitch.conf",
    "passwd",
    "protocols",
    "services",
    "ssl",
)
"""From the root's own /etc; names are resolved and clocks set as on the machine."""
_MACHINES_ETC = ("hosts", "localtime", "resolv.conf")

_CAP_SYS_RESOURCE = 24


class AsteriskFailed(Exception):
    """Asterisk did not start, answer or boot; the text carries its last words."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom Asterisk runs as."""

    uid: int
    gid: int


def service_user() -> User | None:
    """The unprivileged user to drop to, or None when we are nobody special ourselves.

    Raises NotInstalled if we are root and the user does not exist yet.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        raise NotInstalled(
            f"the system user {USER!r} does not exist; run `gerbang install`"
        ) from None
    return User(entry.pw_uid, entry.pw_gid)


def prepare_home(home: Path, user: User | None) -> None:
    """Make every directory Asterisk needs, owned so that it can write only its own.

    `log/cel-custom` must be there beforehand: without it Asterisk loses every journal
    line and says so only in an ERROR.
    """
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o750)
    if user:
        os.chown(home, 0, user.gid)
    for name in (*_READABLE, *WRITABLE, "log/cel-custom"):
        directory = home / name
        directory.mkdir(exist_ok=True)
        directory.chmod(0o750)
        hand_over(directory, user)


def hand_over(path: Path, user: User | None) -> None:
    """Give a file or a whole tree to Asterisk's user; modes stay, links are not followed.

    Call it on every release: its files carry secrets (0600) and Asterisk must read them.
    It still cannot change them, they are bound read-only.
    """
    if user is None:
        return
    os.chown(path, user.uid, user.gid, follow_symlinks=False)
    for directory, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.chown(
                os.path.join(directory, name),  # noqa: PTH118 - os.walk gives strings
                user.uid,
                user.gid,
                follow_symlinks=False,
            )


def command(
    root: Root,
    home: Path,
    sounds: Path,
    *,
    user: User | None = None,
    die_with_parent: bool = False,
) -> list[str]:
    """The argv that runs Asterisk in the foreground on `home`.

    `user` None stays the caller. `die_with_parent` is for test instances only: the
    city's calls must go on when whoever started it is killed.
    """
    argv = [
        *("prlimit", f"--nofile={_open_files()}", "--core=0"),
        *_isolation(root, user, die_with_parent=die_with_parent),
        *("--ro-bind", str(home), "/gerbang"),
    ]
    for name in WRITABLE:
        argv += ["--bind", str(home / name), f"/gerbang/{name}"]
    argv += ["--ro-bind", str(sounds), "/gerbang-sounds", "--remount-ro", "/"]
    if user:
        argv += [
            *("/usr/bin/setpriv", f"--reuid={user.uid}", f"--regid={user.gid}"),
            *("--clear-groups", "--bounding-set=-all", "--inh-caps=-all"),
        ]
    return [*argv, "/usr/sbin/asterisk", "-fn", "-C", "/gerbang/current/asterisk.conf"]


def _isolation(root: Root, user: User | None, *, die_with_parent: bool) -> list[str]:
    base = root.base
    argv = [
        *("bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        # RTP and TLS look the host name up at start and log errors if it is unknown.
        *("--hostname", "localhost", "--new-session", "--cap-drop", "ALL"),
    ]
    if die_with_parent:
        argv.append("--die-with-parent")
    if user:  # setpriv needs these to become the user, and gives them up in doing so
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            argv += ["--cap-add", capability]
    argv += ["--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin"]
    argv += ["--setenv", "LANG", "C.UTF-8", "--tmpfs", "/"]
    argv += ["--ro-bind", str(base / "usr"), "/usr"]
    for name in ("bin", "lib", "lib64", "sbin"):
        argv += ["--symlink", f"usr/{name}", f"/{name}"]
    for name in _ETC:
        argv += ["--ro-bind-try", str(base / "etc" / name), f"/etc/{name}"]
    for name in _MACHINES_ETC:
        source = (Path("/etc") / name).resolve()
        argv += ["--ro-bind-try", str(source), f"/etc/{name}"]
    return [
        *argv,
        *("--ro-bind-try", str(base / "var/lib/asterisk"), "/var/lib/asterisk"),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--tmpfs", "/tmp", "--tmpfs", "/var/tmp"),  # noqa: S108 - the root's own
        *("--chdir", "/"),
    ]


def _open_files() -> int:
    """As many as we want, or as many as we may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard in (resource.RLIM_INFINITY, OPEN_FILES) or hard > OPEN_FILES:
        return OPEN_FILES
    status = Path("/proc/self/status").read_text()
    capabilities = int(status.split("CapEff:")[1].split()[0], 16)
    return OPEN_FILES if capabilities >> _CAP_SYS_RESOURCE & 1 else hard


def _connect(home: Path) -> socket.socket:
    """Asterisk's console socket. Raises OSError while nobody listens.

    Through a descriptor of its directory, because a socket's path may have at most 107
    characters and a home may lie deep.
    """
    directory = os.open(home / "run", os.O_PATH | os.O_DIRECTORY)
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
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
    except OSError:
        return None
    return int.from_bytes(raw[:4], "little") or None


async def console(home: Path, line: str, *, deadline_seconds: float = 10.0) -> str:
    """Say one line on Asterisk's console and return what it answers.

    Raises AsteriskFailed if nobody answers within the deadline. The protocol is that of
    `asterisk -rx` (main/asterisk.c, netconsole).
    """
    try:
        async with asyncio.timeout(deadline_seconds):
            return await _console(home, line)
    except (OSError, TimeoutError) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else error
        raise AsteriskFailed(f"console of {home}: {line!r}: {reason}") from error


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
    with suppress(AsteriskFailed):
        await console(home, "core stop now", deadline_seconds=patience)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if await _gone(pid, patience):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    if not await _gone(pid, patience):
        raise AsteriskFailed(
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
        """Start it; returns at once. Raises AsteriskFailed if one runs here already."""
        if (pid := running_pid(self.home)) is not None:
            raise AsteriskFailed(
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
        """Return when every module is up. Raises AsteriskFailed with its last words."""
        clock = asyncio.get_running_loop().time
        end = clock() + deadline_seconds
        while clock() < end:
            if self.returncode is not None:
                break
            with suppress(AsteriskFailed):
                await console(
                    self.home,
                    "core waitfullybooted",
                    deadline_seconds=max(end - clock(), 0.01),
                )
                return
            await asyncio.sleep(0.05)
        said = "\n  ".join(self.last_lines) or "(it said nothing)"
        what = "did not boot in time" if self.returncode is None else "ended at start"
        raise AsteriskFailed(f"Asterisk on {self.home} {what}; it said:\n  {said}")

    @property
    def returncode(self) -> int | None:
        """What it ended with; None while it runs or before it is started."""
        return self._process.returncode if self._process else None

    async def wait(self) -> int:
        """Wait for its end; returns its exit status."""
        if self._process is None:
            raise AsteriskFailed(f"Asterisk on {self.home} was never started")
        code = await self._process.wait()
        if self._listening:
            await self._listening
        return code

    async def stop(self, *, deadline_seconds: float = 10.0) -> None:
        """End it and everything in its namespace; returns when nothing is left."""
        if self._process is None:
            return
        await stop(self.home, deadline_seconds=deadline_seconds)
        if self._process.returncode is None:
            await self._end_starter(deadline_seconds)
        await self.wait()

    async def _end_starter(self, deadline_seconds: float) -> None:
        """Bubblewrap is left: it is just ending, or Asterisk never came to listen."""
        assert self._process
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._process.wait()), 1.0)
            return
        for pid in _descendants(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.wait_for(self._process.wait(), deadline_seconds)


def _descendants(pid: int) -> list[int]:
    """A process and all below it, the youngest first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [p for child in children for p in _descendants(int(child))] + [pid]
