"""Rendered configurations on disk: each a directory of its own, one of them current.

`releases/NNNN-<hash>/` is written whole under a scratch name, flushed and renamed; then
the relative symlinks `previous` and `current` are replaced, each by a rename. A reader
finds the old configuration or the new one, never half of one.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KEEP = 10
"""Releases that stay on disk; current and previous always do."""

_HASH_LENGTH = 12


class ReleaseError(Exception):
    """A release could not be written or gone back to; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Release:
    """One rendered configuration."""

    path: Path

    @property
    def name(self) -> str:
        """Such as `0007-5d41402abc4b`."""
        return self.path.name

    @property
    def number(self) -> int:
        """Counts up with every render that changed something."""
        return int(self.name.split("-")[0])

    @property
    def digest(self) -> str:
        """Hash of what was rendered; the same content has the same."""
        return self.name.split("-")[1]

    @property
    def written_at(self) -> datetime:
        """When it was rendered."""
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)

    def files(self) -> dict[str, str]:
        """Its files: name → text."""
        return {p.name: p.read_text() for p in sorted(self.path.iterdir())}


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of one Asterisk home (`var/asterisk`)."""

    home: Path

    @property
    def directory(self) -> Path:
        """Where they lie."""
        return self.home / "releases"

    def all(self) -> list[Release]:
        """The oldest first; scratch directories of broken renders are passed over."""
        if not self.directory.is_dir():
            return []
        found = [
            Release(path)
            for path in self.directory.iterdir()
            if path.is_dir() and path.name.split("-")[0].isdigit()
        ]
        return sorted(found, key=lambda release: release.number)

    def current(self) -> Release | None:
        """What Asterisk reads, if anything was ever rendered."""
        return self._linked("current")

    def previous(self) -> Release | None:
        """What `back` returns to."""
        return self._linked("previous")

    def add(self, files: Mapping[str, str]) -> Release:
        """Write a release without using it yet; the same content gives the same one.

        Raises ReleaseError if the disk does not take it; then nothing has changed.
        """
        digest = _digest(files)
        known = self.all()
        for release in known:
            if release.digest == digest and release.files() == dict(files):
                return release
        number = known[-1].number + 1 if known else 1
        target = self.directory / f"{number:04d}-{digest}"
        scratch = self.directory / f".{target.name}.{os.getpid()}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            scratch.mkdir(mode=0o750)
            for name, text in files.items():
                _write(scratch / name, text)
            _flush(scratch)
            scratch.rename(target)
            _flush(self.directory)
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise ReleaseError(
                f"{target}: cannot be written: {error}; "
                f"what was in force before stays in force"
            ) from error
        return Release(target)

    def use(self, release: Release) -> None:
        """Make it current; what was current becomes previous. Raises ReleaseError."""
        before = self.current()
        if before == release:
            return
        try:
            if before is not None:
                self._link("previous", before)
            self._link("current", release)
            _flush(self.home)
        except OSError as error:
            raise ReleaseError(f"cannot switch to {release.name}: {error}") from error
        self._prune()

    def back(self) -> Release:
        """Make the previous release current again; twice is there and back."""
        release = self.previous()
        if release is None:
            raise ReleaseError(
                "there is no previous configuration to go back to; "
                "`gerbang render --list` shows what is there"
            )
        self.use(release)
        return release

    def _linked(self, name: str) -> Release | None:
        path = self.home / name
        if not path.is_symlink() or not path.is_dir():
            return None
        return Release(self.home / path.readlink())

    def _link(self, name: str, release: Release) -> None:
        scratch = self.home / f".{name}.{os.getpid()}"
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(release.path.relative_to(self.home))
        scratch.replace(self.home / name)

    def _prune(self) -> None:
        kept = {self.current(), self.previous()}
        for release in self.all()[:-KEEP]:
            if release not in kept:
                shutil.rmtree(release.path, ignore_errors=True)


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What differs, for people: one line a file, how many lines came and went."""
    told = []
    for name in sorted({*old, *new}):
        before, after = old.get(name, ""), new.get(name, "")
        if before == after:
            continue
        lines = [
            line
            for line in difflib.ndiff(before.splitlines(), after.splitlines())
            if line[:2] in ("+ ", "- ")
        ]
        added = sum(line[0] == "+" for line in lines)
        told.append(f"{name}: +{added} -{len(lines) - added}")
    return told


def _digest(files: Mapping[str, str]) -> str:
    joined = "\0".join(f"{name}\0{text}" for name, text in sorted(files.items()))
    return hashlib.sha256(joined.encode()).hexdigest()[:_HASH_LENGTH]


def _write(path: Path, text: str) -> None:
    """0600 from the start: passwords are in some of these files."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
