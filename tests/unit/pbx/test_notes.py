"""The notes journal: lines any reader of Asterisk's journal understands."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.model.events import FactTold, read_event
from pbx.model.facts import ClassTold, Held, Surveyed
from pbx.notes import LONGEST_LINE_BYTES, Notes, note_line
from pbx.records.journal import cut

CALL = "kediri-1-1795293664.0"
AT = datetime(2026, 11, 21, 13, 0, 0, 123_456, tzinfo=UTC)


def told(path: Path) -> list[FactTold]:
    lines = cut(path.read_bytes(), 0, is_end=True)
    events = [read_event(found.raw) for found in lines]
    return [event for event in events if isinstance(event, FactTold)]


def test_a_note_is_a_line_of_the_journal(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes")
    notes.tell(CALL, "HELD", "kediri-1-1795293670.1", at=AT, by="101")
    notes.tell(CALL, "SURVEYED", score=5)
    held, surveyed = told(tmp_path / "notes" / "notes.jsonl")
    assert (held.channel, held.linkedid) == ("kediri-1-1795293670.1", CALL)
    assert (held.fact, held.at) == (Held("101"), AT.replace(microsecond=123_000))
    assert (surveyed.fact, surveyed.channel) == (Surveyed(5), CALL)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_comes_back(kind: str, note: str) -> None:
    values: dict[str, object] = {"category": "valid", "type": kind, "note": note}
    try:
        raw = note_line(CALL, "CLASSIFIED", None, AT, values)
    except ValueError:
        assert any(0xD800 <= ord(c) <= 0xDFFF for c in kind + note)
        return
    assert [found.raw for found in cut(raw, 0, is_end=False)] == [raw]
    event = read_event(raw)
    assert isinstance(event, FactTold)
    without_nul = [text.replace("\0", "") for text in (kind, note)]
    assert event.fact == ClassTold("valid", without_nul[0], "", without_nul[1])


@pytest.mark.parametrize(
    ("call_id", "name", "values", "why"),
    [
        ("", "SURVEYED", {"score": 5}, "names no"),
        ("a\nb", "SURVEYED", {"score": 5}, "names no"),
        (CALL, "SURVEYED", {"score": 6}, "1 to 5"),
        (CALL, "CLASSIFIED", {"category": "joke"}, "no class"),
        (CALL, "CLASSIFIED", {"type": "Ular"}, "category"),
        (CALL, "SHOUTED", {"by": "101"}, "no record knows"),
        (CALL, "CLASSIFIED", {"category": "valid", "note": "x" * 20_000}, "at most"),
    ],
)
def test_what_nobody_would_understand_is_not_written(
    tmp_path: Path, call_id: str, name: str, values: dict[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Notes(tmp_path).tell(call_id, name, **values)
    assert not list(tmp_path.iterdir())


def test_the_longest_note_fits(tmp_path: Path) -> None:
    text = "x" * (LONGEST_LINE_BYTES - 600)
    Notes(tmp_path).tell(CALL, "CLASSIFIED", category="valid", note=text)
    (note,) = told(tmp_path / "notes.jsonl")
    assert isinstance(note.fact, ClassTold)
    assert note.fact.note == text


def test_many_may_write_at_once_and_rotate(tmp_path: Path) -> None:
    """Four writers, each with files of its own, and a rotation every few lines."""

    def write(writer: int) -> None:
        notes = Notes(tmp_path, rotate_bytes=3000)
        for i in range(50):
            note = f"{writer}-{i}"
            notes.tell(CALL, "CLASSIFIED", category="valid", note=note)

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))
    files = list(tmp_path.iterdir())
    assert len(files) > 10
    found = [note.fact for file in files for note in told(file)]
    texts = [fact.note for fact in found if isinstance(fact, ClassTold)]
    assert sorted(texts) == sorted(f"{w}-{i}" for w in range(4) for i in range(50))
    for writer in range(4):  # in order, within each file
        for file in files:
            mine = [
                int(n.fact.note.split("-")[1])
                for n in told(file)
                if isinstance(n.fact, ClassTold)
                and n.fact.note.startswith(f"{writer}-")
            ]
            assert mine == sorted(mine)


def test_yesterdays_file_is_put_aside(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    notes.tell(CALL, "SURVEYED", score=1)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).timestamp()
    os.utime(tmp_path / "notes.jsonl", (yesterday, yesterday))
    notes.tell(CALL, "SURVEYED", score=2)
    (new,) = told(tmp_path / "notes.jsonl")
    (aside,) = tmp_path.glob("notes.jsonl-*")
    assert new.fact == Surveyed(2)
    assert [note.fact for note in told(aside)] == [Surveyed(1)]


def test_what_does_not_fit_on_the_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes(tmp_path)
    notes.tell(CALL, "SURVEYED", score=1)
    write = os.write

    def half(file: int, data: bytes) -> int:
        return write(file, data[: len(data) // 2])

    monkeypatch.setattr("pbx.notes.os.write", half)
    with pytest.raises(OSError, match="bytes of a note fit"):
        notes.tell(CALL, "SURVEYED", score=2)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pbx.notes.os.write", write)
    monkeypatch.setattr("pbx.notes.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        notes.tell(CALL, "SURVEYED", score=3)
    monkeypatch.undo()
    notes.tell(CALL, "SURVEYED", score=4)
    assert [n.fact for n in told(tmp_path / "notes.jsonl")] == [
        Surveyed(1),
        Surveyed(4),
    ]


def test_one_who_waits_does_not_write_into_what_was_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking another process may rename, or remove, the file."""
    notes = Notes(tmp_path)
    notes.tell(CALL, "SURVEYED", score=1)
    live = tmp_path / "notes.jsonl"
    tricks = [
        lambda: live.rename(tmp_path / "notes.jsonl-aside"),
        lambda: live.unlink(),
        lambda: None,
    ]

    def lock(file: int, how: int) -> None:
        tricks.pop(0)()

    monkeypatch.setattr("pbx.notes.fcntl.flock", lock)
    notes.tell(CALL, "SURVEYED", score=2)
    assert [note.fact for note in told(live)] == [Surveyed(2)]
    assert [n.fact for n in told(tmp_path / "notes.jsonl-aside")] == [Surveyed(1)]


def test_quoting_leaves_nothing_a_journal_cuts_at() -> None:
    assert not set(quote('"\\{},:&=%\n', safe="")) & set('"\\{},:&=\n')
