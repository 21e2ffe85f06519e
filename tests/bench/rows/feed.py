"""How fast other services can read."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from pbx.settings import PROJECT
from tests.bench.children import Child, child, python
from tests.bench.figures import median_and_p95, median_of, ratio
from tests.bench.months import run, synthesize
from tests.bench.row import Bench, BenchError, Result, Row
from tests.fakes.live_city import on_free_ports

READERS = 8
SECONDS = 4.0
ROUNDS = 3
PAGE = 100
_READY_SECONDS = 20.0


async def measure(bench: Bench) -> Result:
    """Pages and single calls from `gerbang feed`, the same bytes from bare aiohttp."""
    bench.tell("a month of records", 0.0)
    place = await _city(bench.scratch)
    seconds, rounds = (0.5, 1) if bench.quick else (SECONDS, ROUNDS)
    found: dict[str, list[float]] = {"page": [], "call": [], "bare page": []}
    late: list[float] = []
    async with place.served() as (url, headers):
        one = f"{url}/v1/calls/{await _first_call(url, headers)}"
        pages = f"{url}/v1/calls?limit={PAGE}"
        body = bench.scratch / "page.json"
        body.write_bytes(await _body(pages, headers))
        async with _bare(body, bench.scratch) as bare:
            for turn in range(rounds):
                bench.tell(f"round {turn + 1}", turn / rounds)
                for name, address in (
                    ("page", pages),
                    ("call", one),
                    ("bare page", bare),
                ):
                    took = await _read(address, headers, seconds)
                    found[name].append(len(took) / seconds)
                    late += took if name == "page" else []
    return Result(
        (
            median_of(f"pages of {PAGE} calls", found["page"], "reads/s"),
            *median_and_p95("a page", [1000 * each for each in late], "ms"),
            median_of("single calls", found["call"], "reads/s"),
            median_of("the same page, bare aiohttp", found["bare page"], "reads/s"),
            ratio("feed : bare aiohttp, pages", found["page"], found["bare page"]),
        ),
        (f"{READERS} readers at once; reader and server share the machine",),
    )


class _Place:
    """A city's state with a month of records in it, and its feed."""

    def __init__(self, scratch: Path, city: Path, url: str) -> None:
        self.scratch, self.city = scratch, city
        self.environment = {
            "GERBANG_STATE": str(scratch / "var"),
            "GERBANG_CITY": str(city),
            "GERBANG_DATABASE_URL": url,
        }

    @asynccontextmanager
    async def served(self) -> AsyncIterator[tuple[str, dict[str, str]]]:
        """The feed's address and the headers of a token, while the block lasts."""
        log = self.scratch / "feed.log"
        port = self.city.read_text().split("feed_port = ")[1].split()[0]
        url = f"http://127.0.0.1:{port}"
        argv = python("pbx", "token", "create", "bench", "--scope", "read")
        async with child(
            argv, log, answers=True, environment=self.environment
        ) as maker:
            assert maker.process.stdout
            token = (await maker.process.stdout.read()).decode().split()[-1]
        async with child(
            python("pbx", "feed"), log, environment=self.environment
        ) as feed:
            await _until_up(f"{url}/v1/health", feed)
            yield url, {"Authorization": f"Bearer {token}"}


async def _city(scratch: Path) -> _Place:
    text = (PROJECT / "asterisk-config" / "city.toml").read_text()
    generous = "\n[feed]\nrequests_per_second = 10000\nburst = 10000\n"
    city = scratch / "city.toml"
    city.write_text(on_free_ports(text) + generous)
    url = f"sqlite:///{scratch}/records.sqlite3"
    argv = python("pbx", "records", "rebuild", "--database", url, "--journal")
    journals = await synthesize(scratch)
    await run([*argv, str(journals)], scratch / "rebuild.log")
    return _Place(scratch, city, url)


async def _until_up(url: str, feed: Child) -> None:
    async with asyncio.timeout(_READY_SECONDS), aiohttp.ClientSession() as session:
        while True:
            if not feed.is_running:
                raise BenchError(f"the feed ended{feed.complaint()}")
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


async def _body(url: str, headers: dict[str, str]) -> bytes:
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url) as answer,
    ):
        answer.raise_for_status()
        return await answer.read()


async def _first_call(url: str, headers: dict[str, str]) -> str:
    page = json.loads(await _body(f"{url}/v1/calls?limit=1", headers))
    return str(page["items"][0]["call_id"])


@asynccontextmanager
async def _bare(body: Path, scratch: Path) -> AsyncIterator[str]:
    """aiohttp alone, in a process of its own, with these bytes for everybody."""
    argv = python("tests.bench.bare_pages", str(body))
    async with child(argv, scratch / "bare.log", answers=True) as server:
        answer = await server.answer(deadline_seconds=_READY_SECONDS)
        yield f"http://127.0.0.1:{answer['port']}/"


async def _read(url: str, headers: dict[str, str], seconds: float) -> list[float]:
    """Every reader asks again and again; how long each answer took, in seconds."""
    took: list[float] = []
    until = time.monotonic() + seconds

    async def reader(session: aiohttp.ClientSession) -> None:
        while (begin := time.monotonic()) < until:
            async with session.get(url) as answer:
                await answer.read()
                if answer.status != 200:
                    raise BenchError(f"{url} answered {answer.status}")
            took.append(time.monotonic() - begin)

    async with (
        aiohttp.ClientSession(headers=headers) as session,
        asyncio.TaskGroup() as readers,
    ):
        for _ in range(READERS):
            readers.create_task(reader(session))
    return took


ROW = Row(
    "feed",
    "Reads a second from the feed",
    f"""`gerbang feed` over a synthesized month on SQLite, {READERS} readers with one
    token (read only: every record is masked), asking for a page of {PAGE} calls, or one
    call, as fast as they are answered, {SECONDS:g} s a round. The rival is bare aiohttp
    in a process of its own that answers the very bytes of that page from memory.
    {ROUNDS} rounds in turn.""",
    measure,
)
