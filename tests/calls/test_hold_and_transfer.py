"""Hold, transfer and wrap-up of a real call, as its record tells them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pbx.simulator.script import Press, Script
from tests.calls.conftest import Town
from tests.calls.records import records

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

HOLD_SECONDS = 1.5
LATE_SECONDS = 1.0
"""A busy machine's phones and processes take this long at most."""


async def test_a_held_and_transferred_call(town: Town) -> None:
    call = await town.place(Script((Press("0"),)))
    operator, incoming = await call.ringing()
    await operator.wait_answered(incoming)
    await operator.hold()
    await asyncio.sleep(HOLD_SECONDS)
    await operator.resume()
    number = operator.settings.number
    other = town.city.operators["102" if number == "101" else "101"]
    before = len(other.calls)
    await operator.transfer(other.settings.number)
    taken = await other.wait_ringing(after=before)
    await other.wait_answered(taken)
    await asyncio.sleep(1)
    await call.hang_up()
    await other.wait_closed(taken)
    record = (await town.only_record(call)).whole
    assert record["hold_seconds"] == pytest.approx(HOLD_SECONDS, abs=LATE_SECONDS)
    (hold,) = record["holds"]
    assert hold["by"] == number
    assert hold["ended_at"] > hold["at"]
    (transfer,) = record["transfers"]
    passed_on = (transfer["kind"], transfer["by"], transfer["to"])
    assert passed_on == ("blind", number, other.settings.number)
    assert transfer["completed"]
    assert [kept["name"] for kept in record["recordings"]] == [
        f"{record['call_id']}.wav"
    ]
    wrap_up = await wrapped_up(town, record["call_id"])
    declared = town.city.city.queue("darurat").wrapup_seconds
    assert wrap_up == pytest.approx(declared, abs=LATE_SECONDS)


async def wrapped_up(town: Town, call_id: str) -> float:
    """The record is revised once the operator is ready again."""
    async with asyncio.timeout(20):
        while True:
            found: list[dict[str, Any]] = [
                r.whole for r in records(town.city) if r.call_id == call_id
            ]
            if found and (seconds := found[0]["wrap_up_seconds"]) is not None:
                return float(seconds)
            await asyncio.sleep(0.2)
