"""The calls everything is built for, on a whole running city with real audio."""

from __future__ import annotations

import asyncio

import pytest

from pbx.simulator.cel import Side
from pbx.simulator.script import HangUp, NoMedia, Press, Say, Script, Silence
from tests.calls.conftest import VOICE_ARRIVED, Town
from tests.calls.records import Record, settled
from tests.patience import until

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

RECORD_SECONDS = 2.0
"""From the hang-up to the record, at most."""
TALK_SECONDS = 3.0
AT_ONCE_SECONDS = 3.0
"""From the INVITE to a ringing phone, where nothing is to be waited for."""


async def talk(town: Town, script: Script, *, deadline_seconds: float = 15.0) -> Record:
    """Reach an operator, talk, hang up; returns the record once all is proved."""
    call = await town.place(script)
    operator, incoming = await call.ringing(deadline_seconds=deadline_seconds)
    await operator.wait_answered(incoming)
    await asyncio.sleep(TALK_SECONDS)
    result = await call.hang_up()
    await operator.wait_closed(incoming)
    record = await town.only_record(call)
    assert record.disposition == "connected"
    assert record.whole["operator"] == operator.settings.number
    assert record.whole["hung_up_by"] == "caller"
    assert town.seconds_to_record(record, result) <= RECORD_SECONDS
    if isinstance(script.afterwards, Say):
        assert town.operator_heard_caller(incoming) >= VOICE_ARRIVED
    assert town.caller_heard_operator(result) >= VOICE_ARRIVED
    return record


def verdict(record: Record) -> tuple[str, str]:
    told = record.whole["verdict"]
    return told["verdict"], told["reason"]


@pytest.mark.parametrize("key", ["0", "5", "#"])
async def test_any_key_leads_to_an_operator(town: Town, key: str) -> None:
    script = Script((Silence(1.0), Press(key)), afterwards=Say(town.caller_voice))
    record = await talk(town, script)
    assert verdict(record) == ("pass", "key")
    assert [pressed["digit"] for pressed in record.whole["keys"]] == [key]
    assert record.whole["number"] == "112"


async def test_a_voice_leads_to_an_operator(town: Town) -> None:
    script = Script((Silence(0.5),), afterwards=Say(town.caller_voice))
    ruling, reason = verdict(await talk(town, script))
    assert ruling == "pass"
    assert reason in {"voice", "whisper", "cry"}


async def test_no_media_leads_to_an_operator(town: Town) -> None:
    """Not one packet: it may be the trunk's fault, so nobody is released for it."""
    script = Script(afterwards=NoMedia(60))
    record = await talk(town, script, deadline_seconds=40)
    assert verdict(record)[1] == "no-media"


async def test_a_withheld_number_is_told_to_the_operator(town: Town) -> None:
    """112 may see it: the carrier asserts it (RFC 3325) though From is anonymous."""
    script = Script((Press("1"),), afterwards=Say(town.caller_voice), withheld=True)
    record = await talk(town, script)
    assert record.ani.startswith("0811")
    assert record.whole["presentation"].startswith("prohib")


async def test_silence_takes_the_citys_policy_and_the_next_call_goes_through(
    town: Town,
) -> None:
    """And as the goodbye promises: no greeting, no filter, an operator."""
    flow = town.city.city.flows["filter0"]
    assert flow.filter.silent == "release", "the reference city releases proven silence"
    first = await town.place(Script())
    result = await first.finished(deadline_seconds=60)
    record = await town.only_record(first)
    assert result.hung_up_by is Side.CITY
    assert record.disposition == "released"
    assert verdict(record) == ("release", "silent")
    assert not first.rung()
    assert town.seconds_to_record(record, result) <= RECORD_SECONDS
    second = await town.city.place_call(first.placed.script)
    assert await second.ringing_after_seconds(deadline_seconds=40) < AT_ONCE_SECONDS
    operator, incoming = await second.ringing()
    await operator.wait_answered(incoming)
    await second.hang_up()
    await operator.wait_closed(incoming)
    found = await settled(town.city, [first.placed.script.number])
    again = max(found, key=lambda record: record.call_id)
    assert len(found) == 2
    assert verdict(again) == ("pass", "repeat-caller")
    assert again.disposition == "connected"


async def test_hanging_up_in_the_greeting_leaves_a_record(town: Town) -> None:
    call = await town.place(Script((Silence(1.0), HangUp())))
    result = await call.finished()
    record = await town.only_record(call)
    assert result.hung_up_by is Side.CALLER
    assert record.disposition == "left"
    assert not call.rung()
    assert town.seconds_to_record(record, result) <= RECORD_SECONDS


async def test_every_invite_has_one_record(town: Town) -> None:
    """Last: whatever this session did to the city, INVITEs = records."""
    assert town.invites()
    await until(lambda: town.recorded() == town.invites())
