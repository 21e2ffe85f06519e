"""Puts a rendered city in force: secrets, certificate, release, switch, reload."""

from __future__ import annotations

import fcntl
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pbx.asterisk.releases import Release, ReleaseError, Releases, changes
from pbx.asterisk.render import render_city
from pbx.asterisk.run import User, console, hand_over, prepare_home
from pbx.asterisk.secrets import Secrets, keep_secrets
from pbx.asterisk.tls import ensure_certificate
from pbx.model.city import City

_READ_AT_START = frozenset(
    {"asterisk.conf", "modules.conf", "pjproject.conf", "stasis.conf", "udptl.conf"}
)
_READ_BY_OTHERS = (
    (
        "SIP addresses and ports",
        "pjsip.conf",
        re.compile(r"^\[(?:transport-\w+|system)\]\n(?:(?!\[).*\n)*", re.MULTILINE),
    ),
    ("the intake's port", "extensions.conf", re.compile(r"agi://[^/]+")),
    ("the manager's port", "manager.conf", re.compile(r"^port = .*", re.MULTILINE)),
)
"""What else nobody reads again: in words, file, and the part of it that matters."""

_RELOAD_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Activated:
    """What came of putting a city in force."""

    release: Release
    changes: list[str]
    """One line a file; empty if everything was as declared already."""
    restart: list[str]
    """What a reload does not bring, for people; empty if nothing."""


def activate(
    home: Path,
    city: City,
    user: User | None,
    *,
    secrets: Secrets | None = None,
    declared: str = "",
) -> Activated:
    """Write this city as a release and make it current; nothing is half done.

    `home` is Asterisk's home, `user` whom it runs as, `secrets` those to use instead of
    the home's own, `declared` the city file's text: it is kept with what was rendered
    from it, and is what our processes go by (`pbx.settings.active_city_file`). Raises
    SecretsError, ReleaseError. Does not reload: see `reload`.
    """
    prepare_home(home, user)
    with _alone(home):
        return _activate(home, city, user, secrets, declared)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One at a time: two that made passwords at once would put one's in force and
    keep the other's."""
    with (home / "activate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _activate(
    home: Path, city: City, user: User | None, secrets: Secrets | None, declared: str
) -> Activated:
    files = render_city(city, secrets or keep_secrets(home / "secrets.json", city))
    if declared:
        files["city.toml"] = declared
    # A phone that checks the certificate needs the address it was told to use in it.
    made = ensure_certificate(home / "tls", [city.network.sip_address])
    hand_over(home / "tls", user)
    releases = Releases(home)
    before = releases.current()
    old = before.files() if before else {}
    release = releases.add(files)
    hand_over(release.path, user)
    releases.use(release)
    restart = needs_restart(old, files) if old else []
    if made and old:
        restart.append("a new TLS certificate")
    told = changes(old, files) if old else [f"{len(files)} files, the first ones"]
    return Activated(release, told, restart)


def go_back(home: Path) -> Activated:
    """Make the previous release current again. Raises ReleaseError."""
    if not home.is_dir():
        return _go_back(home)  # which says that there is none
    with _alone(home):
        return _go_back(home)


def _go_back(home: Path) -> Activated:
    releases = Releases(home)
    before = releases.current()
    old = before.files() if before else {}
    release = releases.back()
    new = release.files()
    return Activated(release, changes(old, new), needs_restart(old, new))


def needs_restart(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What Asterisk reads only when it starts and has changed."""
    told = [name for name in sorted(_READ_AT_START) if old.get(name) != new.get(name)]
    for what, name, pattern in _READ_BY_OTHERS:
        before, after = (pattern.findall(files.get(name, "")) for files in (old, new))
        if before != after:
            told.append(what)
    return told


_FILTERED = r"^[^!]+!((?:filter|degraded|release)-[^!]+)!"
"""A channel in the filter, as `core show channels concise` tells it."""


def lost_callers(queue_show: str, channels: str, plan: str) -> list[str]:
    """Where callers are and `plan` (an extensions.conf) has no place for them.

    `queue_show` and `channels` are what the console answers to `queue show` and to
    `core show channels concise`. To switch now would take the ground from under these
    callers: Asterisk hangs up a channel whose context is gone.
    """
    contexts = set(re.findall(r"^\[([^]]+)\]", plan, re.MULTILINE))
    waiting = re.findall(r"^(\S+) has ([1-9]\d*) calls", queue_show, re.MULTILINE)
    filtered = Counter(re.findall(_FILTERED, channels, re.MULTILINE))
    return [
        f"{count} in queue {name}"
        for name, count in waiting
        if f"queue-{name.removesuffix('-patient')}" not in contexts
    ] + [f"{n} in {name}" for name, n in filtered.items() if name not in contexts]


async def reload(home: Path) -> None:
    """Have the running Asterisk read its files again; calls go on.

    Raises AsteriskError if it does not answer.
    """
    await console(home, "core reload", deadline_seconds=_RELOAD_SECONDS)


__all__ = [
    "Activated",
    "ReleaseError",
    "activate",
    "go_back",
    "lost_callers",
    "needs_restart",
    "reload",
]
