"""The filter in the field: what each figure counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pbx.model.call import Disposition
from pbx.model.figures import FieldCall, Share, count, is_genuine
from pbx.model.review import Kind, Review

START = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)


def call(minute: float = 0, **told: Any) -> FieldCall:
    given: dict[str, Any] = {
        "call_id": f"k-{minute}",
        "at": START + timedelta(minutes=minute),
        "disposition": Disposition.CONNECTED,
        "is_answered": True,
        "ruling": "pass",
        "reason": "key",
        "talk_seconds": 60.0,
    }
    return FieldCall(**(given | told))


def drop(minute: float = 0, ani: str = "", **told: Any) -> FieldCall:
    given: dict[str, Any] = {
        "disposition": Disposition.RELEASED,
        "ruling": "release",
        "reason": "silent",
        "talk_seconds": None,
        "kind": Kind.RELEASED,
        "ani": ani,
    }
    return call(minute, **(given | told))


def holdout(talk: float | None, **told: Any) -> FieldCall:
    given: dict[str, Any] = {
        "ruling": "low-priority",
        "reason": "silent",
        "talk_seconds": talk,
        "kind": Kind.HOLDOUT,
        "disposition": Disposition.ABANDONED if talk is None else Disposition.CONNECTED,
    }
    return call(**(given | told))


@pytest.mark.parametrize(
    ("told", "genuine"),
    [
        ({}, True),
        ({"talk_seconds": 19.9}, False),
        ({"talk_seconds": None}, False),
        ({"disposition": Disposition.ABANDONED}, False),
        ({"talk_seconds": 12.0, "said": "valid"}, True),
        ({"talk_seconds": 12.0, "said": "information"}, True),
        ({"said": "prank"}, False),
        ({"said": "ghost"}, False),
    ],
)
def test_genuine(told: dict[str, Any], genuine: bool) -> None:
    assert is_genuine(call(**told)) is genuine


def test_nothing_is_nothing() -> None:
    figures = count([])
    assert (figures.calls, figures.drops) == (0, 0)
    assert figures.false_drop_rate is None
    assert figures.tried.interval == (0, 1)


def test_passes_by_reason_and_what_became_of_would_be_releases() -> None:
    figures = count(
        [
            call(),
            call(reason="voice"),
            call(reason="voice", ruling="low-priority"),
            drop(),
            drop(kind=Kind.LEFT, disposition=Disposition.LEFT),
            drop(kind=Kind.SAVED, disposition=Disposition.CONNECTED),
        ]
    )
    assert figures.passes == {"key": 1, "voice": 1}
    assert figures.low_priority == {"voice": 1}
    assert figures.kinds == {"released": 1, "left": 1, "saved": 1}
    assert figures.drops == 2


def test_hang_ups_in_the_prompt() -> None:
    nothing = {"ruling": None, "reason": None, "talk_seconds": None}
    left = call(disposition=Disposition.LEFT, **nothing)
    figures = count(
        [
            left,
            call(),
            call(disposition=Disposition.LEFT, is_answered=False, **nothing),
            call(disposition=Disposition.LEFT, was_rescued=True, **nothing),
            drop(kind=Kind.LEFT, disposition=Disposition.LEFT),
        ]
    )
    assert figures.left_in_prompt == Share(1, 3)
    off = call(reason="filter-off", was_greeted=False)
    assert count([left, off]).left_in_prompt == Share(1, 1), "nobody greeted the other"


def test_the_holdout_measures_the_drops() -> None:
    figures = count(
        [holdout(3.0)] * 38
        + [holdout(45.0), holdout(2.0, review=Review.PERSON)]
        + [holdout(None), holdout(None, review=Review.NOBODY)]
        + [drop()] * 1000
        + [call()] * 100
    )
    assert figures.tried == Share(2, 41)
    assert figures.untried == 1
    assert figures.people_dropped_at_most == pytest.approx(165.3, abs=0.1)
    rate = figures.false_drop_rate
    assert rate is not None
    estimate, low, high = rate
    lost = 1000 * 2 / 41
    assert estimate == pytest.approx(lost / (lost + 101))
    assert low < estimate < high


def test_an_operator_s_word_on_a_holdout_counts() -> None:
    """Who needed twelve seconds to say where it burns was a person all the same."""
    short = [holdout(12.0, said=said) for said in ("valid", "information", "prank")]
    ghosts = [holdout(12.0, said="ghost"), holdout(25.0, said="ghost"), holdout(3.0)]
    heard = holdout(3.0, said="ghost", review=Review.PERSON)
    figures = count([*short, *ghosts, heard])
    assert figures.tried == Share(4, 7)
    assert figures.genuine == 2


def test_a_filter_that_only_watches_measures_itself() -> None:
    figures = count([holdout(3.0, kind=Kind.SHADOW, ruling="pass")])
    assert figures.tried == Share(0, 1)
    assert figures.false_drop_rate == (0, 0, 0), "nobody was dropped"
    silent = count([holdout(3.0, talk_seconds=3.0), call(talk_seconds=1.0)])
    assert silent.false_drop_rate == (0, 0, 0)


def test_reviews_of_drops() -> None:
    figures = count(
        [
            drop(review=Review.PERSON),
            drop(review=Review.NOBODY),
            drop(review=Review.NOBODY),
            drop(review=Review.UNSURE),
            drop(),
            holdout(1.0, review=Review.PERSON),
        ]
    )
    assert figures.reviewed == Share(1, 3)
    assert (figures.unsure, figures.unreviewed) == (1, 1)


def test_who_calls_again_after_a_release() -> None:
    figures = count(
        [
            drop(0, ani="081"),
            drop(1, ani="082"),
            drop(2),
            call(5, ani="081"),
            call(6, ani="081"),
            call(12, ani="082"),
            call(13, ani="083"),
        ]
    )
    assert figures.called_again == Share(1, 2)
    assert figures.called_again_genuine == 1
