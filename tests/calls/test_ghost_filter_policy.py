"""What the city may ask of the filter, and what it may not: whole calls, real audio.

One city with a number for each policy; its callers call side by side.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from pbx.records.database import open_engine
from pbx.records.reviews import find
from pbx.simulator.declaration import Declaration
from pbx.simulator.script import NoMedia, Script
from pbx.simulator.trial import TrialCall, TrialCity
from pbx.simulator.voices import Samples, read_voice, write_voice
from tests.bench.telephony.caller import Exchange
from tests.calls.records import Record, database, settled
from tests.calls.scene import alarm, alarms, new_number, one_record_each, rings, silent
from tests.fakes.late_phone import LatePhone, Moment, spoken_seconds
from tests.patience import until

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

AT_ONCE_SECONDS = 3.0
POLICIES = {
    "112": {"holdout_percent": 100},
    "1121": {"mode": "shadow"},
    "1122": {"releases_per_hour": 1},
    "1123": {"holdout_percent": 0},
}
PROMPTS = 3
"""Greeting, second prompt, goodbye."""
END_SECONDS = 3.5


def a_number_for_each_policy(declared: Declaration) -> None:
    flow = declared["flows"]["filter0"] | {
        "wait_seconds": 1,
        "second_wait_seconds": 1,
        "release_prompt": "please-hold",  # half as long as the goodbye
    }
    number = declared["numbers"][0]
    declared["flows"] = {
        f"flow-{dialled}": flow | {"filter": flow["filter"] | policy}
        for dialled, policy in POLICIES.items()
    }
    declared["flows"]["flow-1123"] |= {
        "greeting": "please-hold",
        "second_prompt": "please-hold",
        "release_prompt": "goodbye",
    }
    declared["numbers"] = [
        number | {"number": dialled, "flow": f"flow-{dialled}"} for dialled in POLICIES
    ]
    for queue in declared["queues"]:
        queue["wrapup_seconds"] = 0


async def rung_and_left(call: TrialCall, deadline_seconds: float = 30) -> float:
    """Seconds from the INVITE until a phone rang for this caller, who then leaves."""
    at = await rings(call, deadline_seconds=deadline_seconds)
    seconds = (at - call.invited_at()).total_seconds()
    await call.hang_up()
    return seconds


def verdict(record: Record) -> tuple[str, str, bool, bool]:
    told = record.whole["verdict"]
    return told["verdict"], told["reason"], told["holdout"], told["shadow"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city() -> AsyncIterator[TrialCity]:
    async with TrialCity(change=a_number_for_each_policy) as city:
        await asyncio.gather(city.operator("101"), city.operator("102"))
        yield city


async def test_each_policy_is_kept_and_no_call_is_lost(city: TrialCity) -> None:
    no_media = Script(afterwards=NoMedia(60), number=new_number())
    mute = await city.place_call(no_media)
    quiet = [
        await city.place_call(replace(silent(), dialled=dialled))
        for dialled in ("112", "1121", "1122", "1122")
    ]
    drawn, watched, *budget = quiet
    names = ("mute", "drawn", "watched", "one", "other")
    called = dict(zip(names, (mute, *quiet), strict=True))
    # Somebody is idle, so who sends no audio is not asked a second time.
    assert await rung_and_left(mute) < 10
    await asyncio.gather(rung_and_left(drawn), rung_and_left(watched))
    await asyncio.gather(*(rung_or_released(call) for call in budget))
    found = await one_record_each(city, [mute, *quiet])
    told = {record.ani: record for record in found}
    at = {name: told[call.placed.script.number] for name, call in called.items()}
    assert verdict(at["mute"])[:2] == ("pass", "no-media")
    assert [p["name"] for p in at["mute"].whole["prompts"]] == ["greeting"]
    assert verdict(at["drawn"]) == ("low-priority", "silent", True, False)
    assert verdict(at["watched"]) == ("pass", "silent", False, True)
    ends = sorted(verdict(at[name])[:2] for name in ("one", "other"))
    assert ends == [("low-priority", "budget"), ("release", "silent")]
    assert "released" in {at[name].disposition for name in ("one", "other")}
    await switched_off_at_three_in_the_morning(city)


async def rung_or_released(call: TrialCall) -> None:
    """One of the two: the city hangs up, or a phone rings and the caller leaves."""
    ringing = asyncio.create_task(rung_and_left(call))
    ended = asyncio.create_task(call.finished(deadline_seconds=40))
    await asyncio.wait({ringing, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        await ended
    ringing.cancel()
    await asyncio.gather(ringing, return_exceptions=True)


async def switched_off_at_three_in_the_morning(city: TrialCity) -> None:
    """One command, and the next caller meets no filter; another, and it is back."""
    switch(city, "off")
    call = await city.place_call(replace(silent(), dialled="1122"))
    assert await rung_and_left(call) < AT_ONCE_SECONDS
    (record,) = await one_record_each(city, [call])
    assert verdict(record)[:2] == ("pass", "filter-off")
    assert await alarm(city, "filter-off")
    switch(city, "on")
    await until(lambda: "filter-off" not in alarms(city))


def switch(city: TrialCity, word: str) -> None:
    environment = os.environ | {"GERBANG_STATE": str(city.settings.state)}
    subprocess.run(
        [sys.executable, "-m", "pbx", "ghostfilter", word], env=environment, check=True
    )


async def test_a_key_just_after_the_goodbye_rings_and_silence_is_released(
    city: TrialCity,
) -> None:
    goodbye = the_end_of(city, "goodbye")
    there = (city.place.city, city.city.network.sip_port)
    exchange = await Exchange.open(city.place.carrier, there, b"")
    silent, *pressing = [new_number() for _ in range(3)]
    acts = (silent, 0.0, None), (pressing[0], 0.3, "5"), (pressing[1], 0.8, "5")
    for number, seconds, key in acts:
        moment = Moment(seconds, PROMPTS, spoken_seconds(goodbye))
        phone = LatePhone(city.place.carrier, moment, key)
        await exchange.dial(number, dialled="1123", stream=phone)
    await asyncio.gather(*(is_answered(city, number) for number in pressing))
    (released,) = await settled(city, [silent])
    await exchange.close()
    heard = await settled(city, pressing)
    assert (released.disposition, released.incomplete) == ("released", False)
    assert released.whole["release_prompt"] == "goodbye"
    assert not is_rung(city, silent)
    assert await kind(city, released) == "released"
    assert len(heard) == len(pressing)
    for saved in heard:
        assert (saved.disposition, saved.incomplete) == ("connected", False)
        assert saved.whole["verdict"]["verdict"] == "release"  # so it seemed
        assert saved.whole["released_at"] is None
        assert await kind(city, saved) == "saved"


def the_end_of(city: TrialCity, name: str) -> Samples:
    """Its last words, and what is listened to after them: nobody has time for more."""
    path = city.settings.sounds / city.city.city.language / f"{name}.wav"
    end = read_voice(path)[-int(END_SECONDS * 8000) :]
    write_voice(path, end)
    return end


async def kind(city: TrialCity, record: Record) -> str:
    """As the review list knows it."""
    engine = open_engine(f"sqlite+aiosqlite:///{database(city)}", writes=False)
    try:
        return str((await find(engine, record.call_id)).kind)
    finally:
        await engine.dispose()


def is_rung(city: TrialCity, number: str, *, answered: bool = False) -> bool:
    """Whether an operator's phone rang for this caller, or was taken up."""
    return any(
        number in call.peer and (call.answered_at or not answered)
        for operator in city.operators.values()
        for call in operator.calls
    )


async def is_answered(city: TrialCity, number: str) -> None:
    """Until an operator has taken this caller's call."""
    await until(lambda: is_rung(city, number, answered=True), 40)
