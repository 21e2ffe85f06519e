"""Every route of the OpenAPI document with every kind of token: who sees what."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pbx.feed import book
from pbx.feed.cursors import feed_cursor
from pbx.model.call import Classified, Recording, Transfer, TransferKind
from pbx.model.kept import place
from pbx.notes import FILE
from pbx.records import tokens
from pbx.records.tokens import Scope
from tests.fakes.feed_house import SECRETS, STARTED, FeedHouse, open_feed
from tests.patience import until

NOTE = "Budi, Jalan Dhoho 7, minta ambulans"
"""What an operator wrote: personal data, too."""
SOUND_MARK = b"THE-CALLERS-VOICE"
BODIES = {
    "classifyCall": {"category": "valid", "note": "x"},
    "rateCall": {"score": 5},
}
PUBLIC = {"readHealth", "readOpenapi"}
SCOPES = [scope.value for scope in Scope]
EVERY_SET = [set(chosen) for n in range(1, 5) for chosen in combinations(SCOPES, n)]


@pytest_asyncio.fixture
async def house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedHouse]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with open_feed(tmp_path, url, monkeypatch) as found:
        await found.put(
            "k-1.1",
            recordings=(Recording("k-1.1.wav", STARTED),),
            classified=Classified("valid", None, "101", NOTE, STARTED),
            transfers=(
                Transfer(
                    TransferKind.BLIND, "101", SECRETS[0], STARTED, completed=True
                ),
            ),
        )
        for path in (
            found.settings.recordings / "k-1.1.wav",
            found.settings.kept / place("k-1.1", STARTED),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(SOUND_MARK + b"\0")
            path.with_suffix(".json").write_text("{}")
        yield found


async def operations(house: FeedHouse) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and declaration of all there is."""
    document = await house.get("/v1/openapi.json", {})
    return [
        (method.upper(), path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def filled(path: str) -> list[str]:
    if "{name}" not in path:
        return [path.replace("{call_id}", "k-1.1")]
    return [
        path.replace("{call_id}", "k-1.1").replace("{name}", name)
        for name in ("k-1.1.wav", "filter.wav")
    ]


async def asked(
    house: FeedHouse,
    method: str,
    path: str,
    told: dict[str, Any],
    headers: dict[str, str],
) -> tuple[int, bytes]:
    """Status and what was seen; of a stream the first event."""
    more: dict[str, Any] = {}
    name = told["operationId"]
    if name == "readEvents":
        async with house.session.get(
            house.url + path, headers=headers, params={"after": feed_cursor(0)}
        ) as answer:
            if answer.status != 200:
                return answer.status, await answer.read()
            seen = b""
            while b"data: " not in seen:
                seen += await answer.content.readuntil(b"\n\n")
            return answer.status, seen
    if name in BODIES:
        more["json"] = BODIES[name]
    status, _, body = await house.ask(
        method, path, headers | {"Gerbang-Reason": "a test"}, **more
    )
    return status, body


async def test_each_set_of_scopes_opens_what_is_declared_and_shows_no_more(
    house: FeedHouse,
) -> None:
    seen_by: dict[frozenset[str], bytes] = {}
    table = await operations(house)
    assert len(table) >= 10
    for scopes in EVERY_SET:
        headers = await house.token(*sorted(scopes))
        everything = b""
        for method, path, told in table:
            needed = set(told.get("x-scopes", []))
            for place_ in filled(path):
                status, body = await asked(house, method, place_, told, headers)
                if needed <= scopes:
                    assert status < 300, (scopes, method, place_, body)
                else:
                    assert status == 403, (scopes, method, place_)
                    assert json.loads(body or b"{}").get("status", 403) == 403
                everything += body
        seen_by[frozenset(scopes)] = everything
    for scopes_, seen in seen_by.items():
        is_shown = {"read", "personal"} <= scopes_
        for secret in (*SECRETS, NOTE):
            assert (secret.encode() in seen) is is_shown, (scopes_, secret)
        assert (SOUND_MARK in seen) is ("audio" in scopes_), scopes_
    notes = house.settings.state / "notes" / FILE
    writers = [scopes_ for scopes_ in seen_by if "admin" in scopes_]
    assert notes.read_text().count("CLASSIFIED") >= len(writers)


async def test_without_a_valid_token_there_is_nothing(
    house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [scope.value for scope in Scope]
    good = await house.token(*every)
    expired = await house.token(
        *every, days=1, at=datetime.now(UTC) - timedelta(days=2)
    )
    revoked = await house.token(*every)
    name = (await tokens.every_token(house.store.engine))[-1].name
    await tokens.revoke(house.store.engine, name, datetime.now(UTC))
    house.feed.services.book._read_at = -10.0
    text = good["Authorization"].removeprefix("Bearer ")
    head, token_id, secret = text.split("_", 2)
    other_id = ("0" if token_id[0] != "0" else "1") + token_id[1:]
    other_secret = ("A" if secret[0] != "A" else "B") + secret[1:]
    strangers: list[dict[str, str]] = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Authorization": "Basic " + text},
        {"Authorization": text},
        {"Authorization": f"Bearer {head}_{token_id}_{other_secret}"},
        {"Authorization": f"Bearer {head}_{other_id}_{secret}"},
        {"Authorization": f"Bearer {text}x"},
        expired,
        revoked,
    ]
    monkeypatch.setattr(house.feed.services.strangers, "burst", 10_000.0)
    house.feed.services.strangers._left = 10_000.0
    for method, path, told in await operations(house):
        if told["operationId"] in PUBLIC:
            continue
        for stranger in strangers:
            for place_ in filled(path):
                status, body = await asked(house, method, place_, told, stranger)
                assert status == 401, (method, place_, stranger)
                assert len(body) < 500
        for place_ in filled(path):
            status, _ = await asked(house, method, place_, told, good)
            assert status < 300, "the scan itself asks well"
    assert not (house.settings.state / "notes" / FILE).read_text().count("x" * 50)


async def test_what_needs_no_token_tells_nothing_of_calls(house: FeedHouse) -> None:
    seen = b""
    for method, path, told in await operations(house):
        if "security" not in told:
            assert told["operationId"] in PUBLIC
            seen += (await house.ask(method, path))[2]
    for secret in (*SECRETS, NOTE, "k-1.1"):
        assert secret.encode() not in seen


async def test_filters_do_not_tell_whose_number_it_is(house: FeedHouse) -> None:
    reader = await house.token("read")
    insider = await house.token("read", "personal")
    day = {"from": "2026-11-22"}
    for probe in ({"caller": SECRETS[0]}, {"number": SECRETS[0]}, {"caller": "112"}):
        status, _, body = await house.ask(
            "GET", "/v1/calls", reader, params=day | probe
        )
        assert status == 403, probe
        assert SECRETS[0].encode() not in body
    told = await house.get("/v1/calls", insider, caller=SECRETS[0], **day)
    assert len(told["items"]) == 1
    told = await house.get("/v1/calls", reader, number="112", **day)
    assert len(told["items"]) == 1


async def test_a_revoked_token_ends_its_stream(
    house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "FRESH_SECONDS", 0.1)
    reader = await house.token("read")
    name = (await tokens.every_token(house.store.engine))[-1].name
    async with house.session.get(house.url + "/v1/events", headers=reader) as stream:
        assert stream.status == 200
        await stream.content.readuntil(b"\n\n")
        await tokens.revoke(house.store.engine, name, datetime.now(UTC))
        rest = await stream.content.read()
    assert b"data:" not in rest


async def test_a_revoked_token_ends_its_long_poll(
    house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "FRESH_SECONDS", 0.1)
    insider = await house.token("read", "personal")
    name = (await tokens.every_token(house.store.engine))[-1].name
    page = await house.get("/v1/calls", insider)
    query = {"after": page["next"], "wait": "60"}
    waiting = asyncio.create_task(house.ask("GET", "/v1/calls", insider, params=query))
    await until(lambda: house.feed.services.room.taken)
    await tokens.revoke(house.store.engine, name, datetime.now(UTC))
    async with asyncio.timeout(30):  # the minute it asked for is not over
        status, _, body = await waiting
    assert status == 401, "who may no longer read is told so, and nothing else"
    assert json.loads(body)["type"].endswith("unauthorized")


async def test_last_use_is_written_down(house: FeedHouse) -> None:
    reader = await house.token("read")
    before = await tokens.every_token(house.store.engine)
    assert [t.last_used_at for t in before] == [None]
    await house.get("/v1/calls", reader)
    await house.feed.services.book.tell()
    [after] = await tokens.every_token(house.store.engine)
    assert after.last_used_at is not None


def test_a_wave_has_the_mark() -> None:
    """That the scan above could find it."""
    told = io.BytesIO()
    with wave.open(told, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(SOUND_MARK + b"\0")
    assert SOUND_MARK in told.getvalue()
