"""Fetch a package by name with its registry's client, and take the sounds out."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, cast

from pbx.laboratory.material import MaterialError, Package, Registry

FETCH_SECONDS = 1800.0
"""The largest package is 1.4 GB; a client that needs longer is stuck."""

SUFFIXES = frozenset(
    [
        ".wav",
        ".ogg",
        ".oga",
        ".mp3",
        ".flac",
        ".opus",
        ".au",
        ".aif",
        ".aiff",
        ".m4a",
        ".gsm",
        ".raw",
        ".g722",
        ".spx",
    ]
)
ARCHIVES = frozenset({".zip", ".pk3", ".wz", ".whl"})

_CLIENTS: dict[Registry, tuple[str, ...]] = {
    "debian": ("apt-get", "download", "-q"),
    "pypi": ("pip", "download", "-q", "--no-deps", "-d", "."),
    "npm": ("npm", "pack", "--silent"),
}


def fetch(package: Package, folder: Path) -> Path:
    """The package's file in `folder`, fetched if it is not there yet.

    Raises MaterialError with the client's own words when it cannot be had.
    """
    home = folder / package.registry / package.name.replace("/", "+")
    here = sorted(home.glob("*")) if home.is_dir() else []
    if not here:
        here = _fetch_anew(package, home)
    return here[0]


def _fetch_anew(package: Package, home: Path) -> list[Path]:
    coming = home.with_name(home.name + ".coming")
    shutil.rmtree(coming, ignore_errors=True)
    coming.mkdir(parents=True)
    argv = [*_CLIENTS[package.registry], package.name]
    try:
        done = subprocess.run(
            argv, cwd=coming, capture_output=True, text=True, timeout=FETCH_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MaterialError(f"{package.name}: {' '.join(argv)}: {error}") from error
    if done.returncode or not any(coming.iterdir()):
        raise MaterialError(
            f"{package.name}: `{' '.join(argv)}` failed: {done.stderr.strip()[-300:]}. "
            "Is the registry reached, and are its lists fresh (apt-get update)?"
        )
    coming.rename(home)
    return sorted(home.glob("*"))


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpack(archive: Path, package: Package, into: Path) -> list[str]:
    """Take the sounds (and licence texts) out; their paths relative to `into`.

    Sounds in an inner archive lie under that archive's path plus "!".
    """
    found = []
    for path, stream in _members(archive):
        relative = path.removeprefix("./")
        is_inner = any(fnmatchcase(relative, glob) for glob in package.inner)
        if is_inner or _is_wanted(relative):
            _store(stream, into / relative)
            found += _open_inner(into, relative) if is_inner else [relative]
    return found


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if archive.suffix == ".deb":
        yield from _deb_members(archive)
    elif archive.suffix in ARCHIVES:
        yield from _zip_members(archive)
    else:
        with tarfile.open(archive) as tar:
            yield from _tar_members(tar)


def _deb_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    argv = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=cast(IO[bytes], process.stdout), mode="r|") as tar,
    ):
        yield from _tar_members(tar)


def _tar_members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in tar:
        stream = tar.extractfile(member) if member.isfile() else None
        if stream is not None:
            yield member.name, stream


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            if not name.endswith("/"):
                with opened.open(name) as stream:
                    yield name, stream


def _open_inner(into: Path, relative: str) -> list[str]:
    found = []
    for name, stream in _zip_members(into / relative):
        path = f"{relative}!/{name}"
        if _is_wanted(path):
            _store(stream, into / path)
            found.append(path)
    (into / relative).unlink()
    return found


def _is_wanted(path: str) -> bool:
    return ".." not in Path(path).parts and Path(path).suffix.lower() in SUFFIXES


def _store(stream: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        shutil.copyfileobj(stream, out)
