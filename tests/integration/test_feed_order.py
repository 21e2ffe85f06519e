"""No change is ever passed over: writers at once, readers killed and resumed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa

from pbx.model.call import State
from pbx.records import base
from pbx.records.feed import entries_after
from pbx.records.store import RecordStore
from pbx.records.tables import calls, outbox
from tests.fakes.feed_house import FeedHouse, a_call, open_feed
from tests.patience import until

pytestmark = pytest.mark.postgres

WRITERS, CALLS_EACH = 3, 25


@pytest_asyncio.fixture
async def house(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedHouse]:
    async with open_feed(tmp_path, url, monkeypatch) as found:
        yield found


async def write_many(url: str, writer: int) -> None:
    """One writer's transactions: several calls each, slow, some taken back."""
    choose = random.Random(writer)
    store = await RecordStore.open(url)
    try:
        for n in range(CALLS_EACH):
            async with store.engine.connect() as connection:
                await connection.begin()
                for part in range(2):
                    call = a_call(f"k-{writer}.{2 * n + part}")
                    await store.write(connection, call, None)
                    await asyncio.sleep(choose.choice([0, 0.001, 0.004]))
                if n % 5 == 4:
                    await connection.rollback()
                else:
                    await connection.commit()
    finally:
        await store.close()


async def follow(store: RecordStore, done: asyncio.Event) -> list[tuple[int, str]]:
    """A reader who is always at the head, where a gap would be passed over."""
    seen: list[tuple[int, str]] = []
    while True:
        is_last = done.is_set()
        after = seen[-1][0] if seen else 0
        found = await entries_after(store.engine, after, most=500)
        seen += [(entry.cursor, entry.call_id) for entry in found]
        if is_last and not found:
            return seen
        await asyncio.sleep(0)


async def written(store: RecordStore) -> set[str]:
    async with store.engine.connect() as connection:
        return set(await connection.scalars(sa.select(calls.c.call_id)))


async def seen_while_writing(url: str) -> tuple[list[tuple[int, str]], set[str]]:
    """What a reader at the head saw of several writers, and what there was."""
    store = await RecordStore.open(url)
    done = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as readers:
            reading = readers.create_task(follow(store, done))
            async with asyncio.TaskGroup() as writers:
                for writer in range(WRITERS):
                    writers.create_task(write_many(url, writer))
            done.set()
        return reading.result(), await written(store)
    finally:
        await store.close()


async def test_a_reader_at_the_head_passes_over_nothing(url: str) -> None:
    seen, there = await seen_while_writing(url)
    assert {call_id for _, call_id in seen} == there
    assert len(there) == WRITERS * CALLS_EACH * 2 * 4 // 5
    cursors = [cursor for cursor, _ in seen]
    assert cursors == sorted(set(cursors))


async def test_without_the_line_it_would(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the test above can fail: two writers, the first commits last."""

    async def unordered(connection: object, call_id: str, revision: int) -> None:
        await connection.execute(  # type: ignore[attr-defined]
            sa.insert(outbox).values(
                call_id=call_id, revision=revision, written_at=base.now()
            )
        )

    monkeypatch.setattr("pbx.records.store.announce", unordered)
    store = await RecordStore.open(postgres_url)
    async with store.engine.begin() as first:
        await store.write(first, a_call("k-1.1"), None)
        async with store.engine.begin() as second:
            await store.write(second, a_call("k-1.2"), None)
        [entry] = await entries_after(store.engine, 0, most=10)
    assert entry.call_id == "k-1.2"
    assert await entries_after(store.engine, entry.cursor, most=10) == []
    assert await written(store) == {"k-1.1", "k-1.2"}
    await store.close()


CONSUMER = """
import json, os, sys, urllib.parse, urllib.request
base, token, place = sys.argv[1:]
try:
    after = open(place + ".cursor").read()
except FileNotFoundError:
    after = ""
while True:
    query = {"wait": 5, "limit": 7} | ({"after": after} if after else {})
    request = urllib.request.Request(
        base + "/v1/calls?" + urllib.parse.urlencode(query),
        headers={"Authorization": token},
    )
    try:
        page = json.load(urllib.request.urlopen(request, timeout=20))
    except OSError:
        continue
    with open(place, "a") as file:
        for item in page["items"]:
            file.write(json.dumps([item["call_id"], item["revision"]]) + "\\n")
    after = page["next"]
    with open(place + ".cursor.new", "w") as file:
        file.write(after)
    os.replace(place + ".cursor.new", place + ".cursor")
"""
"""Keeps what it read, then its cursor; killed between, it reads some twice."""


async def test_a_consumer_killed_and_resumed_has_every_final_revision(
    house: FeedHouse, tmp_path: Path
) -> None:
    token = await house.token("read")
    place = tmp_path / "seen"
    count, lives = 60, 0
    choose = random.Random(112)

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", CONSUMER, house.url, token["Authorization"], str(place)),
        )

    def seen() -> dict[str, int]:
        newest: dict[str, int] = {}
        if place.exists():
            for line in place.read_text().splitlines():
                try:
                    call_id, revision = json.loads(line)
                except ValueError:
                    continue  # killed within a line
                newest[call_id] = max(revision, newest.get(call_id, 0))
        return newest

    process = await start()
    try:
        for n in range(count):
            await house.put(f"k-1.{n}", state=State.OPEN)
            if n >= 3:
                await house.put(f"k-1.{n - 3}")
            if choose.random() < 0.15:
                os.kill(process.pid, signal.SIGKILL)
                await process.wait()
                process, lives = await start(), lives + 1
            await asyncio.sleep(0.01)
        for n in range(count - 3, count):
            await house.put(f"k-1.{n}")
        await until(lambda: seen() == {f"k-1.{n}": 2 for n in range(count)}, 40)
    finally:
        process.kill()
        await process.wait()
    assert lives >= 5
