"""When the duty officer is called, and when not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pbx.ami import CallerWaits, DeviceState, LinkLost
from pbx.control.alarms import Board, Condition, Pulse, conditions
from pbx.control.room import Room
from pbx.status import Status
from tests.fakes.control_room import WALL, member, reference_city, snapshot

CITY = reference_city()
PULSE = Pulse(now=100.0, wall=WALL)


def names(room: Room, pulse: Pulse = PULSE) -> dict[str, Condition]:
    return {c.alarm: c for c in conditions(room, CITY, pulse)}


@pytest.fixture
def room() -> Room:
    room = Room()
    room.apply(snapshot(members=(member("101"), member("103", "cadangan"))), 0)
    return room


def test_a_good_day(room: Room) -> None:
    assert names(room) == {}


def test_no_link(room: Room) -> None:
    room.apply(LinkLost("Asterisk closed the manager link"), 0)
    told = names(room)
    assert set(told) == {"manager-link"}  # of the blind room, nothing else is said
    assert "Asterisk closed the manager link" in told["manager-link"].sentence


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ((), "`gerbang render --phone 101`"),
        ((member("101", state=DeviceState.UNAVAILABLE),), "phone is registered yet"),
        (
            (member("101", is_paused=True), member("103", "cadangan", is_paused=True)),
            "only 101, 103 are registered, and paused",
        ),
    ],
)
def test_nobody_can_answer(others: tuple[object, ...], why: str) -> None:
    room = Room()
    room.apply(snapshot(members=others), 0)
    told = names(room)
    assert set(told) == {"no-operator-darurat"}
    assert why in told["no-operator-darurat"].sentence


def test_the_overflow_queue_can_answer_too() -> None:
    room = Room()
    room.apply(snapshot(members=(member("103", "cadangan"),)), 0)
    assert names(room) == {}


def test_callers_wait_while_a_free_phone_stays_silent(room: Room) -> None:
    room.apply(CallerWaits("darurat", "", "k-1.1", 1), 90)
    assert names(room)["queue-stuck-darurat"].after_seconds == 10


def test_one_phone_rings_at_a_time_and_that_is_well(room: Room) -> None:
    room.apply(CallerWaits("darurat", "", "k-1.1", 1), 90)
    room.apply(member("102", state=DeviceState.RINGING), 91)
    assert names(room) == {}


def test_an_operator_in_wrap_up_is_not_idle(room: Room) -> None:
    room.apply(CallerWaits("darurat", "", "k-1.1", 1), 90)
    room.apply(member("101", last_call_at=WALL - timedelta(seconds=2)), 91)
    assert names(room) == {}


def test_a_restart_is_remembered_for_ten_minutes(room: Room) -> None:
    room.restarted_at = 100.0
    assert "asterisk-restarted" in names(room)
    assert names(room, replace(PULSE, now=699)) != {}
    assert names(room, replace(PULSE, now=701)) == {}


def test_the_witness_and_the_watch(room: Room) -> None:
    pulse = replace(
        PULSE, is_store_failing=True, unstored=7, dropped=2, rescued=1, rescued_at=90.0
    )
    told = names(room, pulse)
    assert set(told) == {"witness-not-stored", "witness-dropped", "calls-rescued"}
    assert "7 notes" in told["witness-not-stored"].sentence


def test_the_board_waits_raises_and_takes_back(tmp_path: Path) -> None:
    status = Status(tmp_path, "control")
    board = Board(status)

    def standing() -> Iterator[Condition]:
        yield Condition("x", "look at x", 5)

    board.review(standing(), 10)
    board.review(iter(()), 14)
    board.review(standing(), 14)
    board.review(standing(), 18)
    assert status.alarms == {}
    board.review(standing(), 19)
    assert status.alarms["x"]["sentence"] == "look at x"
    told = json.loads((tmp_path / "control.status.json").read_text())
    assert set(told["alarms"]) == {"x"}
    board.review(iter(()), 20)
    assert status.alarms == {}
