"""The example of docs/examples: a service that follows the feed, as others would."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pbx.model.call import State
from pbx.settings import PROJECT
from tests.fakes.feed_house import FeedHouse, open_feed
from tests.patience import until
from tests.postgres import Postgres

pytestmark = pytest.mark.postgres

EXAMPLE = PROJECT / "docs" / "examples" / "consumer.py"


def copied(path: Path) -> dict[str, dict[str, Any]]:
    """The consumer's own copy."""
    if not path.exists():
        return {}
    store = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = store.execute("SELECT call_id, record FROM calls").fetchall()
    except sqlite3.OperationalError:  # not made yet
        rows = []
    finally:
        store.close()
    return {call_id: json.loads(record) for call_id, record in rows}


@asynccontextmanager
async def consuming(url: str, place: Path) -> AsyncIterator[Process]:
    """The example, in a process of its own, with the system's libraries only."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(EXAMPLE), url,
        str(place / "token"), str(place / "copy.sqlite3"),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            _, said = await process.communicate()
            print(said.decode())  # seen if the test fails


@dataclass
class Line:
    """The network between the consumer and the feed: it can be cut."""

    feed_port: int
    port: int = 0
    _server: asyncio.Server | None = None
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()
        await asyncio.sleep(0.1)  # those who carried notice

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, thither = await asyncio.open_connection("127.0.0.1", self.feed_port)
        self._open += [writer, thither]
        await asyncio.gather(_pipe(reader, thither), _pipe(there, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(4096):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def write_token(house: FeedHouse, place: Path, *scopes: str) -> dict[str, str]:
    headers = await house.token(*scopes)
    (place / "token").write_text(
        headers["Authorization"].removeprefix("Bearer ") + "\n"
    )
    return headers


async def test_consumer_client_and_psql_read_the_same_call(
    postgres_server: Postgres,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_feed(tmp_path, postgres_url, monkeypatch) as house:
        headers = await write_token(house, tmp_path, "read", "personal")
        await house.put("kediri-1-1763756000.12", state=State.OPEN)
        await house.put("kediri-1-1763756000.12")
        async with consuming(house.url, tmp_path):
            await until(lambda: len(copied(tmp_path / "copy.sqlite3")) == 1)
        (by_consumer,) = copied(tmp_path / "copy.sqlite3").values()
        by_client = await house.get("/v1/calls/kediri-1-1763756000.12", headers)
        done = subprocess.run(
            [
                "psql", re.sub(r"\+\w+", "", postgres_url, count=1), "-X", "-A", "-t",
                "-c", "SELECT record FROM calls "
                "WHERE call_id = 'kediri-1-1763756000.12'",
            ],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        by_psql = json.loads(done.stdout)
    assert by_consumer == by_client == by_psql
    assert by_psql["revision"] == 2
    assert by_psql["ani"] == "081234567890"


async def test_killed_and_cut_off_it_has_every_last_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 again and again, and the line cut in the middle, while calls are
    written."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    copy = tmp_path / "copy.sqlite3"

    async def write(numbers: range) -> None:
        for number in numbers:
            for state in (State.OPEN, State.CLOSED):
                await house.put(f"k-1.{number}", state=state)

    async with open_feed(tmp_path, url, monkeypatch) as house:
        headers = await write_token(house, tmp_path, "read")
        line = Line(house.feed.city.network.feed_port)
        await line.mend()
        for first in (0, 10, 20):
            writing = asyncio.create_task(write(range(first, first + 10)))
            async with consuming(line.url, tmp_path):
                await until(lambda n=first: len(copied(copy)) > n + 3)
            await writing
        async with consuming(line.url, tmp_path) as process:
            await until(lambda: len(copied(copy)) == 30)
            await line.cut()
            await write(range(30, 33))
            await line.mend()
            await until(lambda: len(copied(copy)) == 33)
            assert process.returncode is None
        await line.cut()
        page = await house.get("/v1/calls", headers, limit="500")
    expected = {item["call_id"]: item["record"] for item in page["items"]}
    assert copied(copy) == expected
    assert {record["revision"] for record in expected.values()} == {2}


async def test_the_city_restored_an_older_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy follows it: it begins anew."""
    copy = tmp_path / "copy.sqlite3"
    for place, count in (("new", 3), ("older", 1)):
        url = f"sqlite+aiosqlite:///{tmp_path / place}.sqlite3"
        async with open_feed(tmp_path, url, monkeypatch) as house:
            await write_token(house, tmp_path, "read")
            for number in range(count):
                await house.put(f"k-1.{number}")
            async with consuming(house.url, tmp_path):
                await until(lambda n=count: len(copied(copy)) == n)


async def test_a_token_that_opens_nothing_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with open_feed(tmp_path, url, monkeypatch) as house:
        (tmp_path / "token").write_text("gerbang_0_0")
        async with consuming(house.url, tmp_path) as process:
            _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"the token opens nothing here" in said
