"""What Asterisk's messages mean, line by line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pbx.ami import (
    CallerLeft,
    CallerWaits,
    ChannelBridged,
    ChannelGone,
    ChannelHeld,
    ChannelSeen,
    ContactChanged,
    DeviceState,
    LiveEvent,
    Member,
    MemberRemoved,
)
from pbx.ami.messages import boot_time, read_channel, read_event, text

NOW = datetime(2025, 11, 21, 14, 0, 7, 300_000, tzinfo=UTC)

MEMBER = {
    "queue": "darurat",
    "membername": "Operator 1",
    "interface": "PJSIP/101",
    "callstaken": "3",
    "lastcall": "1763733600",
    "incall": "0",
    "status": "1",
    "paused": "0",
}

OPERATOR = Member(
    queue="darurat",
    interface="PJSIP/101",
    name="Operator 1",
    state=DeviceState.NOT_IN_USE,
    is_paused=False,
    is_in_call=False,
    calls_taken=3,
    last_call_at=datetime(2025, 11, 21, 14, 0, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            {
                "event": "Newchannel",
                "channel": "PJSIP/carrier-00000001",
                "calleridnum": "<unknown>",
                "context": "from-trunk",
                "exten": "112",
                "uniqueid": "kediri-1-1763756000.12",
                "linkedid": "kediri-1-1763756000.12",
                "timestamp": "1763733600.123456",
                "chanvariable": "INTAKE=",
            },
            ChannelSeen(
                channel="PJSIP/carrier-00000001",
                uniqueid="kediri-1-1763756000.12",
                linkedid="kediri-1-1763756000.12",
                caller="",
                context="from-trunk",
                extension="112",
                at=datetime(2025, 11, 21, 14, 0, 0, 123_000, tzinfo=UTC),
            ),
        ),
        (
            {"event": "Hangup", "channel": "PJSIP/c-1", "uniqueid": "1", "cause": "16"},
            ChannelGone("PJSIP/c-1", "1", "", 16),
        ),
        (
            {
                "event": "QueueCallerJoin",
                "queue": "q",
                "uniqueid": "1",
                "position": "2",
            },
            CallerWaits("q", "", "1", 2),
        ),
        (
            {"event": "QueueCallerLeave", "queue": "q", "uniqueid": "1"},
            CallerLeft("q", "1"),
        ),
        (MEMBER | {"event": "QueueMemberAdded"}, OPERATOR),
        (MEMBER | {"event": "QueueMemberStatus"}, OPERATOR),
        (MEMBER | {"event": "QueueMemberPause"}, OPERATOR),
        (
            MEMBER | {"event": "QueueMemberRemoved"},
            MemberRemoved("darurat", "PJSIP/101"),
        ),
        (
            {
                "event": "ContactStatus",
                "endpointname": "101",
                "uri": "sip:101@127.0.0.1:5070",
                "contactstatus": "Reachable",
            },
            ContactChanged("101", "sip:101@127.0.0.1:5070", "Reachable"),
        ),
        (
            {
                "event": "Hold",
                "channel": "PJSIP/101-1",
                "uniqueid": "2",
                "linkedid": "1",
                "timestamp": "1763733600.123",
            },
            ChannelHeld(
                "PJSIP/101-1",
                "2",
                "1",
                is_held=True,
                at=datetime(2025, 11, 21, 14, 0, 0, 123_000, tzinfo=UTC),
            ),
        ),
        (
            {"event": "Unhold", "channel": "PJSIP/101-1", "uniqueid": "2"},
            ChannelHeld("PJSIP/101-1", "2", "", is_held=False),
        ),
        (
            {"event": "BridgeEnter", "channel": "PJSIP/101-1", "uniqueid": "2"},
            ChannelBridged("PJSIP/101-1", "2", ""),
        ),
        ({"event": "VarSet"}, None),
        ({"response": "Success"}, None),
    ],
)
def test_events(message: dict[str, str], event: LiveEvent | None) -> None:
    assert read_event(message) == event


def test_a_list_item_tells_where_the_channel_is() -> None:
    seen = read_channel(
        {
            "channel": "PJSIP/carrier-1",
            "uniqueid": "1.2",
            "linkedid": "1.1",
            "application": "AudioSocket",
            "applicationdata": "uuid,127.0.0.1:4580",
            "duration": "01:02:03",
            "chanvariable": ["INTAKE=started", "INTAKE_WORKER=1"],
            "bridgeid": "b1",
        }
    )
    assert seen.bridge == "b1"
    assert (seen.intake, seen.worker) == ("started", 1)
    assert seen.duration_seconds == 3723
    assert seen.application == "AudioSocket"
    assert not seen.is_first_of_its_call


def test_odd_headers_become_nothing() -> None:
    assert text({"a": ["x", "y"]}, "a") == "y"
    assert text({"a": None}, "a") == ""
    assert read_channel({"duration": "soon"}).duration_seconds == 0
    odd = read_event({"event": "QueueMemberStatus", "status": "42", "lastcall": "x"})
    assert isinstance(odd, Member)
    assert odd.state is DeviceState.UNKNOWN
    assert odd.last_call_at is None
    assert not odd.is_reachable
    assert not odd.is_available


@pytest.mark.parametrize(
    ("status", "changes", "reachable", "available"),
    [
        ("1", {}, True, True),
        ("1", {"paused": "1"}, True, False),
        ("1", {"incall": "1"}, True, False),
        ("2", {}, True, False),
        ("6", {}, True, False),
        ("4", {}, False, False),
        ("5", {}, False, False),
    ],
)
def test_which_operators_can_be_rung(
    status: str, changes: dict[str, str], reachable: bool, available: bool
) -> None:
    event = {"event": "QueueMemberStatus"}
    member = read_event(MEMBER | event | {"status": status} | changes)
    assert isinstance(member, Member)
    assert (member.is_reachable, member.is_available) == (reachable, available)


@pytest.mark.parametrize("clock", ["14:00:01", "21:00:01", "19:45:01", "08:30:01"])
def test_the_boot_time_is_found_in_whatever_zone_asterisk_lives(clock: str) -> None:
    status = {"corestartupdate": "2025-11-21", "corestartuptime": clock}
    boot = boot_time(status, uptime_seconds=6, now=NOW)
    assert boot == datetime(2025, 11, 21, 14, 0, 1, tzinfo=UTC)


def test_the_boot_time_with_half_the_facts() -> None:
    status = {"corestartupdate": "2025-11-21", "corestartuptime": "21:00:01"}
    assert boot_time(status, uptime_seconds=None, now=NOW).hour == 21
    assert boot_time({}, uptime_seconds=6, now=NOW) == datetime(
        2025, 11, 21, 14, 0, 1, tzinfo=UTC
    )
