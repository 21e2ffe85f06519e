"""Two makes of softphone: each registers, rings, hears and is heard.

baresip over UDP, TCP and TLS (there the media is SRTP); linphone over UDP and TCP: the
5.1 of Debian 12 accepts no certificate that names an IP address. The settings are those
that `gerbang render --phone` prints.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pbx.asterisk.run import find_root
from pbx.asterisk.secrets import read_secrets
from pbx.simulator.correlate import best_piece
from pbx.simulator.linphone import Linphone
from pbx.simulator.operator import Operator, OperatorError, PhoneSettings
from pbx.simulator.operator import phone_settings as declared_settings
from pbx.simulator.script import Press, Say, Script
from pbx.simulator.trial import TrialCity
from pbx.simulator.voices import human_voice, read_voice
from tests.calls.conftest import VOICE_ARRIVED

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(90),
]

PHONES = [
    pytest.param("101", id="udp"),
    pytest.param("102", id="tcp"),
    pytest.param("103", id="tls"),
]
"""The reference city's operators, one a transport."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city() -> AsyncIterator[TrialCity]:
    """Asterisk alone: phones need nothing else."""
    async with TrialCity(python=False) as city:
        yield city


def settings_of(city: TrialCity, number: str) -> PhoneSettings:
    passwords = read_secrets(city.settings.secrets_file).operators
    return declared_settings(
        city.city, passwords, number, address=city.place.phone(number)
    )


@pytest.mark.parametrize("number", PHONES)
async def test_baresip(city: TrialCity, number: str) -> None:
    root = find_root(city.settings).base
    caller, operator = human_voice(root), human_voice(root, which=2)
    async with Operator(settings_of(city, number), operator) as phone:
        call = await city.place_call(Script((Press("0"),), afterwards=Say(caller)))
        incoming = await phone.wait_ringing(deadline_seconds=20)
        await phone.wait_answered(incoming)
        await asyncio.sleep(3)
        result = await call.hang_up()
        await phone.wait_closed(incoming)
        assert incoming.heard
        assert result.heard
        assert likeness(incoming.heard, caller) >= VOICE_ARRIVED
        assert likeness(result.heard, operator) >= VOICE_ARRIVED
    await city.wait_idle()


@pytest.mark.parametrize("number", PHONES[:2])
async def test_linphone(city: TrialCity, number: str) -> None:
    root = find_root(city.settings).base
    caller, operator = human_voice(root), human_voice(root, which=2)
    async with Linphone(settings_of(city, number), operator) as phone:
        call = await city.place_call(Script((Press("0"),), afterwards=Say(caller)))
        await phone.answer()
        await asyncio.sleep(3)
        result = await call.hang_up()
        await phone.expect("ended", deadline_seconds=5)
        assert result.heard
        assert likeness(phone.heard, caller) >= VOICE_ARRIVED
        assert likeness(result.heard, operator) >= VOICE_ARRIVED
    await city.wait_idle()


async def test_a_wrong_password_does_not_register(city: TrialCity) -> None:
    right = settings_of(city, "101")
    wrong = PhoneSettings(
        "101", "guessed", right.server, right.port, right.transport, right.address
    )
    with pytest.raises(OperatorError, match="401 Unauthorized"):
        await Operator(wrong).start()
    assert "101/sip:" not in await city.console("pjsip show contacts")


def likeness(recording: Path, voice: Path) -> float:
    return best_piece(read_voice(recording), read_voice(voice)).peak
