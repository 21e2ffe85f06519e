"""Whose knocks they are: somebody's who was asked, or a pocket's."""

from __future__ import annotations

import math

import pytest

from ghostfilter.knocking import is_answer
from ghostfilter.knocks import Knock

ASKED = 400


def at(*frames: int, dbfs: float = -20.0) -> list[Knock]:
    return [Knock(frame, 4, dbfs, 40.0) for frame in frames]


@pytest.mark.parametrize(
    "knocks",
    [
        pytest.param(at(650, 680), id="two"),
        pytest.param(at(650, 680, 705, 740), id="four"),
        pytest.param(at(650, 725), id="1.5 s apart"),
        pytest.param(at(500, 650, 680), id="one before them"),
        pytest.param(at(100, 130, 160, 650, 680), id="knocked at the greeting, too"),
        pytest.param(
            at(50, 200, 350, dbfs=-33) + at(650, 680), id="a street, 13 dB softer"
        ),
    ],
)
def test_two_in_a_row_when_asked_are_an_answer(knocks: list[Knock]) -> None:
    assert is_answer(knocks, ASKED)


@pytest.mark.parametrize(
    "knocks",
    [
        pytest.param([], id="nothing"),
        pytest.param(at(650), id="one"),
        pytest.param(at(300, 330), id="before the question"),
        pytest.param(at(399, 430), id="one of two before the question"),
        pytest.param(at(650, 726), id="a step and another step"),
        pytest.param(at(650, 656), id="one that bounced"),
        pytest.param(at(650) + at(680, dbfs=-30), id="10 dB apart"),
        pytest.param(at(650, 680, dbfs=-41), id="soft as through cloth"),
        pytest.param(at(50, 200, 650, 680), id="bumps all the time"),
        pytest.param(
            [Knock(frame, 4, -20.0, 40.0, is_switched=True) for frame in (650, 680)],
            id="beeps",
        ),
    ],
)
def test_what_is_no_answer(knocks: list[Knock]) -> None:
    assert not is_answer(knocks, ASKED)


def test_nobody_answers_who_was_not_asked() -> None:
    assert not is_answer(at(650, 680), math.inf)
