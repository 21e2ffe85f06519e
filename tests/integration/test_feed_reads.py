"""Who reads personal data is in the audit, whichever way he reads it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pbx.feed import audio, reads
from pbx.feed.cursors import feed_cursor
from pbx.feed.reads import ASKED
from pbx.model.audit import Entry, subject_of
from pbx.model.numbers import normalised
from pbx.records.audit import WantedEntries, files_of, listed
from tests.fakes.feed_house import SECRETS, FeedHouse, open_feed

DAY = "2026-11-22"


@pytest_asyncio.fixture
async def house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedHouse]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with open_feed(tmp_path, url, monkeypatch) as found:
        for number in range(3):
            await found.put(f"k-1.{number}")
        yield found


async def noted(house: FeedHouse) -> list[Entry]:
    """Once all that waits is written, as at the end."""
    assert await house.feed._written_down(ends=True)
    return await listed(house.store.engine, WantedEntries(action="read-personal"))


async def test_each_way_to_read_leaves_an_entry(house: FeedHouse) -> None:
    insider = await house.token("read", "personal")
    await house.get("/v1/calls/k-1.1", insider)
    [entry] = await noted(house)
    assert (entry.actor, entry.call_id) == ("token read-personal-0", "k-1.1")
    await house.get("/v1/calls", insider)
    entry = (await noted(house))[-1]
    assert '"records": 3' in (entry.details or "")
    assert '"first_cursor": 1, "last_cursor": 3' in (entry.details or "")
    await house.get("/v1/calls", insider, **{"from": DAY})
    assert '"calls": ["k-1.0", "k-1.1", "k-1.2"]' in (
        (await noted(house))[-1].details or ""
    )
    async with house.session.get(
        f"{house.url}/v1/events", headers=insider, params={"after": feed_cursor(0)}
    ) as stream:
        while b"data: " not in await stream.content.readuntil(b"\n\n"):
            pass
        entries = await noted(house)
    assert len(entries) == 4
    for entry in entries:
        assert not any(secret in (entry.details or "") for secret in SECRETS)


async def test_who_asks_about_a_number_leaves_an_entry_though_nothing_is_found(
    house: FeedHouse,
) -> None:
    insider = await house.token("read", "personal")
    stranger = "081300000000"
    about: dict[str, Any] = {"from": DAY, "caller": stranger}
    assert (await house.get("/v1/calls", insider, **about))["items"] == []
    assert await noted(house) == []
    secrets = house.settings.secrets
    key = files_of(secrets).key()
    wanted = WantedEntries(subject=subject_of(normalised(stranger), key))
    [entry] = await listed(house.store.engine, wanted)
    assert (entry.actor, entry.action) == ("token read-personal-0", "asked-number")
    assert '"times": 1' in (entry.details or "")
    about = {"from": DAY, "number": "+62" + stranger[1:]}
    await house.get("/v1/calls", insider, **about)
    await noted(house)
    assert len(await listed(house.store.engine, wanted)) == 2
    found = await listed(house.store.engine, WantedEntries())
    assert stranger[1:] not in repr(found)
    await house.get("/v1/calls", insider, **{"from": DAY, "number": "112"})
    await noted(house)
    assert len(await listed(house.store.engine, WantedEntries(action=ASKED))) == 2


async def test_without_a_key_nobody_asks_about_a_number(house: FeedHouse) -> None:
    insider = await house.token("read", "personal")
    files = files_of(house.settings.secrets)
    files.key()
    files.key_file.write_text("no key")
    query = {"from": DAY, "caller": "081300000000"}
    status, _, body = await house.ask("GET", "/v1/calls", insider, params=query)
    assert (status, b"audit" in body) == (503, True)


async def test_who_sees_nothing_personal_leaves_none(house: FeedHouse) -> None:
    reader = await house.token("read")
    await house.get("/v1/calls", reader)
    await house.get("/v1/calls/k-1.1", reader)
    assert await noted(house) == []


async def test_without_an_audit_personal_data_is_refused_after_a_while(
    house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    insider, reader = await house.token("read", "personal"), await house.token("read")
    append = audio.audit.append

    async def refuses(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audio.audit, "append", refuses)
    await house.get("/v1/calls/k-1.1", insider)
    assert not await house.feed._written_down(ends=True)
    monkeypatch.setattr(reads, "REFUSE_SECONDS", -1.0)
    for path in ("/v1/calls/k-1.1", "/v1/calls"):
        status, _, body = await house.ask("GET", path, insider)
        assert status == 503
        assert SECRETS[0].encode() not in body
        await house.get(path, reader)
    monkeypatch.setattr(audio.audit, "append", append)
    assert [entry.call_id for entry in await noted(house)] == ["k-1.1"]
    await house.get("/v1/calls/k-1.1", insider)


def test_one_entry_a_minute_the_first_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    tally = reads.Reads()
    tally.note("token cad", "k-1.1")
    assert len(tally.due()) == 1
    tally.written(1)
    for number in range(3):
        tally.note("token cad", f"k-2.{number}", number + 7)
        assert tally.due() == []
    clock += reads.MINUTE_SECONDS
    [entry] = tally.due()
    assert entry["details"]["records"] == 3
    assert entry["details"]["last_cursor"] == 9
    tally.written(1)
    for subject in ("one", "one", "two"):
        tally.asked("token cad", subject)
    assert [entry["subject"] for entry in tally.due()] == ["one", "two"]
    tally.written(2)
    tally.asked("token cad", "one")
    assert tally.due() == []
    for number in range(reads.MOST_CALLS + 1):
        tally.note("token cad", f"k-3.{number}")
    assert len(tally.due()) == 1
    assert len(tally.due(ends=True)) == 3
