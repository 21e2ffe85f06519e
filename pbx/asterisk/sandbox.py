"""The walls around an Asterisk: what it sees, what it may write, whom it runs as.

Inside, its home is `/gerbang` and the prompts are `/gerbang-sounds`; only log, spool,
run and db can be written. The network is the machine's. bubblewrap binds everything
before privileges are dropped, so a checkout below /root (mode 0700) serves as well as
any other place.
"""

from __future__ import annotations

import os
import pwd
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pbx.asterisk.root import NotInstalled, Root

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
    line and says so only in an ERROR. `spool/monitor` should: MixMonitor() makes it in
    the caller's own thread, and where it is there already, that writes nothing.
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
    recordings = home / "spool" / "monitor"
    with suppress(OSError):  # there; or a link to a disk that is not: start without
        recordings.mkdir(mode=0o750)
        if user:
            os.chown(recordings, user.uid, user.gid)


def hand_over(path: Path, user: User | None) -> None:
    """Give a file or a whole tree to Asterisk's user; modes stay.

    Call it on every release: its files carry secrets (0600) and Asterisk must read
    them. It still cannot change them, they are bound read-only. Links are not followed.
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
        *("prlimit", f"--nofile={open_files()}", "--core=0"),
        *isolation(root, user, die_with_parent=die_with_parent),
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


def isolation(
    root: Root, user: User | None = None, *, die_with_parent: bool = False
) -> list[str]:
    """Bubblewrap's part of the argv: the root read-only, nothing of the machine's."""
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


def open_files() -> int:
    """As many as we want, or as many as we may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard in (resource.RLIM_INFINITY, OPEN_FILES) or hard > OPEN_FILES:
        return OPEN_FILES
    status = Path("/proc/self/status").read_text()
    capabilities = int(status.split("CapEff:")[1].split()[0], 16)
    return OPEN_FILES if capabilities >> _CAP_SYS_RESOURCE & 1 else hard
