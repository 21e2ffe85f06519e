"""The control room's keeper: once a night, and what it cannot do it says."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from pbx.control.archive import Archive
from pbx.control.keeper import Keeper
from pbx.records import certificates
from pbx.records.base import Store
from pbx.records.store import RecordStore
from pbx.records.tables import calls, journal_offsets
from pbx.settings import Settings
from pbx.status import Status
from tests.fakes.control_room import reference_city
from tests.integration.test_keeping import feed
from tests.integration.test_reviews import lay

pytestmark = pytest.mark.postgres

NIGHT = datetime(2029, 1, 1, 20, 0, tzinfo=UTC)
"""03:00 in Kediri, on 2 January."""


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


async def told(settings: Settings) -> list[tuple[str, int]]:
    store = await Store.open(settings.database_url)
    found = await certificates.listed(store.engine)
    await store.close()
    return [(details["what"], details["count"]) for _, details in found]


async def fill(settings: Settings) -> None:
    store = await RecordStore.open(settings.database_url)
    await feed(store, "released")
    async with store.engine.begin() as connection:
        at = NIGHT - timedelta(days=1)
        await connection.execute(sa.update(journal_offsets).values(read_at=at))
    await store.close()


def old(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    at = (NIGHT - timedelta(days=days)).timestamp()
    os.utime(path, (at, at))
    return path


async def test_once_a_night_all_that_is_due(settings: Settings, keeper: Keeper) -> None:
    await fill(settings)
    gone = [
        old(settings.recordings / "a.wav", 92),
        old(settings.journal.with_name("journal.jsonl.1"), 92),
        old(settings.notes.with_name("notes.jsonl-20260101"), 92),
    ]
    kept = [
        old(settings.recordings / "b.wav", 89),
        old(settings.journal.with_name("journal.jsonl.2"), 89),
        old(settings.journal, 400),
        old(settings.notes, 400),
    ]
    await keeper.look()
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []
    assert await told(settings) == [
        ("conversations", 1),
        ("journal files", 2),
        ("records of ghosts", 1),
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
    assert await told(settings) == []


async def test_what_the_recorder_has_not_read_stays(
    settings: Settings, keeper: Keeper
) -> None:
    store = await RecordStore.open(settings.database_url)
    await store.close()
    rotated = old(settings.journal.with_name("journal.jsonl.1"), 400)
    await keeper.look()
    assert rotated.exists()


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
    assert await told(settings) == [("audio the filter heard", 1)]
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
