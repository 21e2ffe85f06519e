"""Ten calls a second, and everything that records stand on broken meanwhile.

`call_all` places the callers (SIPp) while `harmed` breaks things; afterwards `reckon`
counts: each INVITE has one record, and the outbox tells each revision once, in order.
`watched` looks all the time: no record goes back a revision.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.records.database import open_engine
from pbx.records.tables import calls, outbox
from pbx.simulator.declaration import Declaration
from pbx.simulator.sipp import SippError, run_scenario
from pbx.simulator.trial import TrialCity
from tests.bench.sound import quiet_line

PER_SECOND = 10.0
SCENARIO = Path(__file__).parent / "sipp" / "storm.xml"
_LOOK_SECONDS = 0.25
_DRAIN_SECONDS = 40.0
_SETTLE_SECONDS = 60.0

Harm = Callable[[TrialCity, random.Random, Counter[str]], Awaitable[None]]
"""Goes on doing its harm until it is cancelled; counts what it did."""


def calm_policy(declared: Declaration) -> None:
    """Who says nothing waits for an operator, soon; operators have no wrap-up."""
    for flow in declared["flows"].values():
        flow |= {"wait_seconds": 1.0, "second_wait_seconds": 1.0}
        flow["filter"] |= {"silent": "low-priority"}
    for queue in declared["queues"]:
        queue["wrapup_seconds"] = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """A number nobody else has, and how long after the answer he hangs up."""

    number: str
    stays_seconds: float


def people(count: int, dice: random.Random) -> list[Caller]:
    """Some give up at once, most in the greeting, some wait for an operator."""
    spans = [(0.02, 0.5), (0.5, 6.0), (0.5, 6.0), (12.0, 18.0)]
    return [
        Caller(f"0817{number:07d}", round(dice.uniform(*dice.choice(spans)), 3))
        for number in range(count)
    ]


async def call_all(
    city: TrialCity, callers: list[Caller], scratch: Path, per_second: float
) -> None:
    """Place them; returns when the last has hung up. Raises SippError if SIPp could
    not even send."""
    table, sound = scratch / "callers.csv", scratch / "quiet.alaw"
    rows = (f"{c.number};{c.stays_seconds * 1000:.0f}" for c in callers)
    table.write_text("\n".join(["SEQUENTIAL", *rows]) + "\n")
    sound.write_bytes(quiet_line(4.0))
    scenario = scratch / "storm.xml"
    text = SCENARIO.read_text().replace("[sound]", str(sound))  # SIPp fills it nowhere
    scenario.write_text(text)
    network = city.city.network
    done = await run_scenario(
        scenario,
        city=(network.sip_address, network.sip_port),
        source=city.place.carrier,
        calls=len(callers),
        per_second=per_second,
        table=table,
        deadline_seconds=len(callers) / per_second + _DRAIN_SECONDS,
    )
    if done.code not in (0, 1):  # 1: the city hung up on somebody first
        raise SippError(done.said)


@dataclass(slots=True)
class Seen:
    """What somebody who looks at the store all the time has seen."""

    revisions: dict[str, int] = field(default_factory=dict)
    went_back: list[str] = field(default_factory=list)
    looks: int = 0
    blind: int = 0
    """Looks that found the database away."""

    async def look(self, engine: AsyncEngine) -> None:
        """Once."""
        self.looks += 1
        try:
            async with asyncio.timeout(3), engine.connect() as connection:
                rows = (
                    await connection.execute(
                        sa.select(calls.c.call_id, calls.c.revision)
                    )
                ).all()
        except (SQLAlchemyError, OSError, TimeoutError):
            self.blind += 1
            return
        now = {row.call_id: row.revision for row in rows}
        self.went_back += [
            f"{call_id}: revision {was}, then {now.get(call_id)}"
            for call_id, was in self.revisions.items()
            if now.get(call_id, 0) < was
        ]
        self.revisions = now


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[Seen]:
    """Look at the records four times a second while the block lasts."""
    seen, engine = Seen(), open_engine(url, writes=False)

    async def watch() -> None:
        while True:
            await seen.look(engine)
            await asyncio.sleep(_LOOK_SECONDS)

    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await engine.dispose()


@asynccontextmanager
async def harmed(
    city: TrialCity, harms: list[Harm], dice: random.Random
) -> AsyncIterator[Counter[str]]:
    """All of these harms at once, until the end of the block; yields what they did."""
    done: Counter[str] = Counter()
    tasks = [asyncio.create_task(harm(city, dice, done)) for harm in harms]
    try:
        yield done
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What the store holds in the end."""

    missing: list[str]
    """Numbers that called and have no closed record."""
    twice: list[str]
    strangers: list[str]
    """Records of nobody who called."""
    gaps: list[str]
    """Calls whose revisions in the outbox are not 1, 2, 3, … up to the record's."""
    newest: dict[str, int]
    """Call → its newest revision, of whatever the store holds."""
    incomplete: int
    dispositions: Counter[str]
    revisions: int

    @property
    def is_sound(self) -> bool:
        """One record each, every revision told."""
        return not (self.missing or self.twice or self.strangers or self.gaps)


async def reckon(url: str, callers: list[Caller]) -> Reckoning:
    """Wait until everybody has a closed record, or too long; then count."""
    engine = open_engine(url, writes=False)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while not (found := await _count(engine, callers)).is_sound:
                    await asyncio.sleep(0.5)
        await asyncio.sleep(1.0)  # a late double would come now
        found = await _count(engine, callers)
    finally:
        await engine.dispose()
    return found


async def _count(engine: AsyncEngine, callers: list[Caller]) -> Reckoning:
    async with engine.connect() as connection:
        every = (await connection.execute(sa.select(calls))).all()
        told = (
            await connection.execute(
                sa.select(outbox.c.call_id, outbox.c.revision).order_by(outbox.c.cursor)
            )
        ).all()
    rows = [r for r in every if r.direction == "incoming" and r.joined_into is None]
    numbers = {caller.number for caller in callers}
    closed = Counter(row.ani for row in rows if row.state == "closed")
    all_of = Counter(row.ani for row in rows)
    order: dict[str, list[int]] = {}
    for row in told:
        order.setdefault(row.call_id, []).append(row.revision)
    return Reckoning(
        missing=sorted(n for n in numbers if not closed[n]),
        twice=sorted(n for n, count in all_of.items() if count > 1),
        strangers=sorted(set(all_of) - numbers),
        gaps=sorted(
            row.call_id
            for row in rows
            if order.get(row.call_id) != list(range(1, row.revision + 1))
        ),
        newest={row.call_id: row.revision for row in every},
        incomplete=sum(row.incomplete for row in rows),
        dispositions=Counter(row.disposition for row in rows),
        revisions=len(told),
    )
