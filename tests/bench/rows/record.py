"""From the caller's hang-up to a record that others can read."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.model.call import State
from pbx.records.database import open_engine
from pbx.records.tables import calls
from tests.bench.figures import median_and_p95
from tests.bench.row import Bench, Result, Row
from tests.bench.telephony.floor import AT_ONCE, Floor, operators_floor

CALLS = 40
_RING_SECONDS = 30.0
_RECORD_SECONDS = 15.0
_LOOK_EVERY_SECONDS = 0.01


async def measure(bench: Bench) -> Result:
    """Callers press a key, ring an operator, hang up, and look for their record."""
    count = 4 if bench.quick else CALLS
    seconds: list[float] = []
    missing = 0
    bench.tell("starting the city", 0.0)
    async with operators_floor() as floor:
        engine = open_engine(floor.city.settings.database_url, writes=False)
        todo = iter(range(count))

        async def caller(place: int) -> None:
            nonlocal missing
            await asyncio.sleep(place * 0.37)
            for number in todo:
                bench.tell(f"call {number + 1} of {count}", number / count)
                found = await _one(floor, engine, f"0812{number:06d}")
                if found is None:
                    missing += 1
                else:
                    seconds.append(found)

        try:
            async with asyncio.TaskGroup() as callers:
                for place in range(AT_ONCE):
                    callers.create_task(caller(place))
        finally:
            await engine.dispose()
        told = [
            f"{count} calls; no closed record within {_RECORD_SECONDS:g} s: {missing}",
            *floor.told(),
        ]
    return Result(tuple(median_and_p95("hang-up → record", seconds, "s")), tuple(told))


async def _one(floor: Floor, engine: AsyncEngine, number: str) -> float | None:
    ring = floor.rings.expect(number)
    call = await floor.exchange.dial(number)
    try:
        await call.media.press("0")
        with suppress(TimeoutError):
            await asyncio.wait_for(ring, _RING_SECONDS)
        await asyncio.sleep(0.2)
    finally:
        hung_up_at = await call.hang_up()
    while (now := time.monotonic()) < hung_up_at + _RECORD_SECONDS:
        if await _has_record(engine, number):
            return now - hung_up_at
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    return None


async def _has_record(engine: AsyncEngine, number: str) -> bool:
    wanted = select(calls.c.call_id).where(
        calls.c.ani == number, calls.c.state == State.CLOSED
    )
    async with engine.connect() as connection:
        return (await connection.execute(wanted)).first() is not None


ROW = Row(
    "record",
    "From hang-up to the record",
    f"""{CALLS} calls into the city under `gerbang run`, {AT_ONCE} at a time; each
    presses a key, makes an operator's phone ring and hangs up. From the moment BYE is
    sent until a query finds the call's closed record in the store (the embedded
    default, SQLite), asked every {_LOOK_EVERY_SECONDS * 1000:.0f} ms.""",
    measure,
)
