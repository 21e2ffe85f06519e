"""This 112: its state directory, its city, its prompts, its records."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from pbx.asterisk.releases import Releases
from pbx.asterisk.render import render_city
from pbx.asterisk.root import NotInstalled
from pbx.asterisk.sandbox import service_user
from pbx.asterisk.secrets import Secrets, SecretsError, read_secrets
from pbx.asterisk.tls import CERTIFICATE
from pbx.commands.diagnosis import Finding, fault, ok, warning
from pbx.model.city import City, CityError, read_city
from pbx.settings import Settings

DATABASE_SECONDS = 5.0
CERTIFICATE_WARNING = timedelta(days=21)
"""Our own is renewed 30 days before its end, at each render."""


def state(settings: Settings) -> Iterator[Finding]:
    """The directory that holds all that changes."""
    place = settings.state
    if not place.exists():
        yield ok("state", f"{place} is not there yet; the first run makes it")
        return
    owner = place.stat().st_uid
    if owner != os.geteuid():
        yield fault(
            "state",
            f"{place} belongs to user {owner}, we are {os.geteuid()}: two users cannot "
            "share it",
            f"run as that user, or chown -R {os.geteuid()} {place}",
        )
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x" * 65536)
            file.flush()
    except OSError as error:
        yield fault(
            "state",
            f"{place} cannot be written: {error.strerror}",
            "free some space, or check the mount and the owner",
        )
    else:
        yield ok("state", f"{place} can be written")


def journal(settings: Settings) -> Iterator[Finding]:
    """Without its directory Asterisk loses every event, with only an ERROR line."""
    directory = settings.journal.parent
    if not settings.asterisk_home.exists():
        yield ok("journal", "not there yet; the first run makes it")
        return
    if not directory.is_dir():
        yield fault(
            "journal",
            f"{directory} is missing: Asterisk loses every event of every call",
            f"mkdir -p {directory} && chown {_owner()} {directory}",
        )
        return
    if not _writes(directory) or (
        settings.journal.exists() and not _writes(settings.journal)
    ):
        yield fault(
            "journal",
            f"Asterisk's user cannot write {settings.journal}",
            f"chown -R {_owner()} {directory}",
        )
        return
    yield ok("journal", f"{directory} is there and Asterisk's")


def _owner() -> str:
    user = service_user()
    return f"{user.uid}:{user.gid}" if user else str(os.geteuid())


def _writes(path: Path) -> bool:
    try:
        user = service_user()
    except NotInstalled:
        return False
    uid = user.uid if user else os.geteuid()
    found = path.stat()
    return found.st_uid == uid and bool(found.st_mode & stat.S_IWUSR)


def city(settings: Settings) -> Iterator[Finding]:
    """The declared city, and whether it is what Asterisk reads."""
    try:
        declared = _declared(settings)
    except OSError as error:
        yield fault(
            "city",
            f"{settings.city_file}: {error.strerror}",
            "GERBANG_CITY names the city file",
        )
        return
    except CityError as error:
        for line in error.lines():
            yield fault("city", line, "correct the line, then `gerbang check`")
        return
    numbers = ", ".join(number.number for number in declared.numbers)
    yield ok("city", f"{declared.city.name}, {numbers}: well declared")
    yield from _in_force(settings, declared)
    yield from _prompts(settings, declared)


def _declared(settings: Settings) -> City:
    source = str(settings.city_file)
    return read_city(settings.city_file.read_text(), source=source)


def _in_force(settings: Settings, declared: City) -> Iterator[Finding]:
    current = Releases(settings.asterisk_home).current()
    if current is None:
        yield warning("configuration", "never rendered", "gerbang render")
        return
    try:
        secrets = read_secrets(settings.secrets_file)
    except SecretsError as error:
        yield fault("passwords", str(error), "gerbang render")
        return
    if not _is_in_force(declared, secrets, current.files()):
        yield warning(
            "configuration",
            f"{settings.city_file} is not in force; {current.name} of "
            f"{current.written_at:%Y-%m-%d %H:%M} UTC is",
            "gerbang check && gerbang render",
        )
    else:
        yield ok("configuration", f"{current.name} is what the city file says")


def _is_in_force(declared: City, secrets: Secrets, released: Mapping[str, str]) -> bool:
    """Whether this release is what `gerbang render` would make of the city now.

    The release holds the city's text as well, for our own processes; there only its
    meaning counts: a comment more is no other city.
    """
    configuration = dict(released)
    text = configuration.pop("city.toml", None)
    if {o.number for o in declared.operators} - set(secrets.operators):
        return False  # somebody has no password yet
    if render_city(declared, secrets) != configuration:
        return False
    return text is None or read_city(text, source="city.toml") == declared


def _prompts(settings: Settings, declared: City) -> Iterator[Finding]:
    folder = settings.sounds / declared.city.language
    gone = [n for n in declared.prompts() if not (folder / f"{n}.wav").is_file()]
    if gone and not settings.sounds.exists():
        yield ok("prompts", "not made yet; the first run makes them")
    elif gone:
        yield fault(
            "prompts",
            f"{', '.join(gone)} missing in {folder}: callers would hear nothing",
            "gerbang sounds",
        )
    else:
        yield ok("prompts", f"all {len(declared.prompts())} are there")


def passwords(settings: Settings) -> Iterator[Finding]:
    """Whoever reads them answers 112."""
    path = settings.secrets_file
    if not path.exists():
        yield ok("passwords", "none yet; `gerbang render` makes them")
        return
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        yield fault(
            "passwords",
            f"{path} has mode {mode:04o}: others on this machine can read them",
            f"chmod 600 {path}; if strangers work here, remove it and render anew",
        )
    elif found.st_uid != os.geteuid():
        yield fault(
            "passwords",
            f"{path} belongs to user {found.st_uid}",
            f"chown {os.geteuid()} {path}",
        )
    else:
        yield ok("passwords", f"{path.name} is ours alone")
    for release in (Releases(settings.asterisk_home).current(),):
        for file in sorted(release.path.iterdir()) if release else ():
            if stat.S_IMODE(file.stat().st_mode) & 0o007:
                yield fault(
                    "passwords",
                    f"{file} can be read by everyone on this machine",
                    f"chmod o-rwx {file}",
                )


def certificate(settings: Settings) -> Iterator[Finding]:
    """Phones over TLS refuse an old one. Our own is renewed; a city's own is not."""
    path = settings.asterisk_home / "tls" / CERTIFICATE
    if not path.exists():
        return
    from cryptography import x509

    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except ValueError as error:
        yield fault("certificate", f"{path}: {error}", f"rm {path}; gerbang render")
        return
    left = ends - datetime.now(UTC)
    text = f"{path} is good until {ends:%Y-%m-%d}"
    cure = "put a new one and its key there, or remove both and `gerbang render`"
    if left < timedelta(0):
        yield fault("certificate", f"{text}: phones over TLS cannot register", cure)
    elif left < CERTIFICATE_WARNING:
        yield warning("certificate", text, cure)
    else:
        yield ok("certificate", text)


def database(settings: Settings) -> Iterator[Finding]:
    """Whether records can be read where they are kept."""
    url = settings.database_url
    shown = url.rpartition("@")[2] if "@" in url else url.partition("///")[2]
    is_file = url.startswith("sqlite")
    if is_file and not Path(shown).exists():
        yield ok("database", f"no records yet in {shown}")
        return
    try:
        records = _count_in_file(shown) if is_file else asyncio.run(_count_at(url))
    except Exception as error:  # noqa: BLE001 - whatever a database driver raises
        from pbx.records.database import explain

        reason, _, cure = explain(error).partition("; ")
        yield fault(
            "database",
            f"{shown} cannot be read: {reason}; calls go on, their journal waits on "
            "disk",
            cure,
        )
    else:
        yield ok("database", f"{records} records in {shown}")


_COUNT = "SELECT count(*) FROM calls"


def _count_in_file(path: str) -> int:
    place = f"file:{quote(path)}?mode=ro"
    with closing(sqlite3.connect(place, uri=True, timeout=DATABASE_SECONDS)) as store:
        return int(store.execute(_COUNT).fetchone()[0])


async def _count_at(url: str) -> int:
    import sqlalchemy as sa

    from pbx.records.database import open_engine

    engine = open_engine(url, writes=False)
    try:
        async with asyncio.timeout(DATABASE_SECONDS), engine.connect() as connection:
            return int(await connection.scalar(sa.text(_COUNT)) or 0)
    finally:
        await engine.dispose()


CHECKS = (state, journal, city, passwords, certificate, database)
