"""The control room's keeper: once a night, and what it cannot do it says."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from gzip import compress
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from pbx.control.archive import Archive
from pbx.control.keeper import Keeper
from pbx.records import certificates
from pbx.records.base import Store
from pbx.records.journal import NOTES, Journal
from pbx.records.store import RecordStore
from pbx.records.sweep import Sweep, keep
from pbx.records.tables import calls
from pbx.settings import Settings
from pbx.status import Status
from tests.fakes.control_room import reference_city
from tests.integration.test_keeping import REPLAY, feed
from tests.integration.test_reviews import lay

pytestmark = pytest.mark.postgres

NIGHT = datetime(2029, 1, 1, 20, 0, tzinfo=UTC)
"""03:00 in Kediri, on 2 January."""
CITY = ZoneInfo("Asia/Jakarta")
NOTED = "held-classified-surveyed"
JOURNAL = (REPLAY / "released" / "journal.jsonl").read_bytes()
NOTES_TOLD = (REPLAY / NOTED / "notes.jsonl").read_bytes()


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url").replace("+asyncpg", "")
        monkeypatch.setenv("GERBANG_DATABASE_URL", url)
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    return Settings()


@pytest.fixture
def keeper(settings: Settings) -> Keeper:
    return Keeper(
        settings, reference_city, Status(settings.run, "control"), now=lambda: NIGHT
    )


async def told_of(settings: Settings) -> list[tuple[str, int]]:
    store = await Store.open(settings.database_url)
    found = await certificates.listed(store.engine)
    await store.close()
    return [(details["what"], details["count"]) for _, details in found]


async def fill(settings: Settings) -> None:
    store = await RecordStore.open(settings.database_url)
    await feed(store, "released")
    await store.close()


async def fill_with_notes(settings: Settings) -> None:
    """A call from both journals."""
    store = await RecordStore.open(settings.database_url)
    await feed(store, NOTED)
    notes = REPLAY / NOTED / "notes.jsonl"
    journal = Journal(notes, await store.positions(), NOTES)
    while (batch := journal.read()) is not None:
        await store.record(batch)
        journal.advance(batch)
    journal.close()
    await store.close()


def old(path: Path, days: float, told: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(told)
    at = (NIGHT - timedelta(days=days)).timestamp()
    os.utime(path, (at, at))
    return path


async def test_once_a_night_all_that_is_due(settings: Settings, keeper: Keeper) -> None:
    await fill(settings)
    await fill_with_notes(settings)
    log = settings.asterisk_home / "log"
    gone = [
        old(settings.recordings / "a.wav", 92),
        old(settings.journal.with_name("journal.jsonl.1"), 92, JOURNAL),
        old(settings.journal.with_name("journal.jsonl.3.gz"), 92, compress(JOURNAL)),
        old(settings.notes.with_name("notes.jsonl-20260101"), 92, NOTES_TOLD),
        old(log / "messages.log-20260101T000000.000000", 92),
    ]
    kept = [
        old(settings.recordings / "b.wav", 89),
        old(settings.journal.with_name("journal.jsonl.2"), 89, JOURNAL),
    ]
    await keeper.look()
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []
    assert await told_of(settings) == [
        ("conversations", 1),
        ("journal files", 2),
        ("journal files of notes", 1),
        ("logs of Asterisk", 1),
        ("records of ghosts", 1),
        ("numbers", 1),
    ]
    old(settings.recordings / "c.wav", 92)
    await keeper.look()
    assert (settings.recordings / "c.wav").exists(), "not twice a night"
    keeper.now = lambda: NIGHT + timedelta(days=1)
    await keeper.look()
    assert not (settings.recordings / "c.wav").exists()
    assert keeper.status.alarms == {}


async def test_by_day_nothing_is_touched(settings: Settings, keeper: Keeper) -> None:
    await fill(settings)
    keeper.now = lambda: NIGHT - timedelta(hours=1)  # 02:00
    await keeper.look()
    assert await told_of(settings) == []


async def test_what_the_recorder_has_not_read_stays(
    settings: Settings, keeper: Keeper
) -> None:
    store = await RecordStore.open(settings.database_url)
    await store.close()
    rotated = old(settings.journal.with_name("journal.jsonl.1"), 400, JOURNAL)
    await keeper.look()
    assert rotated.exists()
    told = keeper.status.alarms["files-not-deleted"]["sentence"]
    assert f"{rotated} is not in the record store to its end" in told


LAST = JOURNAL.splitlines(keepends=True)[-1]


@pytest.mark.parametrize(
    "more",
    [
        LAST,
        LAST[:40],
        b"?",
        pytest.param(b"", id="nothing"),
    ],
)
async def test_one_line_more_than_the_store_has_keeps_the_file(
    settings: Settings, keeper: Keeper, more: bytes
) -> None:
    """Read, then written to after all: the position no longer is its end."""
    await fill(settings)
    path = settings.journal.with_name("journal.jsonl-1")
    rotated = old(path, 400, JOURNAL + more)
    await keeper.look()
    assert rotated.exists() is bool(more)


@pytest.mark.parametrize("told", [b"{torn", b"no journal at all\n", LAST])
async def test_what_the_store_does_not_know_stays(
    settings: Settings, keeper: Keeper, told: bytes
) -> None:
    await fill(settings)
    names = ("journal.jsonl-1", "journal.jsonl-2.xz", "journal.jsonl-3.zst")
    paths = [old(settings.journal.with_name(name), 400, told) for name in names]
    await keeper.look()
    assert [path.exists() for path in paths] == [True] * 3
    empty = old(settings.journal.with_name("journal.jsonl-4"), 400, b"")
    keeper.now = lambda: NIGHT + timedelta(days=1)
    await keeper.look()
    assert not empty.exists()


async def test_a_queue_log_goes_once_each_of_its_days_was_compared(
    settings: Settings, keeper: Keeper
) -> None:
    await fill(settings)
    first = NIGHT - timedelta(days=100)
    line = f"{first.timestamp():.0f}|k-1.1|112|NONE|ENTERQUEUE||0812|1\n"
    log = settings.asterisk_home / "log" / "queue_log-20280923T193000.000000"
    old(log, 99, line.encode())
    empty = old(log.with_name("queue_log.1"), 99, b"")
    days = [(NIGHT - timedelta(days=n)).astimezone(CITY).date() for n in (100, 99)]
    store = await Store.open(settings.database_url)
    for day in days:
        await keeper.look()
        assert log.exists()
        assert not empty.exists()
        told = keeper.status.alarms["files-not-deleted"]["sentence"]
        assert f"sweep --day {day}" in told
        await keep(store.engine, Sweep(day))
        keeper.status.clear_alarm("files-not-deleted")
        before = keeper.now()
        keeper.now = lambda before=before: before + timedelta(days=1)  # type: ignore[misc]
    await store.close()
    await keeper.look()
    assert not log.exists()
    assert ("queue logs", 1) in await told_of(settings)


async def test_audio_that_went_gets_its_certificate(
    settings: Settings, keeper: Keeper
) -> None:
    archive = Archive(
        settings.kept, settings.database_url, reference_city, keeper.status,
        now=lambda: NIGHT,
    )  # fmt: skip
    lay(settings.kept)
    keeper.uncertified = archive.deleted
    await archive.tidy()
    keeper.now = lambda: NIGHT - timedelta(hours=5)
    await keeper.look()
    assert await told_of(settings) == [("audio the filter heard", 1)]
    assert archive.deleted == []


async def test_what_cannot_be_done_is_an_alarm_until_it_can(
    settings: Settings, keeper: Keeper
) -> None:
    await fill(settings)
    settings.secrets.mkdir()
    key = settings.secrets / "audit.key"
    key.write_text("spoilt")
    (settings.recordings / "x").mkdir(parents=True)
    await keeper.look()
    assert "audit.key" in keeper.status.alarms["retention-not-done"]["sentence"]
    key.unlink()
    await keeper.look()
    assert keeper.status.alarms == {}
    store = await Store.open(settings.database_url)
    async with store.engine.connect() as connection:
        assert (await connection.execute(sa.select(calls))).all() == []
    await store.close()


async def test_files_that_cannot_be_deleted_are_an_alarm(
    settings: Settings, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old(settings.recordings / "a.wav", 92)
    unlink = Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        await keeper.look()
    assert "a.wav" in keeper.status.alarms["files-not-deleted"]["sentence"]
    keeper.now = lambda: NIGHT + timedelta(days=1)
    await keeper.look()
    assert keeper.status.alarms == {}
