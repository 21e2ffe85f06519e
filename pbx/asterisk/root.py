"""Which Asterisk we run: a private Debian root, or the machine's own.

Debian 12 and 13 carry no Asterisk, so `gerbang install` builds a small Debian root that
does (`pbx.asterisk.install`) and keeps it in the cache under a hash of its recipe.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from pbx.settings import Settings

MINIMUM = (22, 9)
"""Below 22.9 Asterisk writes no JSON journal; below 22.4 no keys over AudioSocket."""

OVERRIDE = "GERBANG_ASTERISK_ROOT"
"""Environment: another root to use; `/` means the machine's own Asterisk."""


class NotInstalled(Exception):  # noqa: N818 - reads as what it says
    """Something `gerbang install` provides is missing; the text names the cure."""


@dataclass(frozen=True, slots=True)
class Root:
    """A file system that holds Asterisk; `path` None is the machine's own."""

    path: Path | None
    version: str

    @property
    def base(self) -> Path:
        """Where the root's `usr` lies."""
        return self.path or Path("/")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a private root is made of; another recipe is another root."""

    suite: str = "forky"
    variant: str = "minbase"
    packages: tuple[str, ...] = (
        "asterisk",
        "asterisk-modules",
        "asterisk-core-sounds-en",
        "asterisk-core-sounds-en-wav",
    )
    without: tuple[str, ...] = (
        "/usr/share/man/*",
        "/usr/share/doc/*",
        "/usr/share/locale/*",
    )
    edition: int = 1
    """Raise it to have every machine build anew, for instance for a security update."""

    @property
    def key(self) -> str:
        """A short name that changes with the recipe and the processor."""
        text = json.dumps([asdict(self), platform.machine()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


RECIPE = Recipe()


def private_root(settings: Settings) -> Path:
    """Where the private root of today's recipe lies, or will lie."""
    return settings.cache / f"asterisk-{RECIPE.key}"


def find_root(settings: Settings) -> Root:
    """The Asterisk to run. Raises NotInstalled, with the cure, if there is none."""
    chosen = os.environ.get(OVERRIDE)
    if chosen and Path(chosen) == Path("/"):
        return _machines_own()
    path = Path(chosen).absolute() if chosen else private_root(settings)
    version = version_in(path)
    if version is None:
        where = f"{OVERRIDE}={chosen} holds none" if chosen else f"none in {path}"
        raise NotInstalled(f"there is no Asterisk ({where}); run `gerbang install`")
    return Root(path, _new_enough(version, str(path)))


def version_in(path: Path) -> str | None:
    """The Asterisk version a Debian root holds, as dpkg has it; None without one."""
    if not (path / "usr/sbin/asterisk").exists():
        return None
    try:
        status = (path / "var/lib/dpkg/status").read_text(errors="replace")
    except OSError:
        return None
    for paragraph in status.split("\n\n"):
        if paragraph.startswith("Package: asterisk\n"):
            found = re.search(r"^Version: (?:\d+:)?(\d[\d.]*\d)", paragraph, re.M)
            return found.group(1) if found else None
    return None


def _machines_own() -> Root:
    program = shutil.which("asterisk", path="/usr/sbin:/usr/bin")
    if program is None:
        raise NotInstalled(
            f"{OVERRIDE}=/ asks for the machine's own Asterisk, but there is none; "
            f"unset it and run `gerbang install`, which builds a private one"
        )
    said = subprocess.run(
        [program, "-V"], capture_output=True, text=True, timeout=10, check=False
    ).stdout
    found = re.search(r"Asterisk (?:certified/)?(\d[\d.]*\d)", said)
    version = found.group(1) if found else "0"
    return Root(None, _new_enough(version, program))


def _new_enough(version: str, where: str) -> str:
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise NotInstalled(
            f"Asterisk {version} in {where} is too old, {needed} is needed; "
            f"unset {OVERRIDE} and run `gerbang install`, which builds a private one"
        )
    return version
