"""The training cache: every declared sound as int16 pieces that load in a second."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from pbx.laboratory.material import MaterialError
from pbx.laboratory.pieces import RATE_HZ, Pcm


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the manifest: a piece and where it came from."""

    shard: str
    start: int
    """In samples of 8 kHz, within the shard."""
    length: int
    label: str
    kind: str
    """The class, in the corpus's words where they fit."""
    source: str
    group: str
    """Source and speaker or recording: cross-validate by it."""
    lang: str
    licence: str
    overlaps: str
    """Sources of the corpus with the same recordings, divided by spaces."""
    package: str
    path: str

    @property
    def seconds(self) -> float:
        """How long the piece lasts."""
        return self.length / RATE_HZ


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece with its sound."""

    entry: Entry
    pcm: Pcm


def cache_folder() -> Path:
    """`$GERBANG_CACHE/training`, or the user's cache without it."""
    base = os.environ.get("GERBANG_CACHE")
    home = Path(base) if base else Path.home() / ".cache" / "gerbang112"
    return home / "training"


def load(folder: Path | None = None) -> list[Piece]:
    """Every piece of the cache, its sound mapped into memory, in manifest order.

    Raises MaterialError when there is no cache yet.
    """
    folder = folder or cache_folder()
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise MaterialError(
            f"{manifest}: no training audio yet. "
            "Make it: python -m pbx.laboratory.gather"
        )
    shards: dict[str, Pcm] = {}
    pieces = []
    for entry in read_manifest(manifest):
        if entry.shard not in shards:
            shards[entry.shard] = np.load(folder / entry.shard, mmap_mode="r")
        sound = shards[entry.shard][entry.start : entry.start + entry.length]
        pieces.append(Piece(entry, sound))
    return pieces


def read_manifest(path: Path) -> list[Entry]:
    """The lines of a manifest, or of one package's part of it."""
    with path.open(newline="") as stream:
        return [
            Entry(
                **{
                    **row,
                    "start": int(row["start"]),
                    "length": int(row["length"]),
                }  # type: ignore[arg-type]
            )
            for row in csv.DictReader(stream)
        ]


def write_manifest(path: Path, entries: Iterable[Entry]) -> None:
    """Write it whole, or leave the old one."""
    coming = path.with_suffix(".coming")
    with coming.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Entry)])
        writer.writeheader()
        writer.writerows(asdict(entry) for entry in entries)
    coming.replace(path)
