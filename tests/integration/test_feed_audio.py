"""Recordings by HTTP: parts of them, and that nobody listens unnoticed."""

from __future__ import annotations

import asyncio
import io
import json
import time
import wave
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from pbx.feed import audio, book
from pbx.model.call import Recording, State
from pbx.model.kept import place
from pbx.records import tokens
from pbx.records.audit import WantedEntries, listed, verify
from tests.fakes.feed_house import STARTED, FeedHouse, open_feed
from tests.patience import until

pytestmark = pytest.mark.postgres

NAME = "k-1.1.wav"
PATH = f"/v1/calls/k-1.1/recordings/{NAME}"
SECONDS = 3
WHY = {"Gerbang-Reason": "complaint 17"}


def sound(seconds: float = SECONDS) -> bytes:
    told = io.BytesIO()
    with wave.open(told, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(range(250)) * int(seconds * 64))
    return told.getvalue()


@pytest_asyncio.fixture
async def house(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedHouse]:
    async with open_feed(tmp_path, url, monkeypatch) as found:
        yield found


@pytest_asyncio.fixture
async def listener(house: FeedHouse) -> dict[str, str]:
    """A token that may listen; one call has a conversation and a filter's sound."""
    await house.put("k-1.1", recordings=(Recording(NAME, STARTED),))
    conversation = house.settings.recordings / NAME
    conversation.parent.mkdir(parents=True)
    conversation.write_bytes(sound())
    kept = house.settings.kept / place("k-1.1", STARTED)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(sound(1))
    kept.with_suffix(".json").write_text("{}")
    return await house.token("audio")


async def heard(house: FeedHouse) -> list[tuple[str, float | None]]:
    """The audit, once each playback has ended: it has more after the last byte."""
    async with asyncio.timeout(20):
        while True:
            entries = await listed(house.store.engine, WantedEntries())
            told = [(entry.action, entry.seconds) for entry in entries]
            if len(told) % 2 == 0:
                return told
            await asyncio.sleep(0.02)


async def test_a_conversation_whole_and_who_heard_it(
    house: FeedHouse, listener: dict[str, str]
) -> None:
    status, headers, body = await house.ask(
        "GET", PATH, listener | WHY | {"Gerbang-Person": "Ibu Ani"}
    )
    assert (status, body) == (200, sound())
    assert headers["Content-Type"] == "audio/wav"
    assert headers["Accept-Ranges"] == "bytes"
    assert len(await heard(house)) == 2
    entries = await listed(house.store.engine, WantedEntries())
    assert [(e.action, e.seconds) for e in entries] == [
        ("playing", None),
        ("played", SECONDS),
    ]
    assert {(e.call_id, e.reason, e.actor) for e in entries} == {
        ("k-1.1", "complaint 17", "token audio-0, Ibu Ani")
    }
    told = json.loads(entries[1].details or "")
    assert told == {"recording": NAME, "bytes": f"0-{len(sound()) - 1}"}
    assert (
        await verify(house.store.engine, secrets=house.settings.secrets)
    ).faults == ()


async def test_what_there_is(house: FeedHouse, listener: dict[str, str]) -> None:
    told = await house.get("/v1/calls/k-1.1/recordings", listener)
    assert told["recordings"] == [
        {"name": NAME, "kind": "conversation", "bytes": len(sound())},
        {"name": "filter.wav", "kind": "filter", "bytes": len(sound(1))},
    ]
    path = "/v1/calls/k-1.1/recordings/filter.wav?reason=why"
    status, _, body = await house.ask("GET", path, listener)
    assert (status, body) == (200, sound(1))
    assert await heard(house) == [("playing", None), ("played", 1.0)]
    assert await house.get("/v1/calls/k-1.1/recordings", listener) == told, (
        "looking at names is no playback"
    )
    assert len(await heard(house)) == 2


PARTS = [
    ("bytes=0-43", 0, 43, 0.0),  # only the header
    ("bytes=44-16043", 44, 16043, 1.0),
    ("bytes=-8000", -8000, None, 0.5),
    ("bytes=40044-", 40044, None, 0.5),
    ("bytes=0-999999999", 0, None, 3.0),
]


async def test_a_part(house: FeedHouse, listener: dict[str, str]) -> None:
    whole = sound()
    for asked, first, last, seconds in PARTS:
        part = whole[first:] if last is None else whole[first : last + 1]
        status, headers, body = await house.ask(
            "GET", PATH, listener | WHY | {"Range": asked}
        )
        assert (status, body) == (206, part)
        begin = first % len(whole)
        end = begin + len(part) - 1
        assert headers["Content-Range"] == f"bytes {begin}-{end}/{len(whole)}"
        assert headers["Content-Length"] == str(len(part))
        assert (await heard(house))[-1] == ("played", seconds)


async def test_what_is_no_part(house: FeedHouse, listener: dict[str, str]) -> None:
    beyond = listener | WHY | {"Range": f"bytes={len(sound())}-"}
    status, headers, body = await house.ask("GET", PATH, beyond)
    assert status == 416
    assert headers["Content-Range"] == f"bytes */{len(sound())}"
    assert json.loads(body)["type"].endswith("range-not-satisfiable")
    for odd in ("bytes=5-2", "bytes=0-1,5-9", "lines=1-2", "bytes=-", "bytes=a-"):
        status, _, body = await house.ask("GET", PATH, listener | WHY | {"Range": odd})
        assert (status, body) == (200, sound()), odd


async def test_looking_is_not_listening(
    house: FeedHouse, listener: dict[str, str]
) -> None:
    status, headers, body = await house.ask("HEAD", PATH, listener)
    assert (status, body) == (200, b"")
    assert headers["Content-Length"] == str(len(sound()))
    tag = headers["ETag"]
    known = listener | {"If-None-Match": tag}
    assert (await house.ask("GET", PATH, known))[0] == 304
    status, _, body = await house.ask("GET", PATH, listener)
    assert status == 400, "nobody said why"
    assert json.loads(body)["type"].endswith("reason-missing")
    assert await heard(house) == []
    part = listener | WHY | {"Range": "bytes=0-9"}
    assert (await house.ask("GET", PATH, part | {"If-Range": tag}))[0] == 206
    assert (await house.ask("GET", PATH, part | {"If-Range": '"other"'}))[0] == 200


async def test_only_what_the_record_names_and_only_when_it_is_over(
    house: FeedHouse, listener: dict[str, str]
) -> None:
    (house.settings.recordings / "other.wav").write_bytes(sound())
    outside = house.settings.state / "outside.wav"
    outside.write_bytes(sound())
    (house.settings.recordings / "link.wav").symlink_to(outside)
    names = ("other.wav", "../../../outside.wav", "link.wav", "..%2foutside.wav", ".")
    await house.put(
        "k-1.2",
        recordings=tuple(
            Recording(name, STARTED) for name in ("../../../outside.wav", "link.wav")
        ),
    )
    for call_id in ("k-1.1", "k-1.2"):
        for name in names:
            path = f"/v1/calls/{call_id}/recordings/{name}"
            status, _, _ = await house.ask("GET", path, listener | WHY)
            assert status == 404, path
    await house.put("k-1.1", state=State.OPEN, recordings=(Recording(NAME, STARTED),))
    status, _, body = await house.ask("GET", PATH, listener | WHY)
    assert status == 409
    assert json.loads(body)["type"].endswith("call-open")
    assert await heard(house) == []


async def test_without_an_audit_nobody_hears_anything(
    house: FeedHouse, listener: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: Any, **__: Any) -> None:
        raise OSError("no audit today")

    monkeypatch.setattr(audio.audit, "append", refuses)
    status, headers, body = await house.ask("GET", PATH, listener | WHY)
    assert status == 503
    assert headers["Content-Type"] == "application/problem+json"
    assert sound()[:50] not in body


async def test_what_the_audit_did_not_take_at_once_it_takes_later(
    house: FeedHouse, listener: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    append = audio.audit.append

    async def takes_only_the_first(*about: Any, **more: Any) -> None:
        if more["action"] == "played":
            raise OSError("the disk is full")
        await append(*about, **more)

    monkeypatch.setattr(audio.audit, "append", takes_only_the_first)
    assert (await house.ask("GET", PATH, listener | WHY))[0] == 200
    await until(lambda: "audit-not-written" in house.feed.status.alarms)
    assert len(await listed(house.store.engine, WantedEntries())) == 1
    monkeypatch.setattr(audio.audit, "append", append)
    await until(lambda: "audit-not-written" not in house.feed.status.alarms)
    assert await heard(house) == [("playing", None), ("played", SECONDS)]


async def test_who_hangs_up_has_heard_no_more_than_was_sent(
    house: FeedHouse, listener: dict[str, str]
) -> None:
    hour = sound(3600)
    (house.settings.recordings / NAME).write_bytes(hour)
    answer = await house.session.get(house.url + PATH, headers=listener | WHY)
    await answer.content.readexactly(100_000)
    answer.close()
    action, seconds = (await heard(house))[-1]
    assert action == "played"
    assert seconds is not None
    assert 6 < seconds < 3000, seconds


async def test_a_revoked_token_hears_no_more(
    house: FeedHouse, listener: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "FRESH_SECONDS", 0.1)
    hour = sound(3600)
    (house.settings.recordings / NAME).write_bytes(hour)
    answer = await house.session.get(house.url + PATH, headers=listener | WHY)
    await answer.content.readexactly(100_000)
    name = (await tokens.every_token(house.store.engine))[-1].name
    await tokens.revoke(house.store.engine, name, datetime.now(UTC))
    await until(lambda: time.monotonic() - house.feed.services.book._read_at > 0.2)
    with pytest.raises(aiohttp.ClientPayloadError):  # it broke off
        await answer.content.read()
    action, seconds = (await heard(house))[-1]
    assert (action, seconds is not None and seconds < 3600) == ("played", True)
