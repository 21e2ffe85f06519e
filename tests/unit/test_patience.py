"""Waiting, and reading what is being written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.journal_lines import line
from tests.patience import journal_records, until, whole_lines


async def test_it_asks_until_the_answer_is_yes() -> None:
    answers = iter([0, "", True])
    assert await until(lambda: next(answers)) > 0


async def test_a_question_may_have_to_be_awaited() -> None:
    answers = iter([False, True])

    async def holds() -> bool:
        return next(answers)

    await until(holds)
    with pytest.raises(StopIteration):
        next(answers)


async def test_what_does_not_come_is_told() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
        await until(lambda: False, 0.05)


def test_at_any_byte_only_what_is_complete_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert whole_lines(path) == []
    assert journal_records(path) == []
    started = line("CHAN_START", userfield="Ibu").replace(b"Ibu", "José".encode())
    lines = [started, line("HANGUP")]
    written = b"".join(lines)
    for size in range(len(written) + 1):
        path.write_bytes(written[:size])
        count = sum(size >= end for end in (len(lines[0]), len(written)))
        assert journal_records(path) == lines[:count], size
        assert whole_lines(path) == b"".join(lines[:count]).decode().splitlines()
