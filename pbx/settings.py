"""Where things are on this machine. What the service *does* is in the city file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout: city, templates and sounds are read from here by default."""


def _from_environment(name: str, default: Path) -> Path:
    value = os.environ.get(name)
    return Path(value).expanduser().absolute() if value else default


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gerbang112"


@dataclass(frozen=True, slots=True)
class Settings:
    """Paths and the database address; read once, at the door of each process.

    `GERBANG_STATE` (default `var/` in the checkout) holds all that changes,
    `GERBANG_CITY` names the city file, `GERBANG_CACHE` what may be rebuilt at any time,
    `GERBANG_DATABASE_URL` the record store (default: SQLite in the state directory).
    """

    state: Path = field(
        default_factory=lambda: _from_environment("GERBANG_STATE", PROJECT / "var")
    )
    city_file: Path = field(
        default_factory=lambda: _from_environment(
            "GERBANG_CITY", PROJECT / "asterisk-config" / "city.toml"
        )
    )
    cache: Path = field(
        default_factory=lambda: _from_environment("GERBANG_CACHE", _cache())
    )

    @property
    def asterisk_home(self) -> Path:
        """Asterisk's world: current/, releases/, log/, spool/, run/, db/, tls/."""
        return self.state / "asterisk"

    @property
    def journal(self) -> Path:
        """The file Asterisk appends one JSON line per event to (cel_custom)."""
        return self.asterisk_home / "log" / "cel-custom" / "journal.jsonl"

    @property
    def notes(self) -> Path:
        """Our own processes' journal: what Asterisk cannot know of a call."""
        return self.state / "notes" / "notes.jsonl"

    @property
    def recordings(self) -> Path:
        """Conversations as sound, one WAV file a call (MixMonitor)."""
        return self.asterisk_home / "spool" / "monitor"

    @property
    def secrets_file(self) -> Path:
        """Generated passwords, mode 0600; survive every render."""
        return self.asterisk_home / "secrets.json"

    @property
    def secrets(self) -> Path:
        """Keys of our own programs, mode 0700: the audit's key and its anchors."""
        return self.state / "secrets"

    @property
    def sounds(self) -> Path:
        """Prompts ready for the telephone: <language>/<name>.wav, 8 kHz mono."""
        return self.state / "sounds"

    @property
    def kept(self) -> Path:
        """Callers' audio kept for review, a folder a day, mode 0700."""
        return self.state / "kept"

    @property
    def run(self) -> Path:
        """Pid files, the notify socket, one status file a process."""
        return self.state / "run"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the record store, with an asynchronous driver."""
        url = os.environ.get("GERBANG_DATABASE_URL")
        if not url:
            return f"sqlite+aiosqlite:///{self.state / 'records.sqlite3'}"
        return asynchronous(url)


def asynchronous(url: str) -> str:
    """The database address as people write it, with our asynchronous driver."""
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return "postgresql+asyncpg://" + url.removeprefix(plain)
    if url.startswith("sqlite://"):
        return "sqlite+aiosqlite://" + url.removeprefix("sqlite://")
    return url


def switch_files(asterisk_home: Path) -> dict[str, Path]:
    """The kill switch: a file each for `off` and `shadow`, that is there or not.

    Files, because they need nothing that runs, outlive any restart, and Asterisk sees
    them by itself. What the city declares and what lies there: the more careful counts.
    """
    return {mode: asterisk_home / f"filter-{mode}" for mode in ("off", "shadow")}


def active_city_file(settings: Settings) -> Path:
    """The city in force: the copy kept with the rendered configuration.

    An edited city file does not go live before `gerbang render`; without any rendered
    configuration it is the city file itself.
    """
    rendered = settings.asterisk_home / "current" / "city.toml"
    return rendered if rendered.is_file() else settings.city_file


def zone_of(settings: Settings) -> Callable[[], ZoneInfo]:
    """The city's timezone, asked anew each time: the city file may change. UTC where
    none can be read, for nothing that asks may fail over it."""

    def zone() -> ZoneInfo:
        for path in (active_city_file(settings), settings.city_file):
            try:
                return ZoneInfo(tomllib.loads(path.read_text())["city"]["timezone"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return ZoneInfo("UTC")

    return zone
