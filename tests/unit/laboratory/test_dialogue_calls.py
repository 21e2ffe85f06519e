"""The fast part of the campaign: whole calls, nobody lost, pockets kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pbx.laboratory.dialogue.figures import Figures, figures
from pbx.laboratory.dialogue.house import House
from pbx.laboratory.dialogue.people import BEHAVIOURS
from pbx.laboratory.dialogue.run import Result, Theatre, play_all
from pbx.laboratory.dialogue.takes import read_stock
from pbx.model.verdict import Reason, Ruling

CALLS = 160
"""120 of them people."""
SEED = 112


@pytest.fixture(scope="module")
def results(house: House, callers: Path) -> list[Result]:
    parts = play_all(house, callers, SEED, CALLS, has_mobile=False)
    return [result for part in parts for result in part.results]


@pytest.fixture(scope="module")
def found(results: list[Result]) -> Figures:
    return figures(results)


def test_nobody_is_lost(found: Figures) -> None:
    assert found.people.n == 120
    assert found.people.own_released == 0
    assert found.faults.released == 0
    assert found.distant_without_second == 0


def test_every_behaviour_and_kind_of_call_occurs(results: list[Result]) -> None:
    people = Counter(r.behaviour for r in results if r.is_person)
    assert len(people) == len(BEHAVIOURS)
    labels = Counter(r.label for r in results)
    assert labels["ghost"] >= 28
    assert labels["distant"] == 4
    assert labels["fault"] >= 3


def test_silent_pockets_never_ring_a_phone(results: list[Result]) -> None:
    silent = [r for r in results if r.kind in ("digital_silence", "room_silence")]
    silent = [r for r in silent if r.label == "ghost"]
    assert silent
    assert {r.ruling for r in silent} == {Ruling.RELEASE}
    assert all(r.asked == 2 and 17 < r.ended_seconds < 20 for r in silent)


def test_without_media_nobody_is_released(results: list[Result]) -> None:
    silent = [r for r in results if r.behaviour == "no media"]
    assert {(r.ruling, r.reason) for r in silent} == {(Ruling.PASS, Reason.NO_MEDIA)}


def test_a_key_passes_at_once(results: list[Result]) -> None:
    pressed = [r for r in results if r.behaviour == "presses a key"]
    waits = [r.to_pass_seconds for r in pressed if r.reason is Reason.KEY]
    assert waits
    assert all(wait is not None and wait < 0.03 for wait in waits)


def test_a_call_is_the_same_alone(
    house: House, callers: Path, results: list[Result]
) -> None:
    theatre = Theatre(house, read_stock(callers), SEED, has_mobile=False)
    for index in (159, 5, 31, 39):
        assert theatre.play(index).result == results[index]
    other = Theatre(house, read_stock(callers), SEED + 1)
    assert other.play(5).result != results[5]
