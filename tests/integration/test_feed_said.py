"""What people say of a call, on its way round: feed, notes, recorder, record, feed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pbx.feed.said import Notes
from pbx.recorder import Recorder
from pbx.records import erasures
from pbx.status import Status
from tests.fakes.feed_house import FeedHouse, open_feed
from tests.fakes.journal_writer import append, call_id, whole_call

CALL = call_id(1)


@pytest_asyncio.fixture
async def house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedHouse]:
    """A feed, and the recorder beside it, with one call in the journal."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with open_feed(tmp_path, url, monkeypatch) as found:
        settings = found.settings
        settings.journal.parent.mkdir(parents=True)
        for line in whole_call(1):
            append(settings.journal, line)
        recorder = Recorder(
            settings.journal,
            settings.database_url,
            Status(settings.run, "recorder"),
            settings.notes,
        )
        running = asyncio.create_task(recorder.run())
        try:
            yield found
        finally:
            recorder.stop()
            await running


async def test_an_operators_word_and_a_callers(house: FeedHouse) -> None:
    reader = await house.token("read", "personal")
    admin = await house.token("admin")
    page = await house.get("/v1/calls", reader, wait=20, state="closed")
    [first] = page["items"]
    assert first["call_id"] == CALL
    assert first["record"]["classified"] is None

    said = {"category": "valid", "type": "Kebakaran & asap", "note": "…50 %, ya?"}
    path = f"/v1/calls/{CALL}"
    assert (await house.ask("POST", f"{path}/classification", admin, json=said))[0] == (
        202
    )
    assert (await house.ask("POST", f"{path}/survey", admin, json={"score": 4}))[0] == (
        202
    )
    after = page["next"]
    async with asyncio.timeout(20):
        while True:
            page = await house.get("/v1/calls", reader, wait=10, after=after)
            after = page["next"]
            record = page["items"][-1]["record"]
            if record["survey"] and record["classified"]:
                break
    assert {k: record["classified"][k] for k in said} == said
    assert record["classified"]["operator"] is None
    assert record["survey"]["score"] == 4
    assert record["revision"] > first["revision"]


async def test_of_a_call_nobody_knows_nothing_is_written(house: FeedHouse) -> None:
    admin = await house.token("admin")
    for path in ("/v1/calls/k-9.9/survey", "/v1/calls/%20%0A/survey"):
        status, _, _ = await house.ask("POST", path, admin, json={"score": 4})
        assert status == 404
    assert not house.settings.notes.exists()


async def test_a_disk_that_takes_nothing(
    house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Notes, "tell", is_full)
    reader, admin = await house.token("read"), await house.token("admin")
    await house.get("/v1/calls", reader, wait=20)
    status, headers, _ = await house.ask(
        "POST", f"/v1/calls/{CALL}/survey", admin, json={"score": 4}
    )
    assert status == 503
    assert "Retry-After" in headers


async def test_of_a_sealed_call_nothing_is_taken_that_would_be_lost(
    house: FeedHouse,
) -> None:
    reader, admin = await house.token("read"), await house.token("admin")
    await house.get("/v1/calls", reader, wait=20, state="closed")
    async with house.store.engine.begin() as connection:
        await erasures.seal(connection, [CALL], rule="raw_line_days")
    for what, said in (
        ("classification", {"category": "valid", "note": "Jalan Dhoho 7"}),
        ("survey", {"score": 4}),
    ):
        status, _, body = await house.ask(
            "POST", f"/v1/calls/{CALL}/{what}", admin, json=said
        )
        assert status == 409, body
        assert json.loads(body)["type"].endswith("call-sealed")
    assert not house.settings.notes.exists(), "no text lies there for nothing"
