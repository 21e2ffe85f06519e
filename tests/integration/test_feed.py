"""The feed over real HTTP, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pbx.model.call import Disposition, State
from tests.fakes.feed_house import STARTED, FeedHouse, open_feed

pytestmark = pytest.mark.postgres


@pytest_asyncio.fixture
async def house(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedHouse]:
    async with open_feed(tmp_path, url, monkeypatch) as found:
        yield found


async def test_each_call_by_its_newest_revision_in_the_order_of_changes(
    house: FeedHouse,
) -> None:
    reader = await house.token("read")
    await house.put("k-1.1", state=State.OPEN)
    await house.put("k-1.2")
    await house.put("k-1.1")
    page = await house.get("/v1/calls", reader)
    assert [(i["call_id"], i["revision"]) for i in page["items"]] == [
        ("k-1.2", 1),
        ("k-1.1", 2),
    ]
    assert not page["more"]
    assert page["next"] == page["items"][-1]["cursor"]
    again = await house.get("/v1/calls", reader, after=page["next"])
    assert again == {"items": [], "next": page["next"], "more": False}
    first = page["items"][0]["cursor"]
    assert (await house.get("/v1/calls", reader, after=first))["items"] == page[
        "items"
    ][1:]


async def test_pages_join_without_a_gap(house: FeedHouse) -> None:
    reader = await house.token("read")
    for n in range(7):
        await house.put(f"k-1.{n}")
    seen: list[str] = []
    after: dict[str, str] = {}
    more = True
    while more:
        page = await house.get("/v1/calls", reader, limit=3, **after)
        seen += [i["call_id"] for i in page["items"]]
        after, more = {"after": page["next"]}, page["more"]
    assert seen == [f"k-1.{n}" for n in range(7)]


async def test_a_long_poll_is_answered_by_what_happens(house: FeedHouse) -> None:
    reader = await house.token("read")
    waiting = asyncio.create_task(house.get("/v1/calls", reader, wait=30))
    while house.feed.services.room.taken == 0:
        await asyncio.sleep(0.01)
    await house.put("k-1.1")
    async with asyncio.timeout(10):
        page = await waiting
    assert [i["call_id"] for i in page["items"]] == ["k-1.1"]
    empty = await house.get("/v1/calls", reader, after=page["next"], wait=0.2)
    assert empty["items"] == []
    assert house.feed.services.room.taken == 0


async def test_a_day_of_the_city(house: FeedHouse) -> None:
    reader = await house.token("read")
    at = STARTED - timedelta(hours=1)  # the evening before, in Kediri
    await house.put("k-1.0", started_at=at)
    for n in range(1, 5):
        await house.put(f"k-1.{n}", started_at=STARTED + timedelta(seconds=n // 2))
    await house.put("k-1.9", disposition=Disposition.ABANDONED)

    async def listed(**query: Any) -> list[str]:
        found = await house.get("/v1/calls", reader, **query)
        return [i["call_id"] for i in found["items"]]

    day = {"from": "2026-11-22", "to": "2026-11-23"}
    everybody = ["k-1.1", "k-1.9", "k-1.2", "k-1.3", "k-1.4"]
    assert await listed(**day) == everybody
    assert await listed(**day, disposition="abandoned") == ["k-1.9"]
    assert await listed(**day, number="119") == []
    assert await listed(**{"from": "2026-11-21", "to": "2026-11-22"}) == ["k-1.0"]
    from_then = {"from": "2026-11-22T00:30:01+07:00"}
    assert await listed(**from_then) == ["k-1.2", "k-1.3", "k-1.4"]
    seen: list[str] = []
    after: dict[str, str] = {}
    for _ in range(3):
        page = await house.get("/v1/calls", reader, limit=2, **day, **after)
        seen += [i["call_id"] for i in page["items"]]
        after = {"after": page["next"]}
    assert seen == everybody
    assert not page["more"]


async def test_a_caller_however_his_number_is_written(house: FeedHouse) -> None:
    insider = await house.token("read", "personal")
    for n, ani in enumerate(("081234567890", "+6281234567890", "6281234567890")):
        await house.put(f"k-1.{n}", ani=ani)
    await house.put("k-1.9", ani="+6281234567891")
    for asked in ("081234567890", "+6281234567890", "006281234567890"):
        day = {"from": "2026-11-22", "caller": asked}
        found = await house.get("/v1/calls", insider, **day)
        told = [item["call_id"] for item in found["items"]]
        assert told == ["k-1.0", "k-1.1", "k-1.2"], asked


async def test_one_call_and_its_tag(house: FeedHouse) -> None:
    reader, insider = await house.token("read"), await house.token("read", "personal")
    await house.put("k-1.1", state=State.OPEN)
    status, headers, body = await house.ask("GET", "/v1/calls/k-1.1", reader)
    assert status == 200
    assert json.loads(body)["revision"] == 1
    tag = {"If-None-Match": headers["ETag"]}
    status, _, body = await house.ask("GET", "/v1/calls/k-1.1", reader | tag)
    assert (status, body) == (304, b"")
    # Whoever sees more has another answer.
    assert (await house.ask("GET", "/v1/calls/k-1.1", insider | tag))[0] == 200
    await house.put("k-1.1")
    status, _, body = await house.ask("GET", "/v1/calls/k-1.1", reader | tag)
    assert json.loads(body)["revision"] == 2
    assert (await house.ask("GET", "/v1/calls/k-9.9", reader))[0] == 404
