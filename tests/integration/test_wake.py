"""Being told of changes, on both databases; and what happens when nobody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from pbx.records import wake
from pbx.records.base import Store, announce
from pbx.records.queries import newest_cursor
from pbx.records.wake import Waker
from tests.patience import until
from tests.postgres import Postgres

pytestmark = pytest.mark.postgres


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = await Store.open(url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def waker(url: str, store: Store) -> AsyncIterator[Waker]:
    """One that listens already."""
    async with _running(Waker(url)) as found:
        await _until_listening(found)
        yield found


@asynccontextmanager
async def _running(waker: Waker) -> AsyncIterator[Waker]:
    task = asyncio.create_task(waker.run())
    try:
        yield waker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until_listening(waker: Waker, seconds: float = 20) -> None:
    await until(lambda: waker.is_listening)


async def write(store: Store, call_id: str) -> None:
    async with store.engine.begin() as connection:
        await announce(connection, call_id, 1)


async def test_everybody_who_waits_is_told(store: Store, waker: Waker) -> None:
    waiting = [
        asyncio.create_task(waker.changed(waker.count, seconds=30)) for _ in range(3)
    ]
    await asyncio.sleep(0)
    await write(store, "a")
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await newest_cursor(store.engine) == 1


async def test_what_came_between_the_look_and_the_wait(
    store: Store, waker: Waker
) -> None:
    seen = waker.count
    await write(store, "a")
    await until(lambda: waker.count != seen)
    assert await waker.changed(seen, seconds=0)


async def test_nothing_happens(store: Store, waker: Waker) -> None:
    assert not await waker.changed(waker.count, seconds=0.3)


async def test_what_is_rolled_back_wakes_nobody(store: Store, waker: Waker) -> None:
    seen = waker.count
    async with store.engine.connect() as connection:
        await connection.begin()
        await announce(connection, "a", 1)
        await connection.rollback()
    assert not await waker.changed(seen, seconds=0.3)


async def test_a_store_that_is_not_there_yet(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with _running(Waker(url)) as waker:
        assert await waker.changed(waker.count, seconds=10), "woken on suspicion"
        assert not waker.is_listening
        opened = await Store.open(url)
        await _until_listening(waker)
        await opened.close()


async def test_the_database_is_stopped_and_started(
    postgres_server: Postgres, postgres_url: str
) -> None:
    opened = await Store.open(postgres_url)
    async with _running(Waker(postgres_url)) as waker:
        await _until_listening(waker)
        await asyncio.to_thread(postgres_server.stop)
        await until(lambda: not waker.is_listening)
        assert await waker.changed(waker.count, seconds=10), "woken on suspicion"
        await asyncio.to_thread(postgres_server.start)
        await _until_listening(waker)
        seen = waker.count
        await write(opened, "a")
        assert await waker.changed(seen, seconds=10)
    await opened.close()


async def test_one_who_listens_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, postgres_server: Postgres, postgres_url: str
) -> None:
    monkeypatch.setattr(wake, "PING_SECONDS", 0.2)
    opened = await Store.open(postgres_url)
    async with _running(Waker(postgres_url)) as waker:
        await _until_listening(waker)
        await asyncio.sleep(0.5)  # some pings
        assert waker.is_listening
        postgres_server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'"
        )
        await until(lambda: not waker.is_listening)
        await _until_listening(waker)
        seen = waker.count
        await write(opened, "a")
        assert await waker.changed(seen, seconds=10)
    await opened.close()


async def test_cursors_are_committed_in_their_order(postgres_url: str) -> None:
    """The second writer waits for the first, so no reader passes over the first."""
    opened = await Store.open(postgres_url)
    async with opened.engine.begin() as first:
        await announce(first, "a", 1)
        second = asyncio.create_task(write(opened, "b"))
        await asyncio.sleep(0.3)
        assert not second.done()
        assert await newest_cursor(opened.engine) == 0
    await second
    assert await newest_cursor(opened.engine) == 2
    await opened.close()
