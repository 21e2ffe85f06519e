"""Kept audio is deleted when its days are over, by a given clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pbx.control.retention import tidy
from pbx.model.retention import Retention

DAYS = Retention(released_audio_days=30, other_audio_days=14)
DAY = datetime(2026, 11, 1, tzinfo=UTC)


def keep(kept: Path, name: str, ruling: str, day: str = "2026-11-01") -> None:
    folder = kept / day
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.wav").write_bytes(b"audio")
    story = {"verdict": {"ruling": ruling}, "shadowed": False}
    (folder / f"{name}.json").write_text(json.dumps(story))


def left(kept: Path) -> set[str]:
    return {path.name for path in kept.rglob("*") if path.is_file()}


def test_each_kind_has_its_days(tmp_path: Path) -> None:
    keep(tmp_path, "dropped", "release")
    keep(tmp_path, "passed", "pass")
    (tmp_path / "2026-11-01" / "half.wav.tmp").write_bytes(b"half")
    assert tidy(tmp_path, DAYS, DAY + timedelta(days=1)).deleted == 0
    assert "half.wav.tmp" in left(tmp_path)
    tidy(tmp_path, DAYS, DAY + timedelta(days=2))
    assert "half.wav.tmp" not in left(tmp_path)
    assert tidy(tmp_path, DAYS, DAY + timedelta(days=15, seconds=-1)).deleted == 0
    assert tidy(tmp_path, DAYS, DAY + timedelta(days=15)).deleted == 1
    assert left(tmp_path) == {"dropped.wav", "dropped.json"}
    assert tidy(tmp_path, DAYS, DAY + timedelta(days=31)).deleted == 1
    assert list(tmp_path.iterdir()) == []


def test_a_shorter_time_holds_for_what_is_there_already(tmp_path: Path) -> None:
    keep(tmp_path, "dropped", "release")
    days = Retention(released_audio_days=3, other_audio_days=3)
    assert tidy(tmp_path, days, DAY + timedelta(days=4)).deleted == 1


def test_without_a_story_the_longer_time_holds(tmp_path: Path) -> None:
    keep(tmp_path, "torn", "pass")
    (tmp_path / "2026-11-01" / "torn.json").write_text("{")
    keep(tmp_path, "odd", "pass")
    (tmp_path / "2026-11-01" / "odd.json").write_text("[]")
    assert tidy(tmp_path, DAYS, DAY + timedelta(days=20)).deleted == 0
    assert tidy(tmp_path, DAYS, DAY + timedelta(days=31)).deleted == 2


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.wav").write_bytes(b"")
    (tmp_path / "2026-10-01").write_text("a file that looks like a day")
    tidy(tmp_path, DAYS, DAY + timedelta(days=400))
    assert left(tmp_path) == {"mine.wav", "2026-10-01"}
    assert tidy(tmp_path / "nowhere", DAYS, DAY).problems == ()


def test_what_cannot_be_deleted_is_told(tmp_path: Path) -> None:
    (tmp_path / "2026-11-01" / "stuck.wav").mkdir(parents=True)
    done = tidy(tmp_path, DAYS, DAY + timedelta(days=99))
    assert done.deleted == 0
    assert "stuck.wav" in done.problems[0]


@pytest.mark.parametrize("days", [0, 400])
def test_retention_has_bounds(days: int) -> None:
    with pytest.raises(ValueError, match="other_audio_days"):
        Retention(other_audio_days=days)
