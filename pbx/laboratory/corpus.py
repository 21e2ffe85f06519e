"""A folder of recorded callers: `manifest.csv`, its clips, the prompts that leak.

Columns needed: path, label, class. Known as well: group, snr, codec, speech_start,
prompt, open. All others are ignored. Any folder with such a file will do.
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MANIFEST = "manifest.csv"
NEEDED = ("path", "label", "class")
PROBLEMS_TOLD = 10


class Label(StrEnum):
    """What a clip is, and so what the filter owes it."""

    SPEECH = "speech"
    """A live human near the phone: never released."""
    GHOST = "ghost"
    """Nobody: kept from operators."""
    AMBIGUOUS = "ambiguous"
    """May well be a signal: reported, not counted."""
    DISTANT = "distant"
    """Voices, but nobody near: never released without a second prompt."""


class CorpusError(ValueError):
    """A folder that cannot be judged; the text names file, line and cure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the manifest."""

    line: int
    path: str
    """As the manifest says it, from its own folder."""
    label: Label
    kind: str
    """The column `class`."""
    group: str
    """The recording or speaker; without the column each clip is its own."""
    snr_db: float | None = None
    """None: nothing was mixed in, or it is not known."""
    codec: str = ""
    speech_start: float | None = None
    """Seconds from the clip's first sample."""
    prompt: str = ""
    """Our own prompt that leaks into the clip; empty: none."""
    is_open: bool = False
    """Whether weights that ship may be trained on it."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """A folder and what its manifest says."""

    folder: Path
    rows: tuple[Row, ...]

    def file(self, row: Row) -> Path:
        """Where a row's clip lies."""
        return self.folder / row.path


def read_corpus(folder: Path) -> Corpus:
    """Read and check the manifest; the clips are opened when they are judged.

    Raises CorpusError naming every faulty line (the first ten of them).
    """
    manifest = folder / MANIFEST
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CorpusError(_no_manifest(folder)) from None
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{manifest}: not UTF-8 text (byte {error.start}); save it as UTF-8 CSV"
        ) from None
    except OSError as error:
        raise CorpusError(
            f"{manifest}: {error.strerror}; name a folder whose manifest.csv you may "
            "read"
        ) from error
    problems: list[str] = []
    rows = tuple(_rows(manifest, text, problems))
    if problems:
        raise CorpusError(_tell(problems))
    if not rows:
        raise CorpusError(f"{manifest}: no clip in it; add a line for each")
    return Corpus(folder, rows)


def _rows(manifest: Path, text: str, problems: list[str]) -> Iterator[Row]:
    # Not splitlines(): U+2028 and form feeds are part of a name.
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    seen: dict[str, int] = {}
    try:
        header = [name.strip() for name in next(lines, [])]
        missing = [name for name in NEEDED if name not in header]
        if missing:
            problems.append(
                f"{manifest}:1: no column {', '.join(missing)} in the header "
                f"({','.join(header)[:60] or 'empty'}); the first line names the "
                "columns, with commas between"
            )
            return
        for cells in lines:
            if not any(cells):
                continue
            line = lines.line_num
            try:
                row = _row(line, header, cells)
                file = posixpath.normpath(row.path)
                if file in seen:
                    raise CorpusError(
                        f"{row.path} is in line {seen[file]} as well; leave one"
                    )
            except ValueError as error:
                problems.append(f"{manifest}:{line}: {error}")
                continue
            seen[file] = line
            yield row
    except csv.Error as error:
        problems.append(
            f"{manifest}:{lines.line_num}: {error}; mend the quotes or the bytes there"
        )


def _row(line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise CorpusError(
            f"{len(cells)} cells under {len(header)} columns; a cell with a comma "
            'wants quotes: "a, b"'
        )
    values = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    path = values["path"]
    if not path:
        raise CorpusError("no path; name the clip's file")
    return Row(
        line=line,
        path=path,
        label=_label(values["label"]),
        kind=values["class"] or "unknown",
        group=values.get("group") or path,
        snr_db=_number(values, "snr"),
        codec=values.get("codec", ""),
        speech_start=_speech_start(values),
        prompt=values.get("prompt", ""),
        is_open=values.get("open", "") == "yes",
    )


def _label(text: str) -> Label:
    try:
        return Label(text)
    except ValueError:
        raise CorpusError(
            f"label {text!r} is none; write one of {', '.join(Label)}"
        ) from None


def _number(values: dict[str, str], name: str) -> float | None:
    text = values.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e6:
        raise CorpusError(f"{name} {text!r} is no number; write one or leave it empty")
    return number


def _speech_start(values: dict[str, str]) -> float | None:
    seconds = _number(values, "speech_start")
    if seconds is not None and seconds < 0:
        raise CorpusError(
            f"speech_start {seconds:g} is before the clip; write seconds from its "
            "first sample, or leave it empty"
        )
    return seconds


def _no_manifest(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder}: there is no such folder; name one with {MANIFEST} and clips"
    if (folder.resolve().parent / MANIFEST).is_file():
        above = folder.resolve().parent
        return f"{folder}: no {MANIFEST} in it; the folder above has one: name {above}"
    return (
        f"{folder}: no {MANIFEST} in it; write one with a line for each clip and at "
        f"least the columns {','.join(NEEDED)}"
    )


def _tell(problems: Iterable[str]) -> str:
    every = list(problems)
    more = len(every) - PROBLEMS_TOLD
    told = every[:PROBLEMS_TOLD]
    return "\n".join(told + ([f"… and {more} more"] if more > 0 else []))
