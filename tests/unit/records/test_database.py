"""The store's address, and what is said when it does not work."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import ArgumentError, DBAPIError

from pbx.records.database import (
    OtherTablesError,
    StoreGoneError,
    explain,
    open_engine,
)
from pbx.records.rebuild import compare
from pbx.records.store import RecordStore, is_poison
from pbx.records.sweep import Places, sweep
from pbx.records.tables import calls


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://root@localhost/records", "not in mysql"),
        ("sqlite+aiosqlite://", "names no file"),
        ("sqlite+aiosqlite:///:memory:", "names no file"),
        ("nonsense", "Could not parse"),
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_an_address_that_cannot_be_meant(url: str, why: str, writes: bool) -> None:
    with pytest.raises(ArgumentError, match=why):
        open_engine(url, writes=writes)


async def _use(url: str) -> None:
    store = await RecordStore.open(url)
    await store.close()


def _url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DBAPIError) as caught:
        asyncio.run(_use(_url(path)))
    said = explain(caught.value)
    assert "file is not a database; the file is damaged: move it away" in said
    assert "\n" not in said


def test_a_store_a_newer_one_made(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    asyncio.run(_use(_url(path)))
    with sqlite3.connect(path) as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CommandError) as caught:
        asyncio.run(_use(_url(path)))
    assert "a newer Gerbang112 made this store" in explain(caught.value)


@pytest.mark.parametrize("revision", ["9999", "0004"])
async def test_nobody_compares_the_records_of_another_version(
    tmp_path: Path, revision: str
) -> None:
    """To `rebuild`, a newer one's fields would be differences to be mended."""
    path = tmp_path / "records.sqlite3"
    await _use(_url(path))
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    engine = open_engine(_url(path))
    places = Places(tmp_path, tmp_path, tmp_path)
    with pytest.raises(OtherTablesError) as caught:
        _ = [d async for d in compare(engine, mends=True)]
    with pytest.raises(OtherTablesError):
        await sweep(engine, date(2026, 11, 21), ZoneInfo("Asia/Jakarta"), places)
    await engine.dispose()
    said = explain(caught.value)
    assert f"tables are of revision {revision}, not" in said
    assert "run the Gerbang112 that made them" in said


@pytest.mark.parametrize("writes", [True, False])
async def test_a_file_replaced_under_us_is_not_used_on(
    tmp_path: Path, writes: bool
) -> None:
    """SQLite goes on with a file that has no name any more; all would be lost."""
    path = tmp_path / "records.sqlite3"
    await _use(_url(path))
    engine = open_engine(_url(path), writes=writes)
    count = sa.select(sa.func.count()).select_from(calls)
    async with engine.begin() as connection:
        assert await connection.scalar(count) == 0
    for part in tmp_path.glob("records.sqlite3*"):
        part.rename(part.with_name(f"old-{part.name}"))
    with pytest.raises(StoreGoneError) as caught:
        async with engine.begin():
            raise AssertionError("begun on a file nobody else knows")
    assert "stop all of Gerbang112 before its store is moved" in explain(caught.value)
    await _use(_url(path))  # a new one
    async with engine.begin() as connection:
        assert await connection.scalar(count) == 0
    await engine.dispose()


def test_what_says_nothing_and_what_is_away() -> None:
    assert explain(TimeoutError()) == (
        "no answer in time; start the database, or correct GERBANG_DATABASE_URL"
    )
    assert "start the database" in explain(ConnectionRefusedError(111, "refused"))


async def test_errors_do_not_quote_what_was_to_be_stored(tmp_path: Path) -> None:
    engine = open_engine(_url(tmp_path / "records.sqlite3"))
    with pytest.raises(DBAPIError) as caught:
        async with engine.begin() as connection:
            await connection.execute(
                sa.text("INSERT INTO no VALUES (:n)"), {"n": "0812"}
            )
    await engine.dispose()
    assert "0812" not in str(caught.value)


def test_what_is_poison() -> None:
    class RefusedError(Exception):
        sqlstate = "22021"

    class AwayError(Exception):
        sqlstate = "57P01"

    assert is_poison(ValueError())
    assert is_poison(DBAPIError("INSERT", None, RefusedError()))
    assert not is_poison(DBAPIError("INSERT", None, AwayError()))
    assert not is_poison(DBAPIError("INSERT", None, OSError()))
    assert not is_poison(TimeoutError())
