"""The journal file, read from where the store says we stopped.

Asterisk opens, appends and closes the file for every record, so rotation by rename is
safe; what we must survive is everything else that happens to files: renamed, removed
and made anew, truncated in place, half a record at the end, a pile of rotated files
after a long stop. Nothing here advances by itself: `read` gives the next batch again
and again until `advance` is told that the store has it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pbx.model.events import LAST_FIELD, RECORD_END, RECORD_START

READ_BYTES = 256 * 1024
"""Most that is read, and held, at a time."""
MAX_RECORD_BYTES = 64 * 1024
"""A record that does not end within this is given up as unreadable; Asterisk's fields
together stay below 8 KB."""
MAX_BATCH_LINES = 400
_SETTLED_SECONDS = 1.0
_TAIL_BYTES = 64
_HASH_BYTES = 3
"""Of SHA-256 over the tail, which may hold a caller's number: a file written anew
passes once in 16 million times; whoever tries all numbers finds hundreds that fit."""
_FINGERPRINT_BYTES = 400
_TRY_AGAIN_SECONDS = 5.0
"""After so long a rotated file that could not be read is tried once more."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far one journal file has been read; `tail` is a hash of the 64 bytes (or all,
    if fewer) that stood just before. Empty: unknown, then any fits."""

    offset: int
    tail: bytes


@dataclass(frozen=True, slots=True)
class RawLine:
    """One record as it stands in the file."""

    offset: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one file, and the position once they are stored."""

    journal: str
    lines: tuple[RawLine, ...]
    before: Position | None
    after: Position


NOTES = "notes."
"""Begins the id of every journal file that our own processes wrote (`pbx.notes`)."""


def is_notes(journal: str) -> bool:
    """Whether a file of that id was written by our own processes, not by Asterisk."""
    return journal.startswith(NOTES)


class Journal:
    """Reads `path` and its rotated siblings (`journal.jsonl.1`, `journal.jsonl-2026…`).

    A file is known by its first record, which holds a time and a channel's id, not by
    its name or inode: a renamed or restored file is the same file. `positions` is what
    the store knows, journal id → position; it is kept up to date here. `mark` begins
    the ids of its files: `NOTES` for our own processes' journal.
    """

    def __init__(
        self, path: Path, positions: dict[str, Position], mark: str = ""
    ) -> None:
        self.path = path
        self._mark = mark
        self._positions = positions
        self._file: JournalFile | None = None
        self.unreadable: dict[Path, OSError] = {}
        """Rotated files passed over, since they cannot be read: one of them must not
        hold up the records of the calls that come in now."""
        self._try_again_at = 0.0

    def read(self, most_lines: int = MAX_BATCH_LINES) -> Batch | None:
        """The next records, oldest file first; None: all is read. Raises OSError if
        the live file cannot be read; then call `close`."""
        if self.unreadable and time.monotonic() >= self._try_again_at:
            self.close()
            self.unreadable.clear()
        for _ in range(2):
            if self._file is None:
                self._file = self._open_next()
            if self._file is None:
                return None
            may_grow = self._file.is_at(self.path) or not self._file.is_settled()
            try:
                batch = self._file.read(
                    self._positions, most_lines, is_last_word=not may_grow
                )
            except OSError as error:
                if self._file.is_at(self.path):
                    raise
                self._pass_over(self._file.path, error)
                self.close()
                continue
            if batch is not None or may_grow:
                return batch
            self.close()  # rotated away and read to its end: on to the next
        return None

    def advance(self, batch: Batch) -> None:
        """The store holds this batch."""
        self._positions[batch.journal] = batch.after

    def reset(self, positions: dict[str, Position]) -> None:
        """Begin again from what the store says, after its answer was lost."""
        self.close()
        self._positions = positions

    def close(self) -> None:
        """Let go of the open file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open_next(self) -> JournalFile | None:
        """The oldest file with something unread, else the live one, if it exists."""
        for path in self._files():
            with suppress(FileNotFoundError):
                if path == self.path:
                    return JournalFile(path, self._mark)
                if file := self._open_rotated(path):
                    return file
        return None

    def _open_rotated(self, path: Path) -> JournalFile | None:
        """The file, if it has something unread and can be read."""
        if path in self.unreadable:
            return None
        try:
            file = JournalFile(path, self._mark)
            try:
                if file.has_more(self._positions):
                    return file
            except OSError:
                file.close()
                raise
        except FileNotFoundError:
            return None
        except OSError as error:
            self._pass_over(path, error)
            return None
        file.close()
        return None

    def _pass_over(self, path: Path, error: OSError) -> None:
        self.unreadable[path] = error
        self._try_again_at = time.monotonic() + _TRY_AGAIN_SECONDS

    def _files(self) -> list[Path]:
        """Rotated files, oldest first, then the live one."""
        dated: list[tuple[int, Path]] = []
        for path in self.path.parent.glob(f"{self.path.name}[.-]*"):
            if path.suffix in {".gz", ".xz", ".zst", ".bz2"}:
                continue
            with suppress(OSError):  # gone meanwhile, or a link to nowhere
                found = path.stat()
                if stat.S_ISREG(found.st_mode):
                    dated.append((found.st_mtime_ns, path))
        return [path for _, path in sorted(dated)] + [self.path]


class JournalFile:
    """One open journal file."""

    def __init__(self, path: Path, mark: str = "") -> None:
        self.path = path
        """As it was called when it was opened."""
        self._mark = mark
        # O_NONBLOCK: to open a pipe somebody put there would wait for its writer.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self._fingerprint = ""
        self._generation = 0

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def is_at(self, path: Path) -> bool:
        """Whether this file stands under that name."""
        try:
            there = path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def is_settled(self) -> bool:
        """Whether nobody wrote for a while: Asterisk may have opened the file just
        before it was renamed. A clock set back counts as a while too."""
        age = time.time() - os.fstat(self._descriptor).st_mtime
        return abs(age) > _SETTLED_SECONDS

    def has_more(self, positions: dict[str, Position]) -> bool:
        """Whether something in it is unread."""
        journal = self._identify(positions)
        if journal is None:
            return False
        position = positions.get(journal)
        return os.fstat(self._descriptor).st_size > (position.offset if position else 0)

    def is_read(self, positions: dict[str, Position]) -> bool:
        """Whether the store has all of it: the position it knows is the file's very
        end, and what it read just before stands there."""
        size = os.fstat(self._descriptor).st_size
        journal = self._identify(positions)
        position = None if journal is None else positions.get(journal)
        if position is None or not position.tail:
            return size == 0
        return position.offset == size

    def read(
        self, positions: dict[str, Position], most_lines: int, *, is_last_word: bool
    ) -> Batch | None:
        """The next batch; with `is_last_word` nothing more will be written, so that
        even half a record is given out."""
        journal = self._identify(positions)
        if journal is None:
            return None
        before = positions.get(journal)
        start = before.offset if before else 0
        data = os.pread(self._descriptor, READ_BYTES, start)
        if not data:
            return None
        is_end = is_last_word and len(data) < READ_BYTES
        lines = cut(data, start, is_end=is_end)[:most_lines]
        if not lines:
            return None
        end = lines[-1].offset + len(lines[-1].raw)
        tail = self._before(start) + data[: end - start]
        return Batch(journal, tuple(lines), before, Position(end, hash_of_tail(tail)))

    def _identify(self, positions: dict[str, Position]) -> str | None:
        """The journal's id: its first record's fingerprint and a generation, counted
        up when what we have read of it is no longer what stands there."""
        head = os.pread(self._descriptor, _FINGERPRINT_BYTES, 0)
        first, newline, _ = head.partition(b"\n")
        if not newline and len(head) < _FINGERPRINT_BYTES:
            return None
        fingerprint = hashlib.sha256(first).hexdigest()[:32]
        if fingerprint != self._fingerprint:
            self._fingerprint, self._generation = fingerprint, 0
        while True:
            journal = f"{self._mark}{fingerprint}.{self._generation}"
            position = positions.get(journal)
            if position is None or self._stands(position):
                return journal
            self._generation += 1

    def _stands(self, position: Position) -> bool:
        if not position.tail:
            return os.fstat(self._descriptor).st_size >= position.offset
        return hash_of_tail(self._before(position.offset)) == position.tail

    def _before(self, offset: int) -> bytes:
        """The bytes just before; fewer where the file ends earlier."""
        start = max(0, offset - _TAIL_BYTES)
        return os.pread(self._descriptor, offset - start, start)


def hash_of_tail(before: bytes) -> bytes:
    """What is kept of all bytes before a position, or of the last 64 of them."""
    return hashlib.sha256(before[-_TAIL_BYTES:]).digest()[:_HASH_BYTES]


def cut(data: bytes, start: int, *, is_end: bool) -> list[RawLine]:
    """Cut bytes that began at offset `start` into records.

    A record begins at `{"eventtype":"` wherever that stands (a torn line has no end of
    its own, a line feed inside a value is no end) and is complete when the next one
    begins, or when it ends as Asterisk ends it. `is_end`: the rest is given out too.
    """
    lines: list[RawLine] = []
    for begin, end in pairwise([*_starts(data), len(data)]):
        raw = data[begin:end]
        is_last = end == len(data)
        if is_last and not (is_end or _is_whole(raw)):
            if len(raw) <= MAX_RECORD_BYTES:
                break
            raw = raw[: len(raw) - _begun(raw)]
        lines.append(RawLine(start + begin, raw))
    return lines


def _begun(raw: bytes) -> int:
    """How many of its last bytes may be the beginning of the next record."""
    lengths = range(len(RECORD_START) - 1, 0, -1)
    return next((n for n in lengths if raw.endswith(RECORD_START[:n])), 0)


def whole_records(data: bytes) -> list[bytes]:
    """The complete records of a journal that is being written just now, whose last
    bytes may be half a record."""
    end = data.rfind(RECORD_END) + len(RECORD_END) if RECORD_END in data else 0
    return [line.raw for line in cut(data[:end], 0, is_end=False)]


def _starts(data: bytes) -> list[int]:
    starts = [0] if data else []
    at = data.find(RECORD_START, 1)
    while at >= 0:
        starts.append(at)
        at = data.find(RECORD_START, at + 1)
    return starts


def _is_whole(raw: bytes) -> bool:
    if raw.startswith(RECORD_START):
        return raw.endswith(RECORD_END) and LAST_FIELD in raw
    return raw.endswith(b"\n")
