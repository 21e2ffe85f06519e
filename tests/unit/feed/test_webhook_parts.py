"""Signatures, events and addresses of webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pbx.feed.webhooks.address import (
    ForbiddenAddressError,
    PublicResolver,
    is_public,
    refusal,
)
from pbx.feed.webhooks.event import call_message, event_id, ping_message, type_of
from pbx.feed.webhooks.post import Outcome, retry_after
from pbx.feed.webhooks.signing import headers
from pbx.feed.webhooks.source import source_of
from pbx.model.call import as_record
from pbx.records.record_schema import SCHEMA_ID
from pbx.records.webhooks import EventType, new_secret
from pbx.settings import Settings
from tests.fakes.stored_calls import ANI, a_call

AT = datetime(2026, 11, 22, 3, 0, 0, 123456, tzinfo=UTC)
BODY = b'{"test": 2432232314}'


# ---- signatures ---------------------------------------------------------------------


def test_the_vector_of_the_reference_libraries() -> None:
    """Known from their own tests, in whatever language."""
    made = headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        BODY,
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_either_secret_proves_it_while_they_rotate() -> None:
    new, old, other = new_secret(), new_secret(), new_secret()
    made = headers("a", int(datetime.now(UTC).timestamp()), BODY, [new, old])
    for secret in (new, old):
        assert Webhook(secret).verify(BODY, made) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, made)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(BODY.replace(b"2", b"3"), made)


def test_what_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match="no full stop"):
        headers("kediri-1-1763756000.12", 0, BODY, [new_secret()])
    with pytest.raises(ValueError, match="whsec_ and base64"):
        headers("a", 0, BODY, ["whsec_?"])


# ---- events -------------------------------------------------------------------------

RECORD = {"revision": 3, "joined_into": None} | as_record(a_call(1))


def message(**changes: bool) -> bytes:
    return call_message(
        RECORD,
        EventType.REVISED,
        written_at=AT,
        source="urn:gerbang112:kediri",
        **{"personal": False} | changes,
    ).body


def test_an_event_is_a_cloud_event() -> None:
    event = json.loads(message(personal=True))
    assert event == {
        "specversion": "1.0",
        "id": event_id(RECORD["call_id"], 3),
        "source": "urn:gerbang112:kediri",
        "type": "id.gerbang112.call.revised.v1",
        "time": "2026-11-22T03:00:00.123456Z",
        "datacontenttype": "application/json",
        "subject": RECORD["call_id"],
        "dataschema": SCHEMA_ID,
        "data": RECORD,
    }


def test_numbers_are_masked_unless_they_may_be_seen() -> None:
    assert ANI in message(personal=True).decode()
    assert ANI not in message().decode()
    assert json.loads(message())["data"].keys() == RECORD.keys()


def test_a_repetition_is_the_same_byte_for_byte() -> None:
    assert message() == message()
    assert event_id("a.1", 2) == event_id("a.1", 2)
    assert len({event_id("a.1", 2), event_id("a-1", 2), event_id("a.1", 3)}) == 3
    assert "." not in event_id("a.1", 2)


def test_who_hears_of_what() -> None:
    over, going_on = RECORD, RECORD | {"state": "open"}
    revised, closed = EventType.REVISED, EventType.CLOSED
    assert type_of(over, {revised}) == type_of(going_on, {revised}) == revised
    assert type_of(over, {closed}) == type_of(over, {closed, revised}) == closed
    assert type_of(going_on, {closed, revised}) == revised
    assert type_of(going_on, {closed}) is None
    assert type_of(over, set()) is None


def test_the_source_is_the_city(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GERBANG_STATE", "/nowhere")
    assert source_of(Settings()) == "urn:gerbang112:kediri"
    monkeypatch.setenv("GERBANG_CITY", "/nowhere.toml")
    assert source_of(Settings()) == "urn:gerbang112"
    assert json.loads(ping_message(AT, "urn:x").body)["data"] == {"test": True}


# ---- addresses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1",
        "::", "::1", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_of_ours(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "103.28.12.1", "2606:4700::1111", "::ffff:8.8.8.8",
                "64:ff9b::808:808", "2002:808:808::1"],
)  # fmt: skip
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("cad.example", "write https://"),
        ("ftp://cad.example/", "write https://"),
        ("https:///calls", "write https://"),
        ("https://[/", "no URL"),
        ("https://user:pass@cad.example/", "no user or password"),
        ("http://cad.example/", "encrypted"),
        ("https://127.0.0.1/", "private address"),
        ("https://[::1]:8443/", "private address"),
        ("https://cad.example/" + "x" * 2000, "longer than"),
        ("https://127.1/", "in full"),
        ("https://2130706433/", "in full"),
        ("https://0177.0.0.1/", "in full"),
        ("https://0x7f.1:8443/", "in full"),
        ("https://127.0.0.1./", "in full"),
        ("https://0/", "in full"),
    ],
)
def test_where_nothing_goes(url: str, why: str) -> None:
    said = refusal(url, private=False)
    assert said is not None
    assert why in said


def test_where_it_may_go() -> None:
    assert refusal("https://cad.example/calls?x=1", private=False) is None
    assert refusal("https://8.8.8.8/", private=False) is None
    for url in ("http://10.0.0.5/calls", "https://[::1]/", "http://localhost:1/"):
        assert refusal(url, private=True) is None


@pytest.mark.parametrize("name", ["localhost", "2130706433", "0x7f.1", "127.1"])
async def test_a_name_that_leads_home(name: str) -> None:
    """Also numbers that only the system's resolver takes for addresses."""
    resolver = PublicResolver()
    with pytest.raises(ForbiddenAddressError, match="--private"):
        await resolver.resolve(name, 80)
    await resolver.close()


# ---- answers ------------------------------------------------------------------------


def test_answers() -> None:
    assert [s for s in (None, 200, 204, 299, 301, 410, 500)
            if Outcome(s, None).is_delivered] == [200, 204, 299]  # fmt: skip
    assert Outcome(410, None).is_gone


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("30", 30.0),
        ("-5", 0.0),
        ("999999", 3600.0),
        ("9" * 400, 3600.0),  # more than a float holds
        ("9" * 5000, None),  # more than Python reads as a number
        ("Sun, 22 Nov 2026 03:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 03:01:00", 60.0),
        ("Sun, 22 Nov 2020 03:01:00 GMT", 0.0),
    ],
)
def test_how_long_the_other_side_wants_to_rest(
    text: str, seconds: float | None
) -> None:
    at = AT.replace(microsecond=0)
    assert retry_after(text, at) == seconds
    assert timedelta(seconds=seconds or 0) <= timedelta(hours=1)
