"""Callers by the hundred while recorder, database, journal and disk fail: one record
for each INVITE all the same, and whoever follows the feed has seen the last word of it.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pbx.simulator.trial import TrialCity
from tests.calls import faults
from tests.calls.scene import ready_again
from tests.calls.storm import (
    PER_SECOND,
    Caller,
    Harm,
    Reckoning,
    Seen,
    call_all,
    calm_policy,
    harmed,
    people,
    reckon,
    watched,
)
from tests.calls.storm_harms import (
    disk_filled,
    file_locked,
    journal_rotated,
    recorder_killed,
    server_stopped,
)
from tests.calls.storm_readers import (
    Follower,
    feed_url,
    follower_killed,
    has_all,
    stopwatch,
    token,
)
from tests.calls.storm_report import (
    Calm,
    Run,
    Storm,
    as_markdown,
    this_machine,
    write,
)
from tests.postgres import Postgres

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]

SECONDS = float(os.environ.get("GERBANG_STORM_SECONDS", "60"))
SEED = int(os.environ.get("GERBANG_STORM_SEED", "112"))
DISK = "64m"


@dataclass(frozen=True, slots=True)
class Weathered:
    """A storm that is over."""

    callers: list[Caller]
    seen: Seen
    done: Counter[str]
    """The harm."""
    found: Reckoning
    copied: dict[str, int]
    """What the example consumer has in the end: call → revision."""


@asynccontextmanager
async def small_city(url: str, state: Path | None) -> AsyncIterator[TrialCity]:
    environment = {"GERBANG_DATABASE_URL": url}
    async with TrialCity(calm_policy, state=state, environment=environment) as city:
        for number in ("101", "102"):
            await city.operator(number, answer_after_seconds=0.2)
        yield city


async def weather(
    city: TrialCity, url: str, harms: list[Harm], seconds: float, scratch: Path
) -> Weathered:
    dice = random.Random(SEED)  # noqa: S311 — a storm that can be had again
    callers = people(round(seconds * PER_SECOND), dice)
    follower = Follower(feed_url(city), await token(city, scratch), scratch / "copy")
    harms = [*harms, follower_killed(follower)]
    try:
        async with watched(url) as seen:
            async with harmed(city, harms, dice) as done:
                await call_all(city, callers, scratch, PER_SECOND)
            await city.wait_idle(deadline_seconds=60)
            await ready_again(city)
            found = await reckon(url, callers)
        copied = await has_all(follower, found.newest)
    finally:
        await follower.kill()
    assert len(done) == len(harms), f"not every harm was done: {done}"
    return Weathered(callers, seen, done, found, copied)


class Page:
    """The report so far, on the page that `--storm-report` names."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._storms: list[Storm] = []
        self._calms: list[Calm] = []
        cores, load = this_machine()
        at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        self._run = Run(SECONDS, PER_SECOND, SEED, at, cores, load)

    def add(self, one: Storm | Calm) -> None:
        if isinstance(one, Storm):
            self._storms.append(one)
        else:
            self._calms.append(one)
        if self._path is not None:
            write(self._path, as_markdown(self._run, self._storms, self._calms))


@pytest.fixture(scope="module")
def page(pytestconfig: pytest.Config) -> Page:
    name = pytestconfig.getoption("--storm-report")
    return Page(Path(name) if name else None)


def told(name: str, storm: Weathered) -> Storm:
    found = storm.found
    return Storm(
        name,
        callers=len(storm.callers),
        missing=len(found.missing),
        twice=len(found.twice),
        strangers=len(found.strangers),
        gaps=len(found.gaps),
        went_back=len(storm.seen.went_back),
        incomplete=found.incomplete,
        revisions=found.revisions,
        has_last_word=storm.copied == found.newest,
        looks=storm.seen.looks,
        blind=storm.seen.blind,
        harm=storm.done,
    )


def check(storm: Weathered) -> None:
    print(
        f"\n{len(storm.callers)} callers: {dict(storm.found.dispositions)}, "
        f"{storm.found.incomplete} incomplete, {storm.found.revisions} revisions; "
        f"{storm.seen.looks} looks, {storm.seen.blind} without a database; "
        f"harm: {dict(storm.done)}"
    )
    assert storm.found.is_sound, storm.found
    assert not storm.seen.went_back, storm.seen.went_back[:5]
    assert storm.copied == storm.found.newest, "the consumer has other revisions"
    assert storm.seen.looks > storm.seen.blind, "nobody looked"


@contextmanager
def sqlite_on_small_disk(place: Path) -> Iterator[tuple[str, Path]]:
    with faults.small_disk(place, size=DISK):
        file = place / "records.sqlite3"
        yield f"sqlite+aiosqlite:///{file}", file


async def test_a_short_storm_leaves_one_record_each(tmp_path: Path) -> None:
    """Ten seconds of it on SQLite; `make campaign` has the minutes."""
    with sqlite_on_small_disk(tmp_path / "disk") as (url, _):
        async with small_city(url, tmp_path / "state") as city:
            harms = [recorder_killed, journal_rotated]
            storm = await weather(city, url, harms, 5.0, tmp_path)
    check(storm)
    assert not storm.found.incomplete, "no line was lost"


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_sqlite_through_the_storm(tmp_path: Path, page: Page) -> None:
    with sqlite_on_small_disk(tmp_path / "disk") as (url, file):
        async with small_city(url, tmp_path / "state") as city:
            harms = [
                *(recorder_killed, journal_rotated),
                *(file_locked(file), disk_filled(file.parent)),
            ]
            storm = await weather(city, url, harms, SECONDS, tmp_path)
    page.add(told("SQLite", storm))
    check(storm)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@pytest.mark.parametrize("full", [False, True], ids=["", "journal's disk fills"])
async def test_postgres_through_the_storm(
    tmp_path: Path,
    postgres_server: Postgres,
    postgres_url: str,
    full: bool,
    page: Page,
) -> None:
    state = tmp_path / "state"
    journals = state / "asterisk" / "log" / "cel-custom"
    with faults.small_disk(journals, size=DISK):
        async with small_city(postgres_url, state) as city:
            harms = [recorder_killed, journal_rotated, server_stopped(postgres_server)]
            if full:
                harms.append(disk_filled(journals))
            storm = await weather(city, postgres_url, harms, SECONDS, tmp_path)
    page.add(told("PostgreSQL, journal's disk fills" if full else "PostgreSQL", storm))
    check(storm)
    assert full or not storm.found.incomplete, "no line was lost"


@pytest.mark.campaign
@pytest.mark.timeout(0)
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_a_record_can_be_read_at_once(
    tmp_path: Path, store: str, request: pytest.FixtureRequest, page: Page
) -> None:
    """The same crowd and no fault: by API, 99 of 100 within 2 s of the hang-up."""
    url = f"sqlite+aiosqlite:///{tmp_path}/records.sqlite3"
    if store == "postgres":
        url = request.getfixturevalue("postgres_url")
    dice = random.Random(SEED)  # noqa: S311
    callers = people(round(SECONDS * PER_SECOND), dice)
    async with (
        small_city(url, None) as city,
        stopwatch(city, await token(city, tmp_path)) as watch,
    ):
        await call_all(city, callers, tmp_path, PER_SECOND)
        await city.wait_idle(deadline_seconds=60)
        found = await reckon(url, callers)
    late = [watch.percentile(share) for share in (0.5, 0.99, 1.0)]
    print(
        f"\n{store}: read after {late[0]:.2f} s (median), {late[1]:.2f} s (99th "
        f"percentile), {late[2]:.2f} s (last); {len(watch.late_seconds)} calls"
    )
    name = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[store]
    page.add(Calm(name, len(watch.late_seconds), *late))
    assert found.is_sound, found
    assert set(watch.late_seconds) >= set(found.newest)
    assert late[1] <= 2.0
