"""What `gerbang call` expects of a call, and whom it may use for it."""

from __future__ import annotations

import tomllib

import pytest

from pbx.model.city import City
from pbx.model.events import Judged
from pbx.settings import PROJECT
from pbx.simulator.rehearsal import (
    Manner,
    Outcome,
    Plan,
    RehearsalError,
    Told,
    carrier_trunk,
    digits,
    expected,
    fresh_number,
    registered_operators,
)
from pbx.simulator.story import Story

TEXT = (PROJECT / "asterisk-config/city.toml").read_text()


def city(**flow: str) -> City:
    declared = tomllib.loads(TEXT)
    declared["flows"]["filter0"]["filter"] |= flow
    return City.model_validate(declared)


def judged(reason: str) -> Story:
    return Story("k.1", "carrier", verdict=Judged("pass", reason, 10, ""))


@pytest.mark.parametrize(
    ("plan", "policy", "reason", "wanted"),
    [
        (Plan(Manner.PRESS), "release", "key", {"connected"}),
        (Plan(Manner.PRESS, is_answered=False), "release", "key", {"abandoned"}),
        (Plan(Manner.SILENT), "release", "silent", {"released"}),
        (Plan(Manner.SILENT), "operator", "silent", {"connected"}),
        (Plan(Manner.SILENT), "low-priority", "silent", {"connected"}),
        # Released a short while ago: whatever the policy, an operator.
        (Plan(Manner.SILENT), "release", "repeat-caller", {"connected"}),
        (Plan(Manner.NO_MEDIA), "release", "no-media", {"connected"}),
    ],
)
def test_each_manner_has_its_outcome(
    plan: Plan, policy: str, reason: str, wanted: set[str]
) -> None:
    assert expected(plan, city(silent=policy), judged(reason)) == wanted


def test_who_hangs_up_early_may_have_come_anywhere() -> None:
    plan = Plan(Manner.PRESS, hang_up_after_seconds=1)
    assert "left" in expected(plan, city(), Story("k.1", "carrier"))


def test_the_carrier_is_a_trunk_on_loopback() -> None:
    assert carrier_trunk(city()).name == "carrier"
    declared = tomllib.loads(TEXT)
    declared["trunks"][0]["addresses"] = ["192.0.2.1/32"]
    with pytest.raises(RehearsalError, match=r"\[\[trunks\]\]"):
        carrier_trunk(City.model_validate(declared))


def test_registered_phones_are_read_from_the_console() -> None:
    answer = (
        "  Contact:  <Aor/ContactUri....> <Hash....> <Status> <RTT(ms)..>\n"
        "  Contact:  102/sip:102-0x5@127.0.0.1:59862;tra 7b08578064 Avail   0.116\n"
        "  Contact:  103/sips:103@127.0.0.1:1            7b08578065 Avail   0.116\n"
        "  Contact:  carrier/sip:127.0.0.2:5060          b69a9a96a4 NonQual  -nan\n"
    )
    assert registered_operators(answer, city()) == ["102", "103"]
    assert registered_operators("No objects found.", city()) == []


def test_numbers() -> None:
    assert digits("+62 (812) 3456-x") == "+628123456"
    assert fresh_number() != fresh_number()
    assert len(fresh_number()) == 12


def test_good_is_only_what_has_a_record_and_no_fault() -> None:
    assert not Outcome().is_as_expected
    assert Outcome(record={"call_id": "k"}).is_as_expected
    told = [Told(1.0, "no voice", is_fault=True)]
    assert not Outcome(record={"call_id": "k"}, told=told).is_as_expected
