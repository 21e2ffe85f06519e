"""Kinds of report, by one key whatever an operator's screen calls them.

The field is free text: an operator may write a name or a number into it. So a report
prints the kinds named here; other words only if they look like a kind (`key_of`) and
several reports share them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NONE = "not-named"
OTHER = "other"
LONGEST_WORD = 40

_GAP = re.compile(r"[\s_/-]+")
_NO_KIND = re.compile(r"[\d_]|[^\w\s.,()&'-]")


@dataclass(frozen=True, slots=True)
class ReportType:
    """One kind of report, in the languages reports are printed in."""

    en: str
    id: str
    also: tuple[str, ...] = ()
    """Other words for it."""


TYPES: Mapping[str, ReportType] = {
    "dangerous-animal": ReportType(
        "dangerous animals",
        "hewan berbahaya",
        ("animal", "animals", "evakuasi hewan", "ular", "tawon", "snake"),
    ),
    "ambulance": ReportType(
        "ambulance requests",
        "permintaan ambulans",
        ("ambulance request", "ambulans", "ambulan", "medical", "medis"),
    ),
    "traffic-accident": ReportType(
        "traffic accidents",
        "kecelakaan lalu lintas",
        ("accident", "kecelakaan", "laka lantas", "laka", "lakalantas"),
    ),
    "mental-illness-or-homeless": ReportType(
        "people with mental illness or without a home",
        "ODGJ dan orang terlantar",
        (
            "odgj", "orang terlantar", "gelandangan", "homeless", "mental illness",
            "homeless person", "people with mental illness", "social", "sosial",
        ),
    ),
    "fire": ReportType("fires", "kebakaran", ("api",)),
    "flood": ReportType("floods", "banjir", ("genangan",)),
    "fallen-tree": ReportType("fallen trees", "pohon tumbang", ("tree",)),
    "disaster": ReportType(
        "other disasters", "bencana lain", ("bencana", "landslide", "longsor")
    ),
    "crime": ReportType(
        "crime and security", "keamanan dan kriminalitas",
        ("security", "keamanan", "kriminal", "pencurian", "theft"),
    ),
    "public-order": ReportType(
        "public order", "ketertiban umum", ("ketertiban", "noise complaint")
    ),
    "street-light": ReportType(
        "street lights", "lampu jalan", ("pju", "penerangan jalan", "light")
    ),
    "rubbish": ReportType("rubbish", "sampah", ("garbage", "waste")),
    "drain": ReportType("drains", "saluran air", ("drainase", "drainage", "got")),
    "road": ReportType("roads", "jalan rusak", ("pothole", "jalan berlubang")),
    "power-line": ReportType(
        "electricity", "kelistrikan", ("listrik", "kabel", "electricity")
    ),
    "rescue": ReportType("rescues", "penyelamatan", ("evakuasi", "evacuation")),
    OTHER: ReportType("other", "lainnya", ("lain lain", "lain")),
    NONE: ReportType(
        "kind not named", "jenis tidak dicatat", ("erased", "hidden")
    ),
}  # fmt: skip


def _plain(text: str) -> str:
    return _GAP.sub(" ", text.casefold()).strip()


_KEYS: Mapping[str, str] = {
    _plain(word): key
    for key, kind in TYPES.items()
    for word in (key, kind.en, kind.id, *kind.also)
}


def key_of(text: str | None) -> str:
    """What is counted as one kind: our key if we know it, else the words, tidied.

    Small letters and single spaces. What is longer than `LONGEST_WORD`, or has a figure
    or a sign in it, is no kind of report but a note, and counts as `other`.
    """
    plain = _plain(text or "")
    if not plain:
        return NONE
    if plain in _KEYS or (plain := plain.removesuffix("s")) in _KEYS:
        return _KEYS[plain]
    said = _plain(text or "")
    is_note = len(said) > LONGEST_WORD or _NO_KIND.search(said) is not None
    return OTHER if is_note else said


def is_known(key: str) -> bool:
    """Whether this is a kind of our own list."""
    return key in TYPES


def name_of(key: str, language: str) -> str:
    """The kind in that language; `key` itself where it is somebody's own word."""
    kind = TYPES.get(key)
    if kind is None:
        return key
    return kind.id if language == "id" else kind.en
