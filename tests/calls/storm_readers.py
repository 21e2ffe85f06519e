"""Who reads the records in the storm: the example consumer, and a stopwatch."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from pbx.settings import PROJECT
from pbx.simulator.trial import TrialCity
from tests.calls.storm import Harm

CONSUMER = PROJECT / "docs" / "examples" / "consumer.py"


def feed_url(city: TrialCity) -> str:
    return f"http://127.0.0.1:{city.city.network.feed_port}"


async def token(city: TrialCity, scratch: Path) -> Path:
    """A file with a new token for the city's feed."""
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pbx", "token", "create", "storm"),
        *("--scope", "read", "--scope", "personal"),
        env=os.environ | city.environment | {"GERBANG_STATE": str(city.settings.state)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asked.communicate()
    assert asked.returncode == 0
    file = scratch / "token.txt"
    file.write_text(out.decode().split()[-1])
    return file


@dataclass(slots=True)
class Follower:
    """The example consumer in a process of its own, and the store it keeps."""

    url: str
    token_file: Path
    store: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", sys.executable, str(CONSUMER)),
            *(self.url, str(self.token_file), str(self.store)),
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
            self.process = None

    def revisions(self) -> dict[str, int]:
        """What it has: call → revision."""
        with closing(sqlite3.connect(self.store, timeout=10)) as store:
            return dict(store.execute("SELECT call_id, revision FROM calls"))


def follower_killed(follower: Follower) -> Harm:
    """The consumer is killed every 2 to 5 seconds, and started again."""

    async def harm(city: TrialCity, dice: random.Random, done: Counter[str]) -> None:
        await follower.start()
        while True:
            await asyncio.sleep(dice.uniform(2.0, 5.0))
            await follower.kill()
            await follower.start()
            done["consumer killed"] += 1

    return harm


async def has_all(
    follower: Follower, wanted: dict[str, int], *, deadline_seconds: float = 90.0
) -> dict[str, int]:
    """Wait until the consumer has just these revisions; what it has then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(deadline_seconds):
            while follower.revisions() != wanted:
                await asyncio.sleep(0.2)
    return follower.revisions()


@dataclass(slots=True)
class Stopwatch:
    """When each closed record could be read, against when its call ended."""

    late_seconds: dict[str, float] = field(default_factory=dict)

    def percentile(self, share: float) -> float:
        """Seconds; `share` 0…1."""
        late = sorted(self.late_seconds.values())
        return late[min(len(late) - 1, round(share * (len(late) - 1)))]

    def note(self, records: list[dict[str, str]]) -> None:
        """A page that has just come."""
        at = datetime.now(UTC)
        for record in records:
            if record["state"] == "closed" and record["ended_at"]:
                ended = datetime.fromisoformat(record["ended_at"])
                late = (at - ended).total_seconds()
                self.late_seconds.setdefault(record["call_id"], late)


@asynccontextmanager
async def stopwatch(city: TrialCity, token_file: Path) -> AsyncIterator[Stopwatch]:
    """Long-polls the feed while the block lasts."""
    watch = Stopwatch()
    bearer = {"Authorization": f"Bearer {token_file.read_text()}"}

    async def follow() -> None:
        async with aiohttp.ClientSession(feed_url(city), headers=bearer) as reader:
            query = {"wait": "20", "limit": "500"}
            while True:
                async with reader.get("/v1/calls", params=query) as answer:
                    answer.raise_for_status()
                    page = await answer.json()
                watch.note([item["record"] for item in page["items"]])
                query["after"] = page["next"]

    task = asyncio.create_task(follow())
    try:
        yield watch
    finally:
        task.cancel()
        for ended in await asyncio.gather(task, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
