"""The feed under misuse, slow readers and faults: an answer for each, never a wait."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pbx.feed import app, events, routes
from pbx.feed.app import HEADERS
from pbx.feed.cursors import feed_cursor
from pbx.records import feed
from tests.fakes.feed_house import CALLER, SECRETS, FeedHouse, open_feed
from tests.patience import until
from tests.postgres import Postgres

pytestmark = pytest.mark.postgres

LIMITS = """
[feed]
requests_per_second = 0.1
burst = 5
listeners = 3
listeners_per_token = 2
"""


@pytest_asyncio.fixture
async def house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedHouse]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with open_feed(tmp_path, url, monkeypatch) as found:
        yield found


async def problem(
    house: FeedHouse, method: str, path: str, **more: Any
) -> dict[str, Any]:
    """The answer, which must be a problem as RFC 9457 has it."""
    status, headers, body = await house.ask(method, path, **more)
    assert headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = json.loads(body)
    assert told["status"] == status >= 400
    assert set(told) >= {"type", "title", "status", "detail"}
    assert b"Traceback" not in body
    for name, value in HEADERS.items():
        assert headers[name] == value
    return told | {"headers": headers}


ERRORS = [
    ("GET", "/", 404),
    ("GET", "/v1/nothing", 404),
    ("DELETE", "/v1/calls", 405),
    ("PUT", "/v1/calls/k-1.1/survey", 405),
    ("GET", "/v1/calls?limit=0", 400),
    ("GET", "/v1/calls?limit=501", 400),
    ("GET", "/v1/calls?limit=1&limit=2", 400),
    ("GET", "/v1/calls?wait=61", 400),
    ("GET", "/v1/calls?wait=nan", 400),
    ("GET", "/v1/calls?colour=blue", 400),
    ("GET", "/v1/calls?after=rubbish", 400),
    ("GET", f"/v1/calls?after={feed_cursor(5)}", 410),
    ("GET", f"/v1/events?after={feed_cursor(5)}", 410),
    ("GET", "/v1/calls?to=2026-11-22", 400),
    ("GET", "/v1/calls?from=2026-11-22&wait=5", 400),
    ("GET", "/v1/calls?from=2026-11-22T01:00:00", 400),
    ("GET", "/v1/calls?from=0001-01-01", 400),
    ("GET", "/v1/calls?from=9999-12-31T23:59:59-23:59", 400),
    ("GET", "/v1/calls?from=2026-11-22&number=%00", 400),
    ("GET", f"/v1/calls?from=2026-11-22&after={feed_cursor(0)}", 400),
    ("GET", "/v1/calls/" + "k" * 161, 404),
    ("GET", "/v1/calls/%00", 404),
    ("GET", "/v1/calls/%ff%fe", 404),
]


async def test_every_error_is_a_problem(house: FeedHouse) -> None:
    token = await house.token("read", "personal", "admin")
    for method, path, status in ERRORS:
        told = await problem(house, method, path, headers=token)
        assert told["status"] == status, (path, told)
        if status == 405:
            assert told["headers"]["Allow"]


BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"[]", 400),
    (b"[" * 15_000, 400),
    (b'{"score": 6}', 400),
    (b'{"score": "5"}', 400),
    (b'{"score": 5, "more": 1}', 400),
    (b'{"score": ' + b"1" * 5000 + b"}", 400),
    (b'{"score": 5}' + b" " * 20_000, 413),
    (b'{"score": 5, "\\ud800": 1}', 400),
    (b"\xff\xfe", 400),
]


async def test_a_body_that_is_none(house: FeedHouse) -> None:
    await house.put("k-1.1")
    token = await house.token("admin")
    path, kind = "/v1/calls/k-1.1/survey", {"Content-Type": "application/json"}
    for body, status in BODIES:
        told = await problem(house, "POST", path, headers=token | kind, data=body)
        assert told["status"] == status, body[:40]
    told = await problem(house, "POST", path, headers=token, data=b'{"score": 5}')
    assert told["status"] == 415


async def wire(house: FeedHouse, *sent: bytes, pause: float = 0) -> bytes:
    """What comes back on a bare socket."""
    port = house.feed.city.network.feed_port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in sent:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


HARDLY_HTTP = [
    (b"rubbish\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 400),
    (b"GET /v1/health HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    (
        b"GET /v1/health HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n"
        b"Connection: close\r\n\r\n",
        417,
    ),
]


async def test_what_is_hardly_http(house: FeedHouse) -> None:
    for sent, status in HARDLY_HTTP:
        got = await wire(house, sent)
        head, _, body = got.partition(b"\r\n\r\n")
        assert head.split()[1] == str(status).encode(), got
        assert b"application/problem+json" in head
        assert b"nosniff" in head
        assert b"aiohttp" not in head
        assert json.loads(body)["status"] == status


async def test_who_sends_a_body_drop_by_drop_is_answered(
    house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "BODY_SECONDS", 0.3)
    await house.put("k-1.1")
    token = await house.token("admin")
    got = await wire(
        house,
        b"POST /v1/calls/k-1.1/survey HTTP/1.1\r\nHost: a\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n"
        b"Connection: close\r\nAuthorization: "
        + token["Authorization"].encode()
        + b'\r\n\r\n{"sc',
    )
    assert got.startswith(b"HTTP/1.1 408")


async def test_a_fault_of_ours_shows_nothing_and_is_logged_without_numbers(
    house: FeedHouse,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def falls(*_: object, **__: object) -> None:
        raise RuntimeError(f"something about {CALLER}")

    monkeypatch.setattr(feed, "entries_after", falls)
    token = await house.token("read")
    with caplog.at_level(logging.ERROR):
        told = await problem(house, "GET", "/v1/calls", headers=token)
    assert told["status"] == 500
    assert "about" not in json.dumps(told["detail"])
    [line] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert "RuntimeError in GET /v1/calls" in line.getMessage()
    assert "entries_after" in line.__dict__["traceback"]
    for secret in SECRETS:
        assert secret not in line.getMessage() + line.__dict__["traceback"]


async def test_the_database_is_away_and_comes_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_server: Postgres,
    postgres_url: str,
) -> None:
    async with open_feed(tmp_path, postgres_url, monkeypatch) as house:
        token = await house.token("read")
        await house.put("k-1.1")
        page = await house.get("/v1/calls", token)
        async with house.session.get(house.url + "/v1/events", headers=token) as stream:
            await stream.content.readuntil(b"\n\n")
            await asyncio.to_thread(postgres_server.stop)
            told = await problem(house, "GET", "/v1/calls", headers=token)
            assert told["status"] == 503
            assert told["headers"]["Retry-After"] == "2"
            assert (await house.ask("GET", "/v1/health"))[0] == 503
            await until(lambda: "feed-store-unreachable" in house.feed.status.alarms)
            await asyncio.to_thread(postgres_server.start)
            async with asyncio.timeout(30):
                while (await house.ask("GET", "/v1/health"))[0] != 200:
                    await asyncio.sleep(0.05)
                await house.put("k-1.2")
                assert b"k-1.2" in await stream.content.readuntil(b"}\n\n")
        again = await house.get("/v1/calls", token, after=page["next"])
        assert [i["call_id"] for i in again["items"]] == ["k-1.2"]
        await until(lambda: not house.feed.status.alarms)


async def test_who_asks_too_often_waits_and_nobody_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with open_feed(tmp_path, url, monkeypatch, more=LIMITS) as house:
        greedy, other = await house.token("read"), await house.token("read")
        for _ in range(5):
            await house.get("/v1/calls", greedy)
        told = await problem(house, "GET", "/v1/calls", headers=greedy)
        assert told["status"] == 429
        assert 1 <= int(told["headers"]["Retry-After"]) <= 10
        await house.get("/v1/calls", other)


async def test_so_many_may_wait_and_so_many_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with open_feed(tmp_path, url, monkeypatch, more=LIMITS) as house:
        first, second, third = [await house.token("read") for _ in range(3)]
        waiting = [
            asyncio.create_task(house.get("/v1/calls", token, wait=60))
            for token in (first, first, second)
        ]
        await until(lambda: house.feed.services.room.taken >= 3)
        for token in (first, third):
            for path in ("/v1/events", "/v1/calls?wait=5"):
                told = await problem(house, "GET", path, headers=token)
                assert told["status"] == 429
        await house.get("/v1/calls", third)
        await house.put("k-1.1")
        async with asyncio.timeout(10):
            assert all(page["items"] for page in await asyncio.gather(*waiting))


async def test_who_hangs_up_waits_no_more(house: FeedHouse) -> None:
    token = await house.token("read")
    waiting = asyncio.create_task(house.get("/v1/calls", token, wait=60))
    async with asyncio.timeout(10):
        while house.feed.services.room.taken == 0:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        while house.feed.services.room.taken:
            await asyncio.sleep(0.01)


# ---- live events --------------------------------------------------------------------


async def read_events(stream: Any, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The ids and data of so many events."""
    found: list[tuple[str, dict[str, Any]]] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            lines = (await stream.content.readuntil(b"\n\n")).decode().splitlines()
            told = dict(line.split(": ", 1) for line in lines if line)
            if "data" in told:
                assert told["event"] == "call"
                found.append((told["id"], json.loads(told["data"])))
    return found


async def test_events_come_live_and_go_on_where_they_were(house: FeedHouse) -> None:
    token = await house.token("read")
    url = house.url + "/v1/events"
    await house.put("k-1.0")
    async with house.session.get(url, headers=token) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        first = await stream.content.readuntil(b"\n\n")
        assert first.startswith(b"retry: ")
        await house.put("k-1.1")
        [(last, told)] = await read_events(stream, 1)
    assert told["call_id"] == "k-1.1"
    assert told["cursor"] == last
    for n in range(2, 5):
        await house.put(f"k-1.{n}")
    resumed = token | {"Last-Event-ID": last}
    async with house.session.get(url, headers=resumed) as stream:
        found = await read_events(stream, 3)
    assert [told["call_id"] for _, told in found] == ["k-1.2", "k-1.3", "k-1.4"]
    async with house.session.get(
        url, headers=token, params={"after": feed_cursor(0)}
    ) as stream:
        assert len(await read_events(stream, 5)) == 5


async def test_a_quiet_line_is_kept_open(
    house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    token = await house.token("read")
    async with house.session.get(house.url + "/v1/events", headers=token) as stream:
        async with asyncio.timeout(10):
            for _ in range(3):
                while await stream.content.readline() != b": beat\n":
                    pass


async def test_who_does_not_read_is_dropped_and_others_are_served(
    house: FeedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SLOW_SECONDS", 0.3)
    token = await house.token("read", "personal")
    count = 20
    for n in range(count):
        await house.put(f"k-1.{n}", flow="x" * 500_000)  # more than any buffer takes
    slow = socket.socket()
    with closing(slow):
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        port = house.feed.city.network.feed_port
        await loop.sock_connect(slow, ("127.0.0.1", port))
        head = (
            f"GET /v1/events?after={feed_cursor(0)} HTTP/1.1\r\nHost: a\r\n"
            f"Authorization: {token['Authorization']}\r\n\r\n"
        )
        await loop.sock_sendall(slow, head.encode())
        figures = house.feed.services.figures
        async with asyncio.timeout(30):
            while figures.get("dropped_listeners", 0) == 0:
                await asyncio.sleep(0.01)
            while house.feed.services.room.taken:
                await asyncio.sleep(0.01)
    page = await house.get("/v1/calls", token)
    assert len(page["items"]) == count


async def test_an_end_lets_everybody_go_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "END_SECONDS", 30.0)
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with open_feed(tmp_path, url, monkeypatch) as house:
        token = await house.token("read")
        waiting = asyncio.create_task(house.get("/v1/calls", token, wait=60))
        stream = await house.session.get(house.url + "/v1/events", headers=token)
        await until(lambda: house.feed.services.room.taken >= 2)
        began = asyncio.get_running_loop().time()
        house.end()
        page = await waiting
        assert page["items"] == []
        await stream.content.read()
        assert asyncio.get_running_loop().time() - began < 20
