"""What the machine itself must offer: Debian packages and Asterisk's own user."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pbx.asterisk.sandbox import USER

Tell = Callable[[str, float], None]
"""Hears what is being done, and how much of it is done (0…1)."""

APT_SECONDS = 900.0
"""Beyond this a download has stalled."""

POSTGRES_CONFIG = Path("/etc/postgresql-common/createcluster.d")


class InstallError(Exception):
    """The installation cannot go on; the text says why and the cure."""


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package, and the program it must bring (a glob if it names a folder)."""

    name: str
    program: str
    purpose: str
    tests_only: bool = False

    @property
    def is_here(self) -> bool:
        """Whether its program can be found."""
        if "/" in self.program:
            return any(Path("/").glob(self.program.lstrip("/")))
        return shutil.which(self.program) is not None


PACKAGES = (
    Package("bubblewrap", "bwrap", "the walls around Asterisk"),
    Package("mmdebstrap", "mmdebstrap", "builds the private Asterisk"),
    Package("espeak-ng", "espeak-ng", "speaks prompts nobody has recorded yet"),
    Package("util-linux", "prlimit", "limits of the Asterisk process"),
    Package("baresip-core", "baresip", "operators' phones in tests", tests_only=True),
    Package("linphone-cli", "linphonecsh", "a second softphone", tests_only=True),
    Package("sip-tester", "sipp", "races and malformed SIP", tests_only=True),
    Package(
        "libopencore-amrnb0",
        "/usr/lib/*/libopencore-amrnb.so.0",
        "mobile phones' codec, for clips to train and test with",
        tests_only=True,
    ),
    Package(
        "libgsm1",
        "/usr/lib/*/libgsm.so.1",
        "the older mobile phones' codec",
        tests_only=True,
    ),
    Package(
        "postgresql",
        "/usr/lib/postgresql/*/bin/postgres",
        "the production record store, a private instance per test",
        tests_only=True,
    ),
)


def missing(*, tests: bool) -> list[Package]:
    """The packages this machine still needs; `tests` includes those of the tests."""
    return [p for p in PACKAGES if (tests or not p.tests_only) and not p.is_here]


def user_exists() -> bool:
    """Whether Asterisk's user is there; needed only where we are root."""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def ensure_user() -> None:
    """Make Asterisk's user, who owns nothing and cannot log in. Needs root."""
    if user_exists():
        return
    made = subprocess.run(
        [
            *("useradd", "--system", "--user-group", "--no-create-home"),
            *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", USER),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise InstallError(
            f"the system user {USER!r} cannot be made: {made.stderr.strip()}; "
            f"make it with `useradd --system {USER}`"
        )


def install_packages(packages: Sequence[Package], tell: Tell) -> None:
    """Install what is missing with apt. Raises InstallError with the cure.

    Nothing else on the machine changes: no recommended packages, and PostgreSQL brings
    its programs but no running cluster.
    """
    if not packages:
        return
    names = [package.name for package in packages]
    if os.geteuid() != 0:
        raise InstallError(
            f"these Debian packages are missing: {', '.join(names)}; as root, run "
            f"`apt-get install --no-install-recommends {' '.join(names)}`"
        )
    _apt(["update"], "asking the Debian mirror what it has", tell)
    with _no_postgres_cluster():
        _apt(
            ["install", "--yes", "--no-install-recommends", *names],
            f"installing {', '.join(names)}",
            tell,
        )


@contextlib.contextmanager
def _no_postgres_cluster() -> Iterator[None]:
    """For this one installation: the package's own cluster and port are not wanted."""
    if POSTGRES_CONFIG.parent.exists():  # somebody uses PostgreSQL here: leave it be
        yield
        return
    wish = POSTGRES_CONFIG / "gerbang112.conf"
    POSTGRES_CONFIG.mkdir(parents=True)
    wish.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        wish.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            POSTGRES_CONFIG.rmdir()
            POSTGRES_CONFIG.parent.rmdir()


def _apt(arguments: list[str], doing: str, tell: Tell) -> None:
    tell(doing, 0.0)
    argv = [
        *("apt-get", "-q", "-o", "Acquire::Retries=3", "-o", "APT::Status-Fd=1"),
        *("-o", "DPkg::Lock::Timeout=120", *arguments),
    ]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    said: deque[str] = deque(maxlen=30)
    try:
        apt = subprocess.Popen(
            ["timeout", "--foreground", str(APT_SECONDS), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
        )
    except FileNotFoundError as error:
        raise InstallError(f"{error.filename} is missing; is this Debian?") from error
    with apt:
        assert apt.stdout  # noqa: S101 - PIPE was asked for
        for line in apt.stdout:
            said.append(line.rstrip())
            if (percent := _percent(line)) is not None:
                tell(doing, percent / 100)
    if apt.returncode != 0:
        raise InstallError(_apt_fault(list(said), arguments))


def _percent(line: str) -> float | None:
    """The figure of an APT::Status-Fd line: `dlstatus:1:23.5:…`, `pmstatus:p:50:…`."""
    kind, *rest = line.split(":", 3)
    if kind not in ("dlstatus", "pmstatus") or len(rest) < 2:
        return None
    try:
        return float(rest[1])
    except ValueError:
        return None


def _apt_fault(said: list[str], arguments: list[str]) -> str:
    errors = [line for line in said if line.startswith(("E:", "W:", "Err:"))] or said
    last = errors[-1] if errors else "it said nothing"
    text = "\n".join(said)
    if "lock" in last:
        cure = "another apt is at work; try again when it has finished"
    elif any(sign in text for sign in ("Could not resolve", "Failed to fetch", "Err:")):
        cure = "the Debian mirror does not answer; check the network and apt's sources"
    elif "No space left" in text or "enough free space" in text:
        cure = "the disk is full; free some space"
    else:
        cure = f"run `apt-get {' '.join(arguments)}` yourself to see more"
    return f"apt-get {arguments[0]} failed: {last}; {cure}"
