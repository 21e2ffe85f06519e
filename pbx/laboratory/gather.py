"""Fetch what `material.toml` declares and make the training cache of it.

`python -m pbx.laboratory.gather` makes it all; interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from pbx.laboratory.cache import Entry, cache_folder, read_manifest, write_manifest
from pbx.laboratory.material import (
    DECLARED,
    Claim,
    Material,
    MaterialError,
    Package,
    Voice,
    claim,
    read_list,
)
from pbx.laboratory.packages import fetch, sha256_of, unpack
from pbx.laboratory.pieces import RATE_HZ, Pcm, decode, pieces_of
from pbx.laboratory.spoken import Saying, speak

RECIPE = "2"
"""Part of every shard's key: change it when pieces are made in another way."""

BELOW = "<!-- below: written by python -m pbx.laboratory.gather --table -->\n"


def make(material: Material, folder: Path, console: Console) -> list[Entry]:
    """Make what is missing, one by one, then one manifest and its SHA-256s.

    A package or voice that fails is told and left out; the others go on. Raises
    MaterialError at the end when any failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    failed: list[str] = []
    with Progress(console=console) as progress:
        jobs = _jobs(material, folder)
        task = progress.add_task("training audio", total=len(jobs))
        for name, job in jobs.items():
            progress.update(task, description=f"{name:<32}")
            try:
                entries += job()
            except MaterialError as error:
                failed.append(str(error))
                console.print(f"[red]{error}")
            progress.advance(task)
    write_manifest(folder / "manifest.csv", entries)
    _write_sums(folder, sorted({entry.shard for entry in entries}))
    if failed:
        raise MaterialError(f"{len(failed)} sources could not be used, see above.")
    return entries


def _jobs(material: Material, folder: Path) -> dict[str, Callable[[], list[Entry]]]:
    jobs: dict[str, Callable[[], list[Entry]]] = {}
    for package in material.package:
        jobs[f"{package.name} ({package.registry})"] = functools.partial(
            make_package, package, folder
        )
    for voice in material.voice:
        jobs[f"{voice.source} {voice.lang}"] = functools.partial(
            make_voice, voice, material.texts[voice.texts], folder
        )
    return jobs


def make_voice(voice: Voice, texts: Sequence[str], folder: Path) -> list[Entry]:
    """What these voices say; their shard is made unless an equal one lies there."""
    told = f"{RECIPE} {voice.model_dump_json()} {texts}"
    key = hashlib.sha256(told.encode()).hexdigest()[:12]
    part = folder / f"spoken-{voice.source}-{voice.lang}-{key}.csv"
    if part.is_file() and part.with_suffix(".npy").is_file():
        return read_manifest(part)
    made: list[Made] = []
    with tempfile.TemporaryDirectory(prefix="gerbang-spoken-") as scratch:
        for one in speak(voice, texts, Path(scratch)):
            pcm = decode(one.path)
            entry, limit = _spoken(voice, one), voice.cap_minutes
            found = [] if pcm is None else pieces_of(pcm)
            made += [(limit, entry, piece) for piece in found]
    return _stored(cap(made), part)


def _spoken(voice: Voice, saying: Saying) -> Entry:
    is_whisper = "whisper" in saying.voice
    return Entry(
        shard="",
        start=0,
        length=0,
        label="speech",
        kind="whisper" if is_whisper else voice.kind,
        source=voice.source,
        group=f"{voice.source}:{saying.voice}",
        lang=voice.lang,
        licence=voice.licence,
        overlaps=" ".join(voice.overlaps),
        package=" ".join(voice.needs),
        path=f"{saying.voice}: {saying.text}",
    )


def make_package(package: Package, folder: Path) -> list[Entry]:
    """This package's entries; its shard is made unless an equal one lies there."""
    archive = fetch(package, folder / "packages")
    key = hashlib.sha256(
        f"{RECIPE} {package.model_dump_json()} {sha256_of(archive)}".encode()
    ).hexdigest()[:12]
    part = folder / f"{package.registry}-{package.name.replace('/', '+')}-{key}.csv"
    if part.is_file() and part.with_suffix(".npy").is_file():
        return read_manifest(part)
    with tempfile.TemporaryDirectory(prefix="gerbang-material-") as scratch:
        claims = claim(package, unpack(archive, package, Path(scratch)))
        made = cap(_made(package, claims, Path(scratch)))
    return _stored(made, part)


def _stored(made: Sequence[Made], part: Path) -> list[Entry]:
    entries, sound = _joined(made, part.with_suffix(".npy").name)
    np.save(part.with_suffix(".npy"), sound)
    write_manifest(part, entries)
    return entries


Made = tuple[float, Entry, Pcm]
"""Its cap in minutes, its line, its sound."""


def _made(package: Package, claims: Sequence[Claim], root: Path) -> list[Made]:
    made: list[Made] = []
    known: set[bytes] = set()
    for one in claims:
        pcm = decode(root / one.path, one.sounds.raw_rate_hz)
        if pcm is None or pcm.tobytes() in known:
            continue
        known.add(pcm.tobytes())
        entry, limit = _entry(package, one), one.sounds.cap_minutes
        made += [(limit, entry, piece) for piece in pieces_of(pcm)]
    return made


def _entry(package: Package, one: Claim) -> Entry:
    return Entry(
        shard="",
        start=0,
        length=0,
        label=one.sounds.label,
        kind=one.sounds.kind,
        source=package.source,
        group=f"{package.source}:{one.sounds.group_of(one.path)}",
        lang=one.sounds.lang_of(one.path),
        licence=package.licence,
        overlaps=" ".join(package.overlaps),
        package=package.name,
        path=one.path,
    )


def cap(made: Sequence[Made]) -> list[Made]:
    """At most `cap_minutes` of each class, shared evenly by its groups.

    Which pieces stay is drawn by a hash of their path: the same ones every time.
    """
    by_entry: dict[tuple[str, str, float], dict[str, list[Made]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for one in made:
        by_entry[one[1].label, one[1].kind, one[0]][one[1].group].append(one)
    kept: list[Made] = []
    for groups in by_entry.values():
        left = next(iter(groups.values()))[0][0] * 60 * RATE_HZ
        queues = [sorted(group, key=_drawn) for group in groups.values()]
        while left > 0 and queues:
            for queue in sorted(queues, key=lambda queue: _drawn(queue[0])):
                if left > 0:
                    kept.append(queue.pop(0))
                    left -= len(kept[-1][2])
            queues = [queue for queue in queues if queue]
    return kept


def _drawn(one: Made) -> str:
    return hashlib.sha256(f"{one[1].path} {len(one[2])}".encode()).hexdigest()


def _joined(made: Sequence[Made], shard: str) -> tuple[list[Entry], Pcm]:
    entries, at = [], 0
    ordered = sorted(made, key=lambda one: one[1].path)
    for _, entry, pcm in ordered:
        values = {**asdict(entry), "shard": shard, "start": at, "length": len(pcm)}
        entries.append(Entry(**values))
        at += len(pcm)
    sounds = [pcm for _, _, pcm in ordered] or [np.zeros(0, np.int16)]
    return entries, np.concatenate(sounds).astype(np.int16)


def _write_sums(folder: Path, names: Sequence[str]) -> None:
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def tell(entries: Sequence[Entry]) -> str:
    """A Markdown table: each package's licence, classes and minutes."""
    rows: dict[tuple[str, str, str], dict[str, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    for entry in entries:
        row = rows[entry.package, entry.licence, entry.overlaps]
        row[f"{entry.label}/{entry.kind}"] += entry.seconds / 60
    lines = ["| package | licence of the sounds | minutes | shared with the corpus |"]
    lines.append("|---|---|---|---|")
    for (package, licence, overlaps), kinds in sorted(rows.items()):
        told = ", ".join(f"{kind} {kinds[kind]:.1f}" for kind in sorted(kinds))
        lines.append(f"| {package} | {licence} | {told} | {overlaps or '–'} |")
    for label in sorted({entry.label for entry in entries}):
        hours = sum(one.seconds for one in entries if one.label == label) / 3600
        lines.append(f"| **all** | | **{label} {hours:.2f} h** | |")
    return "\n".join(lines) + "\n"


def _write_table(path: Path, entries: Sequence[Entry]) -> None:
    before, mark, _ = path.read_text().partition(BELOW)
    if not mark:
        raise MaterialError(
            f"{path}: the line {BELOW.strip()} is missing. Put it back."
        )
    path.write_text(f"{before}{mark}\n{tell(entries)}")


def main(argv: Sequence[str] | None = None) -> None:
    """Make the cache; says what it needs when something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        help="only these packages and voices (default: all), also in the manifest",
    )
    parser.add_argument("--folder", type=Path, default=cache_folder())
    parser.add_argument("--table", type=Path, help="a page whose table is written anew")
    wanted = parser.parse_args(argv)
    console = Console()
    try:
        material = _chosen(read_list(DECLARED), wanted.names)
        entries = make(material, wanted.folder, console)
        if wanted.table is not None:
            _write_table(wanted.table, entries)
    except MaterialError as error:
        raise SystemExit(str(error)) from error
    for label in sorted({entry.label for entry in entries}):
        seconds = sum(entry.seconds for entry in entries if entry.label == label)
        console.print(f"{label:<10}{seconds / 3600:6.2f} h")


def _chosen(material: Material, names: Sequence[str]) -> Material:
    if not names:
        return material
    packages = tuple(one for one in material.package if one.name in names)
    voices = tuple(one for one in material.voice if one.source in names)
    return material.model_copy(update={"package": packages, "voice": voices})


if __name__ == "__main__":
    main()
