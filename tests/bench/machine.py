"""On what the figures were taken: the machine, its versions, and how busy it was."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil

from pbx.asterisk.root import NotInstalled, find_root
from pbx.settings import PROJECT, Settings

_PACKAGES = ("panoramisk", "uvloop", "webrtcvad-wheels", "sqlalchemy")


def description() -> dict[str, str]:
    """Machine and versions, one fact a line, for the head of the report."""
    facts = {
        "machine": f"{os.cpu_count()} cores ({_processor()}), "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        "load at start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "asterisk": _asterisk(),
        "sipp": _sipp(),
        "commit": _commit(),
    }
    return facts | {name: version(name) for name in _PACKAGES}


@dataclass(slots=True)
class CpuMeter:
    """CPU seconds of some processes, and of the whole machine, from now on.

    User and system time as the kernel books it. On loopback, delivering a packet is
    booked on whoever sends it.
    """

    processes: dict[str, list[int]]
    """Name → pids; their children are not counted."""
    _begin: dict[str, float] = field(init=False)
    _idle: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._begin = {n: _cpu_seconds(pids) for n, pids in self.processes.items()}
        self._idle, self._at = _idle_seconds(), time.monotonic()

    def seconds(self) -> dict[str, float]:
        """CPU seconds used since the meter was made, by name."""
        return {
            name: _cpu_seconds(pids) - self._begin[name]
            for name, pids in self.processes.items()
        }

    def busy_share(self) -> float:
        """How busy all cores were since then, 0…1, whoever used them."""
        elapsed = (time.monotonic() - self._at) * (os.cpu_count() or 1)
        return 1 - (_idle_seconds() - self._idle) / max(elapsed, 1e-9)


def _cpu_seconds(pids: list[int]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(t.user + t.system for t in times))


def _idle_seconds() -> float:
    """Of all cores. The kernel measures idle time; the other kinds it samples."""
    times = psutil.cpu_times()
    return float(times.idle + times.iowait)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _asterisk() -> str:
    try:
        return find_root(Settings()).version
    except NotInstalled:
        return "none"


def _sipp() -> str:
    found = re.search(r"SIPp (v[\d.]+\d)", _output("sipp", "-v"))
    return found.group(1) if found else "none"


def _commit() -> str:
    commit = _output("git", "-C", str(PROJECT), "rev-parse", "--short", "HEAD").strip()
    changed = _output("git", "-C", str(PROJECT), "status", "--short").strip()
    return (commit or "unknown") + (" with changes not committed" if changed else "")


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
