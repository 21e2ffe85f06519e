"""How much things count is learned from whole calls, and comes out as it was put in."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from ghostfilter.weighing import SCALE, SEEN, SHARES, Shares
from pbx.laboratory.corpus import read_corpus
from pbx.laboratory.dialogue.house import House
from pbx.laboratory.dialogue.takes import read_stock
from pbx.laboratory.training.weigh import DRIFT, Heard, Silent, learn, told

TRUE = np.array([1.0, -0.5, 0.7, 0.3, 0.1, 0.05])


@pytest.fixture
def frames() -> tuple[np.ndarray, np.ndarray]:
    """Frames whose log-odds of being a person's are their product with TRUE."""
    dice = np.random.default_rng(3)
    seen = dice.normal(0.0, 2.0, (40_000, SEEN)).astype(np.float32)
    is_person = dice.random(len(seen)) < 1 / (1 + np.exp(-(seen @ TRUE)))
    return seen, is_person


def test_what_made_the_frames_is_found_again(
    frames: tuple[np.ndarray, np.ndarray],
) -> None:
    *counts, always = astuple(learn(*frames))
    assert np.array(counts) / SCALE == pytest.approx(TRUE, abs=0.05)
    assert always / SCALE == pytest.approx(-DRIFT, abs=0.1)


def test_people_and_pockets_count_alike_however_many_they_are(
    frames: tuple[np.ndarray, np.ndarray],
) -> None:
    seen, is_person = frames
    few = ~is_person | (np.arange(len(seen)) % 10 == 0)
    some, whole = learn(seen[few], is_person[few]), learn(seen, is_person)
    assert astuple(some) == pytest.approx(astuple(whole), abs=0.4)


def test_it_is_told_as_code(frames: tuple[np.ndarray, np.ndarray]) -> None:
    seen, is_person = frames
    calls = [
        Heard(seen[is_person], is_person=True),
        Heard(seen[~is_person], is_person=False),
    ]
    first, _, code = told(calls).partition("\n")
    assert first == "1 people, 1 pockets, 40000 frames"
    made: dict[str, Shares] = {}
    exec(code, {"Shares": Shares}, made)
    assert made["SHARES"] == learn(seen, is_person)


def test_pockets_and_what_people_say_are_heard_of_open_clips_only(
    house: House, callers: Path
) -> None:
    theatre = Silent(house, read_stock(callers), 112, has_mobile=False)
    is_open = frozenset(row.path for row in read_corpus(callers).rows)
    heard = [(theatre.drafted(n).scene, theatre.heard(n, is_open)) for n in range(40)]
    learned = [(scene, one) for scene, one in heard if one is not None]
    assert {one.is_person for _, one in learned} == {True, False}
    for scene, one in learned:
        assert one.is_person == (scene.label == "speech")
        assert scene.line.gap_from_seconds is None
        assert len(one.seen) > 0
        assert np.isfinite(one.seen).all()
    people = np.concatenate([one.seen for _, one in learned if one.is_person])
    pockets = np.concatenate([one.seen for _, one in learned if not one.is_person])
    *counts, always = astuple(SHARES)
    assert (people @ counts + always).mean() > 0 > (pockets @ counts + always).mean()
    with_clips = next(n for n, (scene, one) in enumerate(heard) if one and scene.clips)
    assert theatre.heard(with_clips, frozenset()) is None
