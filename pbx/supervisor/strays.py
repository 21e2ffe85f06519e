"""One supervisor a state directory, and what a killed one left behind.

A pid alone proves nothing, it may be another program's by now: a process is known by
its pid, the clock tick it started at, and the machine's boot.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


class AlreadyRunning(Exception):  # noqa: N818 - reads as what it says
    """Another supervisor serves this state directory; the text names its pid."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process beyond doubt."""

    pid: int
    started_ticks: int
    """Field 22 of /proc/<pid>/stat, clock ticks since the boot."""
    boot: str

    def as_json(self) -> dict[str, Any]:
        """For the status file; `strays_in` reads it back."""
        return asdict(self)

    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return identify(self.pid) == self


def identify(pid: int) -> Identity | None:
    """Who runs under this pid now, or None."""
    try:
        # The name, field 2, may hold spaces and brackets: count from its end.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] in "ZX" else Identity(pid, int(fields[19]), boot)


@contextmanager
def only_supervisor(run: Path) -> Iterator[None]:
    """Hold the lock of this state directory. Raises AlreadyRunning.

    The kernel drops the lock with its holder, however it dies.
    """
    run.mkdir(parents=True, exist_ok=True)
    path = run / "supervisor.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunning(
                f"`gerbang run` (pid {pid}) serves {run.parent} already; end it with "
                f"Ctrl-C there or `kill {pid}`, or set GERBANG_STATE to another "
                "directory"
            ) from None
        with suppress(OSError):  # a full disk costs the pid in a message, not 112
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def strays_in(status_file: Path) -> dict[str, Identity]:
    """Processes a former supervisor wrote down that still run, by name."""
    try:
        processes = json.loads(status_file.read_text())["figures"]["processes"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    found: dict[str, Identity] = {}
    for name, told in processes.items():
        with suppress(KeyError, TypeError, ValueError):
            known = told["identity"]
            identity = Identity(
                int(known["pid"]), int(known["started_ticks"]), str(known["boot"])
            )
            if identity.is_alive():
                found[name] = identity
    return found


async def end(strays: dict[str, Identity], deadline_seconds: float) -> list[str]:
    """SIGTERM them all, SIGKILL at the deadline; returns the names of the killed."""
    for identity in strays.values():
        _signal(identity, signal.SIGTERM)
    limit = time.monotonic() + deadline_seconds
    while time.monotonic() < limit:
        if not any(identity.is_alive() for identity in strays.values()):
            return []
        await asyncio.sleep(0.05)  # not our children: there is nothing to wait on
    killed = [name for name, identity in strays.items() if identity.is_alive()]
    for name in killed:
        _signal(strays[name], signal.SIGKILL)
    return killed


def _signal(identity: Identity, number: signal.Signals) -> None:
    if identity.is_alive():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(identity.pid, number)
