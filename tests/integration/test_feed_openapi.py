"""schemathesis asks whatever the OpenAPI document allows, and what it does not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from pbx.feed import app, routes
from pbx.feed.problems import Problem
from pbx.model.call import Recording, State
from tests.fakes.feed_house import STARTED, FeedHouse, open_feed

CITY_WITHOUT_LIMITS = """
[feed]
requests_per_second = 10000
burst = 100000
"""
KNOWN = """
[parameters]
"path.call_id" = "k-1.1"
"path.name" = "k-1.1.wav"
"""
"""Parameters that find something: with random ones every answer would be 404."""


@asynccontextmanager
async def filled_house(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedHouse]:
    """A feed with some calls, one of them still going on."""
    async with open_feed(tmp_path, url, monkeypatch, more=CITY_WITHOUT_LIMITS) as found:
        for n in range(5):
            await found.put(
                f"k-1.{n}",
                started_at=STARTED + timedelta(minutes=n),
                state=State.OPEN if n == 4 else State.CLOSED,
                recordings=(Recording(f"k-1.{n}.wav", STARTED),),
            )
            path = found.settings.recordings / f"k-1.{n}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(1000))
        yield found


def watched(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """Which operations were answered how."""
    answered: set[tuple[str, int]] = set()

    async def answer(
        route: routes.Route, request: web.Request, services: routes.Services
    ) -> web.StreamResponse:
        name = route.name
        if name == "readCalls" and "from" in request.query:
            name = "readCalls, a list"
        try:
            told = await routes.answer(route, request, services)
        except Problem as problem:
            answered.add((name, problem.status))
            raise
        answered.add((name, told.status))
        return told

    monkeypatch.setattr(app, "answer", answer)
    return answered


async def ask_everything(
    house: FeedHouse, tmp_path: Path, known: str, *, examples: int, seconds: int
) -> None:
    """Run schemathesis against the served document; fails with what it found."""
    token = await house.token("read", "personal", "audio", "admin")
    house.feed.services.stopping.set()  # nobody waits, and streams have an end
    (tmp_path / "schemathesis.toml").write_text(known)
    checks = (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{house.url}/v1/openapi.json",
        *("--checks", ",".join(checks)),
        *("--header", f"Authorization: {token['Authorization']}"),
        *("--max-examples", str(examples)),
        *("--seed", "112"),
        *("--request-timeout", "20"),
        *("--exclude-path", "/v1/openapi.json"),
        "--no-color",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    assert house.feed.services.figures.get("failures", 0) == 0
    assert house.feed.services.figures["requests"] > examples


async def test_no_server_error_and_every_answer_as_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    answered = watched(monkeypatch)
    async with filled_house(tmp_path, url, monkeypatch) as house:
        await ask_everything(house, tmp_path, KNOWN, examples=12, seconds=100)
    asked = {name for name, _ in answered}
    assert len(asked) == 11
    well = {name for name, status in answered if status < 300}
    assert asked - well == set(), "only ever asked wrongly"
    assert {status for _, status in answered} >= {200, 202, 400, 401, 415, 416}


@pytest.mark.campaign
@pytest.mark.postgres
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("known", [KNOWN, ""], ids=["known", "random"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_the_same_for_long(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database: str,
    known: str,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
    async with filled_house(tmp_path, url, monkeypatch) as house:
        await ask_everything(house, tmp_path, known, examples=300, seconds=1500)
