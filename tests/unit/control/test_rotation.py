"""What Asterisk writes for ever is renamed each night, and when it is large."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pbx.asterisk.run import AsteriskError
from pbx.control import rotation
from pbx.control.keeper import Keeper
from pbx.control.rotation import Rotation
from pbx.settings import PROJECT, Settings
from pbx.status import Status
from tests.fakes.control_room import reference_city

NIGHT = datetime(2026, 11, 21, 19, 30, tzinfo=UTC)
"""02:30 in Kediri, on the 22nd."""
BEFORE, AFTER = NIGHT - timedelta(hours=2), NIGHT + timedelta(minutes=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(state=tmp_path)
    found.journal.parent.mkdir(parents=True)
    return found


def journal_line(at: datetime) -> bytes:
    clock = f"{at:%Y-%m-%d %H:%M:%S}.000 +0000"
    return f'{{"eventtype":"CHAN_START","eventtime":"{clock}"}}\n'.encode()


def written(path: Path, told: bytes, at: datetime = AFTER) -> Path:
    path.write_bytes(told)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def test_what_was_begun_before_the_night_is_renamed_and_the_rest_is_left(
    settings: Settings,
) -> None:
    log = settings.asterisk_home / "log"
    written(settings.journal, journal_line(BEFORE) + journal_line(AFTER))
    written(log / "queue_log", f"{BEFORE.timestamp():.0f}|NONE|NONE|NONE|\n".encode())
    written(log / "messages.log", b"[2026-11-22 02:30:01.000 +0700] Asterisk 22\n")
    written(log / "security.jsonl", b"nothing that tells a time\n", BEFORE)
    turns = Rotation(settings)
    done = turns.rotate(AFTER, NIGHT)
    stamp = "20261121T193100.000000"
    assert [path.name for path in done] == [
        f"journal.jsonl-{stamp}", f"queue_log-{stamp}", f"security.jsonl-{stamp}",
    ]  # fmt: skip
    assert done[0].read_bytes().count(b"\n") == 2
    assert (log / "messages.log").exists()
    assert turns.rotate(AFTER + timedelta(minutes=1), NIGHT) == []
    written(settings.journal, journal_line(AFTER))
    assert turns.rotate(AFTER + timedelta(minutes=1), NIGHT) == []
    next_night = NIGHT + timedelta(days=1)
    assert len(turns.rotate(next_night, next_night)) == 2
    assert turns.problems == []


def test_a_large_one_is_renamed_whenever_it_is_large(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "ROTATE_BYTES", 100)
    written(settings.journal, journal_line(AFTER))
    assert Rotation(settings).rotate(AFTER, NIGHT) == []
    written(settings.journal, 3 * journal_line(AFTER))
    assert len(Rotation(settings).rotate(AFTER, NIGHT)) == 1
    written(settings.journal, b"")
    assert Rotation(settings).rotate(AFTER, NIGHT) == []


def test_notes_of_an_earlier_day_are_renamed_though_nobody_tells_any(
    settings: Settings,
) -> None:
    settings.notes.parent.mkdir()
    written(settings.notes, b"of a day long ago\n", BEFORE - timedelta(days=9))
    Rotation(settings).rotate(AFTER, NIGHT)
    [moved] = settings.notes.parent.glob("notes.jsonl-*")
    assert moved.read_bytes() == b"of a day long ago\n"
    assert settings.notes.read_bytes() == b""


async def test_asterisk_is_asked_to_let_go_until_it_has(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers: list[Exception | None] = [AsteriskError("it hangs"), None]

    async def console(_home: Path, line: str) -> str:
        asked.append(line)
        if error := answers.pop(0):
            raise error
        return ""

    monkeypatch.setattr(rotation, "running_pid", lambda _: 7)
    monkeypatch.setattr(rotation, "console", console)
    turns = Rotation(settings)
    await turns.reopen()
    assert asked == []
    written(settings.asterisk_home / "log" / "queue_log", b"1700000000|NONE|\n")
    turns.rotate(AFTER, NIGHT)
    await turns.reopen()
    assert turns.problems == ["it hangs"]
    for _ in range(2):
        turns.rotate(AFTER, NIGHT)
        await turns.reopen()
    assert turns.problems == []
    assert asked == ["logger reload"] * 2
    monkeypatch.setattr(rotation, "running_pid", lambda _: None)
    answers.append(AsteriskError("nobody is there"))
    turns.rotate(NIGHT + timedelta(days=1), NIGHT + timedelta(days=1))
    written(settings.asterisk_home / "log" / "queue_log", b"1700000000|NONE|\n")
    turns.rotate(AFTER, NIGHT)
    await turns.reopen()
    assert (turns.problems, len(asked)) == ([], 3)


async def test_what_cannot_be_renamed_is_an_alarm(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(settings.journal, journal_line(BEFORE))
    settings.notes.parent.write_bytes(b"a file, not a folder")

    def refuse(self: Path, _to: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    status = Status(settings.run, "control")
    by_day = NIGHT + timedelta(hours=20)  # 22:30: nothing else is due
    keeper = Keeper(settings, reference_city, status, now=lambda: by_day)
    keeper._done = (by_day + timedelta(hours=7)).date()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        await keeper.look()
    told = status.alarms["files-not-rotated"]["sentence"]
    assert f"Permission denied: '{settings.journal}'" in told
    settings.notes.parent.unlink()
    await keeper.look()
    assert status.alarms == {}
    assert not settings.journal.exists()


def test_what_asterisk_keeps_open_is_what_its_template_says() -> None:
    template = PROJECT / "asterisk-config" / "templates" / "logger.conf.j2"
    _, _, files = template.read_text().partition("[logfiles]")
    names = {line.partition(" =>")[0] for line in files.split("\n") if "=>" in line}
    assert names - {"console"} == set(rotation.LOGS)
