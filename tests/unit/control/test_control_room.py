"""Manager events folded into the picture of now."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pbx.ami import (
    CallerLeft,
    CallerWaits,
    ChannelGone,
    ContactChanged,
    DeviceState,
    LinkLost,
    MemberRemoved,
)
from pbx.control.room import Mood, Room, Stage, ladder, mood, stage_of, trunk_of
from tests.fakes.control_room import WALL, call, member, reference_city, snapshot

TRUNKS = {"carrier", "back-up"}


def test_a_call_from_start_to_end() -> None:
    room = Room()
    room.apply(snapshot(), 0)
    room.apply(call(), 1)
    room.apply(CallerWaits("darurat", "PJSIP/carrier-1", "k-1.1", 1), 5)
    room.apply(CallerWaits("darurat", "PJSIP/carrier-1", "k-1.1", 1), 6)
    assert [c.uniqueid for c in room.calls(TRUNKS)] == ["k-1.1"]
    assert [w.since for w in room.waiting_in("darurat")] == [5]
    room.apply(CallerLeft("darurat", "k-1.1"), 7)
    assert room.waiting_in("darurat") == []
    room.apply(ChannelGone("PJSIP/carrier-1", "k-1.1", "k-1.1", 16), 8)
    assert room.calls(TRUNKS) == []


def test_who_hangs_up_waits_no_more_whatever_the_order() -> None:
    room = Room()
    room.apply(CallerWaits("darurat", "", "k-1.1", 1), 0)
    room.apply(CallerWaits("darurat", "", "k-1.2", 2), 0)
    room.apply(ChannelGone("", "k-1.1", "k-1.1", 16), 1)
    assert [w.uniqueid for w in room.waiting_in("darurat")] == ["k-1.2"]


def test_the_last_rung_is_the_same_queue_for_people() -> None:
    room = Room()
    room.apply(CallerWaits("darurat-patient", "", "k-1.2", 1), 4)
    room.apply(CallerWaits("darurat", "", "k-1.1", 1), 3)
    assert [w.uniqueid for w in room.waiting_in("darurat")] == ["k-1.1", "k-1.2"]


def test_a_snapshot_replaces_what_was_and_tells_a_restart() -> None:
    room = Room()
    room.apply(snapshot(call("k-1.1"), members=(member(),)), 0)
    room.apply(LinkLost("Asterisk closed the manager link"), 5)
    assert not room.is_linked
    assert room.why_down == "Asterisk closed the manager link"
    room.apply(snapshot(waiting=(CallerWaits("darurat", "", "k-1.3", 1, 8),)), 10)
    assert room.is_linked
    assert room.channels == {}
    assert room.members == {}
    assert room.restarted_at is None
    assert room.waiting_in("darurat")[0].since == 2
    room.apply(snapshot(booted_at=WALL + timedelta(seconds=9)), 20)
    assert room.restarted_at == 20


def test_members_and_contacts() -> None:
    room = Room()
    room.apply(member(), 0)
    room.apply(member(state=DeviceState.RINGING), 0)
    assert [m.state for m in room.members_of("darurat")] == [DeviceState.RINGING]
    room.apply(MemberRemoved("darurat", "PJSIP/101"), 0)
    assert room.members_of("darurat") == []
    room.apply(ContactChanged("101", "sip:101@127.0.0.1", "Reachable"), 0)
    assert room.contacts == {"101": "Reachable"}


def test_only_a_trunks_first_channel_is_a_citizens_call() -> None:
    room = Room()
    room.apply(
        snapshot(
            call("k-1.1"),
            call("k-1.2", linkedid="k-1.1"),
            call("k-1.3", channel="PJSIP/101-00000001"),
            call("k-1.4", channel="Local/s@waiting-0001;1"),
        ),
        0,
    )
    assert [c.uniqueid for c in room.calls(TRUNKS)] == ["k-1.1"]
    assert trunk_of("PJSIP/back-up-0000001f", TRUNKS) == "back-up"
    assert trunk_of("PJSIP/carrier", TRUNKS) is None


def test_a_refresh_moves_what_is_known_and_adds_nothing() -> None:
    room = Room()
    room.apply(call("k-1.1", at=WALL), 0)
    room.refresh([call("k-1.1", "queue-darurat"), call("k-1.2")])
    assert room.channels["k-1.1"].context == "queue-darurat"
    assert room.channels["k-1.1"].at == WALL
    assert "k-1.2" not in room.channels


@pytest.mark.parametrize(
    ("context", "stage"),
    [
        ("filter-filter0", (Stage.FILTER, "filter0")),
        ("degraded-filter0", (Stage.DEGRADED, "filter0")),
        ("release-filter0", (Stage.RELEASE, "filter0")),
        ("queue-darurat", (Stage.QUEUE, "darurat")),
        ("from-trunk", (Stage.OTHER, "trunk")),
        ("waiting", (Stage.OTHER, "")),
    ],
)
def test_stages(context: str, stage: tuple[Stage, str]) -> None:
    assert stage_of(context) == stage


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        (DeviceState.UNAVAILABLE, {}, Mood.AWAY),
        (DeviceState.RINGING, {"is_paused": True}, Mood.RINGING),
        (DeviceState.RING_IN_USE, {}, Mood.RINGING),
        (DeviceState.IN_USE, {}, Mood.TALKING),
        (DeviceState.NOT_IN_USE, {"is_in_call": True}, Mood.TALKING),
        (DeviceState.NOT_IN_USE, {"is_paused": True}, Mood.PAUSED),
        (
            DeviceState.NOT_IN_USE,
            {"last_call_at": WALL - timedelta(seconds=4)},
            Mood.WRAP_UP,
        ),
        (
            DeviceState.NOT_IN_USE,
            {"last_call_at": WALL - timedelta(seconds=5)},
            Mood.FREE,
        ),
        (DeviceState.NOT_IN_USE, {}, Mood.FREE),
    ],
)
def test_moods(state: DeviceState, more: dict[str, object], expected: Mood) -> None:
    assert mood(member(state=state, **more), 5, WALL) is expected


def test_a_ladder() -> None:
    assert ladder(reference_city(), "darurat") == ["darurat", "cadangan"]
