"""Callers who break the rules: they must not harm the next one.

After every one of them no channel is left, the journal can be read to its end, and a
decent caller still reaches an operator. Asterisk alone takes these calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pbx.asterisk.render import CALLER_PIECE, CALLER_PIECES
from pbx.model.call import Call, Direction
from pbx.model.channels import birth, group
from pbx.model.events import ChannelStarted, read_event
from pbx.model.fold import fold
from pbx.simulator.script import Press, Script
from pbx.simulator.sipp import SippResult, run_scenario
from pbx.simulator.trial import TrialCity, TrialError

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

SCENARIOS = Path(__file__).parent / "sipp"

NAMES = {
    "quotes": r'"a \"b\" c"',
    "commas and semicolons": '"x,y;z&w=1"',
    "dialplan": '"${SHELL(id)}"',
    "backslash": r'"a\\"',
    "emoji": '"🔥 tolong 🔥"',
    "control characters": '"a%0d%0ab"',
    "2000 characters": f'"{"a" * 2000}"',
    "smiley": '"Budi :)"',
    "offset": '"b):1:2"',
    "parentheses": '")(:)((:0:1"',
    "braces": '"}:1}${EXTEN:1}${"',
    "expression": '"$[1 + 1]:2)]:1"',
}
ASSERTED_CHARACTERS = CALLER_PIECE * CALLER_PIECES


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city() -> AsyncIterator[TrialCity]:
    async with TrialCity(python=False) as city:
        await city.operator("101")
        yield city


async def play(
    city: TrialCity, name: str, *, source: str | None = None, **keys: str
) -> SippResult:
    network = city.city.network
    return await run_scenario(
        SCENARIOS / f"{name}.xml",
        city=(network.sip_address, network.sip_port),
        source=source or city.place.carrier,
        keys={"caller": "081555000111"} | keys,
    )


async def still_serves(city: TrialCity) -> None:
    """No channel left, every journal line readable, and the next caller gets in."""
    await city.wait_idle()
    for line in city.journal_lines():
        read_event(line)
    call = await city.place_call(Script((Press("0"),)))
    operator, incoming = await call.ringing()
    await call.hang_up()
    await operator.wait_closed(incoming)
    await city.wait_idle()


def invites(city: TrialCity) -> int:
    return sum(
        isinstance(event, ChannelStarted) and event.context == "from-trunk"
        for event in map(read_event, city.journal_lines())
    )


def calls_told(city: TrialCity) -> list[Call]:
    """The records of those who came in, in order."""
    events = map(read_event, city.journal_lines())
    calls = [fold(some) for some in group(events)]
    return sorted(
        (call for call in calls if call.direction is Direction.INCOMING),
        key=lambda call: birth(call.call_id),
    )


@pytest.mark.parametrize("display", NAMES.values(), ids=NAMES.keys())
async def test_any_name_is_served(city: TrialCity, display: str) -> None:
    before = invites(city)
    identity = f"{display} <sip:081555000111@kediri.example>"
    result = await play(city, "odd-name", display=display, identity=identity)
    assert result.code == 0, result.said
    await still_serves(city)
    assert invites(city) == before + 2
    odd, decent = calls_told(city)[-2:]
    printable = "".join(c for c in identity if " " <= c <= "~")
    assert odd.caller.asserted == printable[:ASSERTED_CHARACTERS]
    assert odd.ani == "081555000111"
    assert [odd.incomplete, decent.incomplete] == [False, False]


async def test_an_odd_number_keeps_its_digits(city: TrialCity) -> None:
    """A user part may be `0815):500)`, the colon escaped."""
    identity = "<sip:0815)%3A500)@kediri.example>"
    result = await play(city, "odd-name", display='"x):1"', identity=identity)
    assert result.code == 0, result.said
    await still_serves(city)
    odd = calls_told(city)[-2]
    assert (odd.ani, odd.caller.asserted) == ("0815500", identity)


async def test_cancel_crosses_the_answer(city: TrialCity) -> None:
    await play(city, "cancel")
    await still_serves(city)


async def test_an_answer_never_acknowledged(city: TrialCity) -> None:
    """The ACK may be lost and the caller real: he is brought to an operator, who ends
    the call when nobody is there. Asterisk itself keeps it for as long as it takes."""
    before = len(city.operators["101"].calls)
    result = await play(city, "no-ack")
    assert result.code == 0, result.said
    await operator_ends_it(city, before)
    await still_serves(city)


async def operator_ends_it(city: TrialCity, before: int) -> None:
    """A call whose caller is gone without a word: the operator hears nobody."""
    operator = city.operators["101"]
    incoming = await operator.wait_ringing(after=before, deadline_seconds=20)
    await operator.wait_answered(incoming)
    await asyncio.sleep(1.0)  # a person listens before giving up
    await operator.hang_up()
    await operator.wait_closed(incoming)


async def test_a_wrong_content_length(city: TrialCity) -> None:
    """Refused or taken for what it is. Where it is taken, SIPp, which expects nothing,
    answers with CANCEL or BYE, whichever its timing makes of it: a CANCEL comes too
    late, and then an operator ends the call."""
    before = len(city.operators["101"].calls)
    await play(city, "wrong-length")
    try:
        await city.wait_idle(deadline_seconds=2)
    except TrialError:
        await operator_ends_it(city, before)
    await still_serves(city)


async def test_a_stranger_never_gets_in(city: TrialCity) -> None:
    before = invites(city)
    result = await play(city, "stranger", source=city.place.stranger)
    assert result.code == 0, result.said
    assert invites(city) == before
    await still_serves(city)
