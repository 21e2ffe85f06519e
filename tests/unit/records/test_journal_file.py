"""The journal file: whatever happens to it, each record is given out once."""

from __future__ import annotations

import math
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.model.events import RECORD_START, read_event
from pbx.records import journal as journal_module
from pbx.records.journal import (
    MAX_RECORD_BYTES,
    READ_BYTES,
    Batch,
    Journal,
    JournalFile,
    Position,
    cut,
)
from tests.fakes.journal_lines import line


def record(n: int) -> bytes:
    return line("ANSWER", channel=f"k-100.{n}", linkedid=f"k-100.{n}", at=n)


def records(*numbers: int) -> bytes:
    return b"".join(record(n) for n in numbers)


class Reader:
    """Reads like the recorder: advances only after it has noted the lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.positions: dict[str, Position] = {}
        self.journal = Journal(path, self.positions)
        self.seen: list[int] = []

    def read(self) -> list[int]:
        new: list[int] = []
        while (batch := self.journal.read()) is not None:
            self.journal.advance(batch)
            new += [
                int(read_event(raw.raw).channel.partition(".")[2])
                for raw in batch.lines
            ]
        self.seen += new
        return new

    def restart(self) -> None:
        self.journal.close()
        self.journal = Journal(self.path, dict(self.positions))
        self.positions = self.journal._positions


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "journal.jsonl")


def settle(path: Path) -> None:
    """As if the last write lay a minute back."""
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 60))


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_no_file_no_lines(reader: Reader) -> None:
    assert reader.read() == []
    reader.path.touch()
    assert reader.read() == []


def test_lines_are_given_again_until_they_are_stored(reader: Reader) -> None:
    append(reader.path, records(1, 2))
    first = reader.journal.read()
    assert first == reader.journal.read()
    assert reader.read() == [1, 2]
    append(reader.path, records(3))
    assert reader.read() == [3]
    assert reader.read() == []


def test_half_a_line_waits(reader: Reader) -> None:
    whole = record(1)
    for i in range(len(whole)):
        append(reader.path, whole[i : i + 1])
        assert reader.read() == ([1] if i == len(whole) - 1 else [])


def test_after_a_restart_nothing_comes_twice(reader: Reader) -> None:
    append(reader.path, records(1, 2))
    reader.read()
    reader.restart()
    append(reader.path, records(3))
    assert reader.read() == [3]


def test_rotation_by_rename_old_file_first(reader: Reader) -> None:
    append(reader.path, records(1))
    reader.read()
    append(reader.path, records(2))
    old = reader.path.rename(reader.path.with_name("journal.jsonl.1"))
    append(reader.path, records(3))
    assert reader.read() == [2]
    append(old, records(4))  # Asterisk had opened it just before the rename
    assert reader.read() == [4]
    settle(old)
    assert reader.read() == [3]


def test_several_rotations_while_nobody_read(reader: Reader) -> None:
    append(reader.path, records(1))
    reader.read()
    append(reader.path, records(2))
    for age, n in ((300, 3), (200, 4), (100, 5)):
        old = reader.path.rename(reader.path.with_name(f"journal.jsonl-{n}"))
        os.utime(old, (0, old.stat().st_mtime - age))
        append(reader.path, records(n))
    reader.path.with_name("journal.jsonl-2.gz").write_bytes(b"\x1f\x8bpacked")
    reader.restart()
    assert reader.read() == [2, 3, 4, 5]


def test_half_a_line_at_the_end_of_a_finished_file_is_given_out(reader: Reader) -> None:
    append(reader.path, record(1) + record(2)[:-5])
    assert reader.read() == [1]
    settle(reader.path.rename(reader.path.with_name("journal.jsonl.1")))
    batch = reader.journal.read()
    assert batch is not None
    assert batch.lines[0].raw == record(2)[:-5]


def test_removed_and_made_anew(reader: Reader) -> None:
    append(reader.path, records(1, 2))
    reader.read()
    append(reader.path, records(3))
    settle(reader.path)
    reader.path.unlink()
    assert reader.read() == [3]
    append(reader.path, records(4))
    assert reader.read() == [4]


def test_truncated_in_place(reader: Reader) -> None:
    append(reader.path, records(1, 2, 3))
    reader.read()
    reader.path.write_bytes(records(4))
    assert reader.read() == [4]


def test_truncated_and_grown_again_with_the_same_first_line(reader: Reader) -> None:
    append(reader.path, records(1, 2))
    reader.read()
    os.truncate(reader.path, len(record(1)))
    append(reader.path, records(5, 6))
    assert reader.read() == [1, 5, 6]  # 1 again, under another id: the fold drops it
    append(reader.path, records(7))
    reader.restart()
    assert reader.read() == [7]


def test_a_restored_copy_is_the_same_file(reader: Reader) -> None:
    append(reader.path, records(1, 2))
    reader.read()
    copy = reader.path.read_bytes()
    reader.path.unlink()
    reader.path.write_bytes(copy + record(3))
    reader.restart()
    assert reader.read() == [3]


def test_a_torn_line_and_the_next_one_glued_to_it(reader: Reader) -> None:
    append(reader.path, record(1)[:100] + record(2) + record(3)[:-1] + record(4))
    batch = reader.journal.read()
    assert batch is not None
    assert [raw.raw for raw in batch.lines] == [
        record(1)[:100],
        record(2),
        record(3)[:-1],
        record(4),
    ]
    offsets = [raw.offset for raw in batch.lines]
    assert offsets == [0, 100, 100 + len(record(2)), 99 + len(record(2) + record(3))]


def test_a_line_feed_inside_a_value_ends_no_record(reader: Reader) -> None:
    spread = record(1).replace(b'"num":"081234567890"', b'"num":"08\n12"')
    append(reader.path, spread.partition(b"\n")[0] + b"\n")
    assert reader.read() == []
    append(reader.path, spread.partition(b"\n")[2])
    assert reader.read() == [1]


def test_what_is_no_file_is_passed_over(reader: Reader) -> None:
    """Each poll left a descriptor open; after a minute and a half there were none."""
    append(reader.path, records(1))
    folder = reader.path.parent
    (folder / "journal.jsonl.d").mkdir()
    (folder / "journal.jsonl.loop").symlink_to("journal.jsonl.loop")
    (folder / "journal.jsonl.gone").symlink_to("nowhere")
    os.mkfifo(folder / "journal.jsonl.pipe")
    before = len(os.listdir("/proc/self/fd"))
    assert reader.read() == [1]
    for _ in range(5):
        reader.restart()
        assert reader.read() == []
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert reader.journal.unreadable == {}


def test_a_live_journal_that_is_a_pipe_is_not_waited_for(reader: Reader) -> None:
    os.mkfifo(reader.path)
    with pytest.raises(OSError, match="Illegal seek"):
        reader.read()


def test_a_rotated_file_that_cannot_be_read_holds_up_nothing(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector, or root's file; the kernel's memory file gives an error too."""
    append(reader.path, records(2))
    rotated = reader.path.with_name("journal.jsonl.1")
    rotated.symlink_to("/proc/self/mem")
    before = len(os.listdir("/proc/self/fd"))
    assert reader.read() == [2]
    assert list(reader.journal.unreadable) == [rotated]
    assert len(os.listdir("/proc/self/fd")) == before + 1
    rotated.unlink()
    append(rotated, records(1))
    append(reader.path, records(3))
    reader.journal._try_again_at = math.inf
    assert reader.read() == [3]
    monkeypatch.setattr(journal_module, "_TRY_AGAIN_SECONDS", 0.0)
    reader.journal._try_again_at = 0.0
    assert reader.read() == [1]
    assert reader.journal.unreadable == {}


def test_a_rotated_file_that_breaks_half_way(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = reader.path.with_name("journal.jsonl.1")
    append(rotated, records(1))
    append(reader.path, records(2))
    read = JournalFile.read

    def broken(self: JournalFile, *args: Any, **how: Any) -> Batch | None:
        if self.is_at(rotated):
            raise OSError(5, "Input/output error")
        return read(self, *args, **how)

    monkeypatch.setattr(JournalFile, "read", broken)
    assert reader.read() == [2]
    assert [str(e) for e in reader.journal.unreadable.values()] == [
        "[Errno 5] Input/output error"
    ]
    rotated.unlink()
    reader.path.unlink()
    reader.path.mkdir()
    reader.restart()
    with pytest.raises(IsADirectoryError):
        reader.read()


def test_rubbish_is_given_out_as_it_is(reader: Reader) -> None:
    append(reader.path, b"rubbish\n" + b"\x00" * 500 + record(1))
    batch = reader.journal.read()
    assert batch is not None
    assert batch.lines[-1].raw == record(1)
    reader.path.write_bytes(b"only rubbish, line after line\n" * 20)
    again = reader.journal.read()
    assert again is not None
    assert b"".join(raw.raw for raw in again.lines) == reader.path.read_bytes()


def test_a_record_without_end_is_given_up() -> None:
    endless = record(1)[:60] + b"x" * MAX_RECORD_BYTES
    assert [raw.raw for raw in cut(endless, 7, is_end=False)] == [endless]
    assert cut(endless[:-100], 7, is_end=False) == []


def test_a_record_that_begins_where_rubbish_is_given_up(reader: Reader) -> None:
    """A megabyte of zeros, as a power cut leaves, read in pieces that end anywhere."""
    for shift in range(1, len(RECORD_START) + 1):
        reader.path.unlink(missing_ok=True)
        reader.restart()
        first = b"\0" * (READ_BYTES - shift)
        append(reader.path, bytes([shift]) + first[1:] + records(shift))
        found = []
        while batch := reader.journal.read():
            reader.journal.advance(batch)
            found += [raw.raw for raw in batch.lines]
        assert found[-1] == record(shift)
        assert b"".join(found) == reader.path.read_bytes()


def test_a_batch_is_bounded(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    append(reader.path, records(*range(1000)))
    batch = reader.journal.read()
    assert batch is not None
    assert len(batch.lines) == 400
    one = reader.journal.read(1)
    assert one is not None
    assert len(one.lines) == 1
    monkeypatch.setattr(journal_module, "READ_BYTES", 5000)
    assert reader.read() == list(range(1000))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_way_of_writing_and_rotating_gives_each_once(data: st.DataObject) -> None:
    with TemporaryDirectory() as directory:
        _write_rotate_read(data, Path(directory))


def _write_rotate_read(data: st.DataObject, directory: Path) -> None:
    reader = Reader(directory / "journal.jsonl")
    written = 0
    for step in range(data.draw(st.integers(1, 25))):
        act = data.draw(
            st.sampled_from(["write", "write", "read", "rotate", "restart"])
        )
        match act:
            case "write":
                append(reader.path, record(written))
                written += 1
            case "read":
                reader.read()
            case "rotate" if reader.path.exists():
                old = reader.path.rename(directory / f"journal.jsonl.{step}")
                os.utime(old, (0, old.stat().st_mtime - 1000 + step * 10))
            case _:
                reader.restart()
    reader.read()
    reader.journal.close()
    assert reader.seen == list(range(written))
