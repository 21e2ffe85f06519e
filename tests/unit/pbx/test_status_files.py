"""What processes say of themselves, where the disk does not take it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pbx.status import Status, read_all


def test_a_disk_that_takes_nothing_is_said_once_a_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    place = tmp_path / "run"
    place.touch()  # no directory can be made here
    status = Status(place, "control")
    for _ in range(3):
        status.write()
    assert len(caplog.records) == 1
    place.unlink()
    status.write()
    assert [word["process"] for word in read_all(place)] == ["control"]
    (place / "control.status.tmp").mkdir()
    status.write()
    status.write()
    assert len(caplog.records) == 2


def test_what_is_no_word_of_a_process_is_passed_over(tmp_path: Path) -> None:
    Status(tmp_path, "recorder").write()
    for name, text in (("a", b"[]"), ("b", b"\xff"), ("c", b""), ("d", b"\0" * 99)):
        (tmp_path / f"{name}.status.json").write_bytes(text)
    assert [word["process"] for word in read_all(tmp_path)] == ["recorder"]
