"""What can go wrong once an operator has answered, and must not cost the call.

A phone that dies in mid-call, transfers that reach nobody: the caller is brought to an
operator again, before all others; a call that somebody ended is over.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pbx.asterisk.render import PHONE_DEAD_SECONDS
from pbx.asterisk.secrets import read_secrets
from pbx.simulator.operator import IncomingCall, Operator
from pbx.simulator.trial import TrialCall, TrialCity
from tests.calls.records import Record
from tests.calls.scene import one_record_each, own_city, pressing
from tests.fakes.desk_phone import DeskPhone

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]


TALK_SECONDS = 1.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole_city() -> AsyncIterator[TrialCity]:
    async with own_city() as city:
        yield city


@pytest_asyncio.fixture(loop_scope="module")
async def city(whole_city: TrialCity) -> AsyncIterator[TrialCity]:
    """Both operators at their phones, and no channel left behind."""
    for number in ("101", "102"):
        await whole_city.operator(number)
    yield whole_city
    await whole_city.wait_idle()


async def talk(city: TrialCity) -> tuple[TrialCall, Operator, Operator]:
    """A caller, the operator who talks with him, and the other one."""
    call = await city.place_call(pressing(0.3))
    operator, incoming = await call.ringing()
    await operator.wait_answered(incoming)
    await asyncio.sleep(TALK_SECONDS)
    others = [one for one in city.operators.values() if one is not operator]
    return call, operator, others[0]


async def talks_again(
    city: TrialCity, call: TrialCall, after: int, *, within_seconds: float = 10.0
) -> Operator:
    """Who talks with this caller once he has rung at more than `after` phones."""
    async with asyncio.timeout(within_seconds):
        while len(rung := rung_for(call)) <= after or not rung[-1][1].answered_at:
            await asyncio.sleep(0.05)
    await asyncio.sleep(TALK_SECONDS)
    assert rung[-1][1].closed_at is None
    return rung[-1][0]


def rung_for(call: TrialCall) -> list[tuple[Operator, IncomingCall]]:
    """Each time a phone rang for this caller, in order."""
    mine = [
        (operator, incoming)
        for operator, incoming in call.rung()
        if call.placed.script.number in incoming.peer
    ]
    return sorted(mine, key=lambda pair: pair[1].ringing_at)


async def end(city: TrialCity, operator: Operator, call: TrialCall) -> Record:
    """The operator hangs up: that, and nothing else, must end the call. Its record."""
    await operator.hang_up()
    await call.finished(deadline_seconds=5)
    [record] = await one_record_each(city, [call])
    assert record.disposition == "connected"
    assert record.whole["hung_up_by"] == "operator"
    assert not record.incomplete
    return record


def queued(record: Record) -> list[tuple[int, str | None]]:
    return [(stay["priority"], stay["status"]) for stay in record.whole["queued"]]


async def test_who_is_hung_up_on_by_an_operator_is_not_queued_again(
    city: TrialCity,
) -> None:
    call, operator, _ = await talk(city)
    assert queued(await end(city, operator, call)) == [(10, None)]


async def test_a_phone_that_dies_gives_its_caller_back(city: TrialCity) -> None:
    call, operator, other = await talk(city)
    await operator.vanish()
    again = await talks_again(city, call, 1, within_seconds=PHONE_DEAD_SECONDS + 15)
    assert again is other
    record = await end(city, other, call)
    assert queued(record) == [(10, "CONTINUE"), (100, None)]
    assert record.whole["rings"][0]["cause"] == 44


async def test_a_silent_phone_on_hold_is_not_a_dead_one(city: TrialCity) -> None:
    call, operator, other = await talk(city)
    before = len(other.calls)
    await operator.hold()
    await asyncio.sleep(PHONE_DEAD_SECONDS + 2)
    assert not call.placed.so_far().is_over
    assert len(other.calls) == before
    await end(city, operator, call)


async def test_a_transfer_that_is_refused_comes_back(city: TrialCity) -> None:
    call, operator, other = await talk(city)
    other.answer_after_seconds = None
    before = len(other.calls)
    await operator.transfer(other.settings.number)
    await other.wait_ringing(after=before)
    other.answer_after_seconds = 0.2
    await other.hang_up()
    record = await end(city, await talks_again(city, call, 2), call)
    assert queued(record)[-1] == (100, None)


async def test_a_transfer_to_a_wrong_number_comes_back(city: TrialCity) -> None:
    """baresip hangs up when its transfer is refused: so none is."""
    call, operator, _ = await talk(city)
    await operator.transfer("999")
    record = await end(city, await talks_again(city, call, 1), call)
    assert queued(record)[-1] == (100, None)


async def test_a_transfer_to_a_phone_that_dies_comes_back(city: TrialCity) -> None:
    call, operator, other = await talk(city)
    await operator.transfer(other.settings.number)
    assert await talks_again(city, call, 1) is other
    await other.vanish()
    again = await talks_again(city, call, 2, within_seconds=PHONE_DEAD_SECONDS + 15)
    assert again is operator
    await end(city, operator, call)


async def test_a_transfer_to_a_ringing_phone_that_is_not_answered_comes_back(
    city: TrialCity,
) -> None:
    """The operator asks a colleague, and leaves before he has answered: the caller
    takes the operator's place in the operators' own context."""
    await city.operators.pop("101").stop()
    await city.operators.pop("102").stop()
    password = read_secrets(city.settings.secrets_file).operators["101"]
    network = city.city.network
    server = (network.sip_address, network.sip_port)
    async with DeskPhone("101", password, city.place.phone("101"), server) as desk:
        call = await city.place_call(pressing(0.3))
        caller = await desk.answered()
        colleague = await city.operator("102", answer_after_seconds=None)
        consulted = await desk.dial("102")
        await desk.transfer(caller, consulted)
        for dialog in desk.dialogs:
            desk.hang_up(dialog)
        before = len(colleague.calls)
        colleague.answer_after_seconds = 0.2
        await colleague.hang_up()
        ringing = await colleague.wait_ringing(after=before, deadline_seconds=20)
        assert call.placed.script.number in ringing.peer
        await end(city, await talks_again(city, call, 0), call)


async def test_no_render_takes_the_ground_from_under_a_caller(city: TrialCity) -> None:
    """Asterisk hangs up whose context a reload has taken away."""
    declared = city.settings.city_file.read_text()
    call = await city.place_call(pressing(12.0))  # `render` takes a while
    await call.answered()
    try:
        city.settings.city_file.write_text(declared.replace("filter0", "other"))
        code, said = await gerbang(city, "render", "--no-boot")
    finally:
        city.settings.city_file.write_text(declared)
    assert code != 0
    assert "1 in filter-filter0" in said
    operator, incoming = await call.ringing()
    await operator.wait_answered(incoming)
    await asyncio.sleep(TALK_SECONDS)
    await end(city, operator, call)


async def gerbang(city: TrialCity, *words: str) -> tuple[int | None, str]:
    """One of our commands on this city: its status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pbx", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ
        | {
            "GERBANG_STATE": str(city.settings.state),
            "GERBANG_CITY": str(city.settings.city_file),
            "COLUMNS": "1000",
        },
    )
    said, _ = await process.communicate()
    return process.returncode, " ".join(said.decode().split())
