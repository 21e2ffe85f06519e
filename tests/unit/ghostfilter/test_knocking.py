"""Whose knocks they are: somebody's who was asked, or a pocket's."""

from __future__ import annotations

import math

import pytest

from ghostfilter.knocking import ANSWERED, UNASKED, Knocking, is_answer
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


NOT_OURS = bytearray(1000)


def knocking(*frames: int, asked_at: int = 0, prompt_frames: int = 0) -> Knocking:
    """A call with these knocks in it."""
    one = Knocking()
    one.asked(asked_at, prompt_frames)
    one._knocks.knocks += at(*frames)
    return one


def test_an_answer_is_told_once_and_stays_sure() -> None:
    one = knocking(50, 80)
    assert one.has_news
    told = one.answer(NOT_OURS, is_beeping=False)
    assert told is not None
    assert told.confidence == ANSWERED
    one._knocks.knocks += at(110)
    assert not one.has_news
    (heard,) = one.heard(NOT_OURS, is_beeping=False)
    assert (heard.confidence, heard.detail) == (ANSWERED, "3 knocks")


def test_a_knock_is_news_until_it_was_weighed() -> None:
    one = knocking(50)
    assert one.has_news
    assert one.answer(NOT_OURS, is_beeping=False) is None
    assert not one.has_news
    assert one.heard(NOT_OURS, is_beeping=False) == []
    one._knocks.knocks += at(80)
    assert one.has_news


@pytest.mark.parametrize(
    ("asked_at", "prompt_frames", "sure"),
    [
        pytest.param(100, 10, UNASKED, id="before a prompt that is soon over"),
        pytest.param(50, 100, ANSWERED, id="in a prompt's last 1.5 s"),
        pytest.param(50, 120, UNASKED, id="sooner"),
    ],
)
def test_an_answer_follows_the_question(
    asked_at: int, prompt_frames: int, sure: float
) -> None:
    one = knocking(85, 95, asked_at=asked_at, prompt_frames=prompt_frames)
    told = one.answer(NOT_OURS, is_beeping=False)
    assert (told is not None) is (sure == ANSWERED)
    (heard,) = one.heard(NOT_OURS, is_beeping=False)
    assert heard.confidence == sure


def test_what_beeps_or_is_ours_is_no_knock() -> None:
    ours = bytearray(NOT_OURS)
    ours[50] = 1
    for told in (
        {"ours": ours, "is_beeping": False},
        {"ours": NOT_OURS, "is_beeping": True},
    ):
        assert knocking(50, 80).answer(**told) is None
        assert knocking(50, 80).heard(**told) == []
