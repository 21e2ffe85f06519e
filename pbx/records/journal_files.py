"""A directory of journal files, read once from the oldest line to the newest.

Both journals: Asterisk's (`journal.jsonl`, also rotated) and our own processes'
(`notes.jsonl`). Files may be packed by gzip, bzip2 or xz; each is unpacked when its
turn comes and removed again. A file is known by its first record, as for `Journal`: a
copy of one that was read already is not read again.
"""

from __future__ import annotations

import bz2
import gzip
import heapq
import lzma
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from pbx.model.events import RECORD_START
from pbx.records.grouping import Placed
from pbx.records.journal import NOTES, JournalFile, Position

_OPEN: Mapping[str, Callable[[Path], Any]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
_TIME = slice(len('{"eventtype":"'), len('{"eventtype":"') + 60)
_LINES_AT_A_TIME = 1000


_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


class NoJournalError(ValueError):
    """There is nothing to read; says what was looked for."""


class UnreadableFileError(OSError):
    """A journal file cannot be read or unpacked; names it, and the cure."""


@dataclass(slots=True)
class JournalFiles:
    """The journal files below a directory, and how far each has been read."""

    asterisk: list[Path]
    notes: list[Path]
    positions: dict[str, Position] = field(default_factory=dict)
    bytes_read: int = 0
    """Of the files as they lie there, packed or not."""
    unreadable: dict[Path, str] | None = None
    """Files passed over, and why; None: the first of them is an error."""

    @classmethod
    def below(cls, directory: Path, *, passes_over: bool = False) -> JournalFiles:
        """All below `directory`, oldest first. Those that cannot be read are an error,
        or, with `passes_over`, noted. Raises NoJournalError, OSError."""
        found = cls([], [], unreadable={} if passes_over else None)
        found.asterisk = found._files(directory, "journal")
        found.notes = found._files(directory, "notes")
        if not found.asterisk and not found.notes and not found.unreadable:
            raise NoJournalError(
                f"no journal below {directory}: files are called journal.jsonl, "
                "journal.jsonl.1, journal.jsonl-2025-04.gz …, notes.jsonl …"
            )
        return found

    @property
    def bytes_in_all(self) -> int:
        """Of the files as they lie there."""
        return sum(path.stat().st_size for path in (*self.asterisk, *self.notes))

    def read(self) -> Iterator[Placed]:
        """Every line, both journals woven together by time. Raises OSError."""
        streams = (self._stream(self.asterisk, ""), self._stream(self.notes, NOTES))
        for _, line in heapq.merge(*streams, key=lambda timed: timed[0]):
            yield line

    def _stream(self, paths: list[Path], mark: str) -> Iterator[tuple[bytes, Placed]]:
        at = b""
        for path in paths:
            with self._reading(path), unpacked(path) as plain:
                for line in self._lines(plain, mark, is_live=_is_live(path)):
                    at = _time(line.raw) or at
                    if plain is path:
                        self.bytes_read += len(line.raw)
                    yield at, line
                if plain is not path:
                    self.bytes_read += path.stat().st_size

    @contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        try:
            yield
        except _UNREADABLE as error:
            if self.unreadable is None:
                raise UnreadableFileError(
                    f"{path} cannot be read ({error}): take it from a backup; or move "
                    "it away, then its calls are missing"
                ) from error
            self.unreadable[path] = str(error)

    def _files(self, directory: Path, name: str) -> list[Path]:
        dated = []
        for path in directory.rglob(f"{name}.jsonl*"):
            if path.suffix in {".zst", ".lz4"}:
                why = f"{path}: unpack it first (unzstd, unlz4)"
                if self.unreadable is None:
                    raise NoJournalError(why)
                self.unreadable[path] = why
            elif path.is_file() and path.stat().st_size:
                with (
                    self._reading(path),
                    _OPEN.get(path.suffix, open_plain)(path) as file,
                ):
                    dated.append((_time(file.read(100)), str(path), path))
        return [path for _, _, path in sorted(dated)]

    def _lines(self, path: Path, mark: str, *, is_live: bool) -> Iterator[Placed]:
        """The lines of one file. Of a live one, half a record at its end is left to
        whoever reads on."""
        file = JournalFile(path, mark)
        try:
            while batch := file.read(
                self.positions, _LINES_AT_A_TIME, is_last_word=not is_live
            ):
                self.positions[batch.journal] = batch.after
                for line in batch.lines:
                    yield Placed(batch.journal, line.offset, line.raw)
        finally:
            file.close()


def _is_live(path: Path) -> bool:
    return path.suffix == ".jsonl"


def _time(raw: bytes) -> bytes:
    """The time of a record as text, which sorts by itself as long as the zone stays the
    same; only the weaving depends on it."""
    if not raw.startswith(RECORD_START):
        return b""
    _, _, after = raw[_TIME].partition(b'","eventtime":"')
    return after[:19]


def open_plain(path: Path) -> IO[bytes]:
    """A file that is not packed."""
    return path.open("rb")


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The file as it was before it was packed, for a while; one that is not packed is
    itself. Raises OSError, EOFError, zlib.error, lzma.LZMAError."""
    opener = _OPEN.get(path.suffix)
    if opener is None:
        yield path
        return
    with TemporaryDirectory(prefix="gerbang-journal-") as scratch:
        plain = Path(scratch) / path.stem
        with opener(path) as packed, plain.open("wb") as file:
            shutil.copyfileobj(packed, file, 1024 * 1024)
        yield plain
