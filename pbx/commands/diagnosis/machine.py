"""The machine: Python, packages, kernel, disk, clock, name."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil

from pbx.asterisk import host
from pbx.asterisk.root import OVERRIDE, NotInstalled, find_root
from pbx.asterisk.sandbox import OPEN_FILES, USER, isolation, open_files
from pbx.commands.diagnosis import Finding, fault, ok, warning
from pbx.settings import PROJECT, Settings

LOCK = PROJECT / "requirements.lock"
FULL_BYTES = 500_000_000
SCARCE_BYTES = 5_000_000_000
"""A day of journal and records is some 20 MB; recordings take far more."""
SCARCE_FILES = 10_000
SCARCE_MEMORY_BYTES = 300_000_000
FILES_OF_A_CALL = 10
_CLOCK_ADRIFT = 5
"""adjtimex(2): TIME_ERROR, the clock is not synchronised."""


def python(_: Settings) -> Iterator[Finding]:
    """The interpreter, and the packages beside it."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        yield fault("Python", f"this is {version}; 3.11 or 3.12 is needed", "make run")
    else:
        yield ok("Python", version)
    try:
        lock = LOCK.read_text()
    except OSError as error:
        yield fault("packages", f"{LOCK}: {error.strerror}", "restore the checkout")
        return
    wrong = list(_unlike(lock))
    if wrong:
        yield fault(
            "packages",
            f"not as requirements.lock says: {', '.join(wrong)}; nobody has tested "
            "this mixture",
            "rm .venv/.ready && make install",
        )
    else:
        yield ok("packages", "as requirements.lock says")


def _unlike(lock: str) -> Iterator[str]:
    """What is missing or another version. A package that is only needed sometimes may
    be there in several lines, one a Python version."""
    locked = re.findall(r"^([\w.-]+)==([^\s;\\]+)( *;)?", lock, re.MULTILINE)
    wanted: dict[str, list[str]] = {}
    for name, version, _ in locked:
        wanted.setdefault(name, []).append(version)
    sometimes = {name for name, _, only_sometimes in locked if only_sometimes}
    for name, versions in wanted.items():
        try:
            have = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name not in sometimes:
                yield f"{name} is missing"
            continue
        if have not in versions:
            yield f"{name} is {have}, not {' or '.join(versions)}"


def programs(_: Settings) -> Iterator[Finding]:
    """What Debian must provide, and Asterisk's user."""
    lacking = host.missing(tests=False)
    for package in lacking:
        yield fault(
            "programs",
            f"{package.program} is missing: {package.purpose}",
            "gerbang install",
        )
    if not lacking:
        yield ok("programs", "bubblewrap, mmdebstrap, espeak-ng")
    if os.geteuid() == 0 and not host.user_exists():
        yield fault("user", f"the system user {USER} does not exist", "gerbang install")


def asterisk(settings: Settings) -> Iterator[Finding]:
    """The Asterisk to run, and whether this kernel lets it run behind its walls."""
    try:
        root = find_root(settings)
    except NotInstalled as error:
        yield fault("Asterisk", str(error), "gerbang install")
        return
    own = f" ({OVERRIDE})" if os.environ.get(OVERRIDE) else ""
    yield ok("Asterisk", f"{root.version} in {root.base}{own}")
    if shutil.which("bwrap") is None:
        return  # `programs` has said so
    ran = subprocess.run(
        [*isolation(root), "/usr/sbin/asterisk", "-V"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if ran.returncode == 0:
        yield ok("isolation", "this kernel lets Asterisk run behind its walls")
        return
    said = ran.stderr.strip() or f"status {ran.returncode}"
    yield fault(
        "isolation",
        f"Asterisk cannot be isolated here: {said}",
        "run as root on the machine itself or in a privileged container; for an "
        "ordinary user: sysctl kernel.unprivileged_userns_clone=1",
    )


def room(settings: Settings) -> Iterator[Finding]:
    """Disk, memory, open files."""
    for about, place in (
        ("disk (state)", settings.state),
        ("disk (cache)", settings.cache),
    ):
        there = next(p for p in (place, *place.parents) if p.exists())
        free = shutil.disk_usage(there).free
        files = os.statvfs(there)
        text = f"{free / 1e9:.1f} GB left for {place}"
        cure = "free some space, or move it to a larger disk"
        if files.f_files and files.f_favail < SCARCE_FILES:
            yield fault(about, f"only {files.f_favail} more files fit on {place}", cure)
        elif free < FULL_BYTES:
            yield fault(about, f"{text}: journal and records will soon be lost", cure)
        elif free < SCARCE_BYTES and place == settings.state:
            yield warning(about, text, cure)
        else:
            yield ok(about, text)
    available = psutil.virtual_memory().available
    text = f"{available / 1e9:.1f} GB of memory available"
    if available < SCARCE_MEMORY_BYTES:
        yield warning("memory", text, "end what does not belong on a 112 machine")
    else:
        yield ok("memory", text)
    allowed = open_files()
    text = f"Asterisk may open {allowed} files, some {allowed // FILES_OF_A_CALL} calls"
    if allowed < OPEN_FILES // 16:
        yield warning("open files", text, "raise `ulimit -Hn`, or run as root")
    else:
        yield ok("open files", text)


def clock_and_name(_: Settings) -> Iterator[Finding]:
    """Times in records must be true; some libraries look the machine's name up."""
    if _is_clock_adrift():
        yield warning(
            "clock",
            "nothing keeps it in time: records of calls will carry wrong times",
            "apt-get install systemd-timesyncd (or chrony)",
        )
    else:
        yield ok("clock", "kept in time")
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        yield warning(
            "host name",
            f"{name!r} does not resolve; Asterisk has its own name inside, other "
            "programs may wait for the lookup",
            f"echo '127.0.1.1 {name}' >> /etc/hosts",
        )
    else:
        yield ok("host name", f"{name} resolves")


def _is_clock_adrift() -> bool:
    """What the kernel says of its clock; where it says nothing, no complaint."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = ctypes.create_string_buffer(512)  # struct timex has 208 bytes; only asked
    return bool(libc.adjtimex(timex) == _CLOCK_ADRIFT)


def checkout(_: Settings) -> Iterator[Finding]:
    """`gerbang` runs from its checkout: is it whole?"""
    needed = ("asterisk-config/templates", "sounds", "requirements.lock")
    gone = [name for name in needed if not (Path(PROJECT) / name).exists()]
    if gone:
        yield fault("checkout", f"{', '.join(gone)} missing in {PROJECT}", "git status")


CHECKS = (python, checkout, programs, asterisk, room, clock_and_name)
