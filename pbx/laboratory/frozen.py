"""Thresholds frozen on half of the recordings and tried on the other half.

A threshold chosen on the clips it is judged by flatters every detector. So recordings
(groups), never clips, are halved; the threshold is frozen on one half's people, and
people dropped and ghosts caught are counted on the other half, in both directions. One
halving is luck: it is done ten times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.corpus import Label, Row
from pbx.laboratory.figures import auc

HALVINGS = 10
SEED = 112
ONE_IN_200 = 0.005

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]
ScoreFrom = Callable[[Mask], Scores]
"""Every clip's score by what may be learned from the half that is marked.

The scores of that half must be such as strangers would get: by cross-validation.
"""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a threshold frozen elsewhere led to, over all halvings."""

    dropped: float
    """People dropped of all people, mean of the halvings."""
    dropped_worst: int
    """In the unluckiest halving."""
    caught_rate: float
    """Ghosts caught of all ghosts, 0…1, mean of the halvings."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One detector's figures."""

    auc: float | None
    """On halves it did not learn from; None: people or ghosts are missing."""
    nobody: Frozen
    """The threshold dropped nobody of the half it was frozen on …"""
    one_in_200: Frozen
    """… or one in 200."""


def fixed(scores: Sequence[float]) -> ScoreFrom:
    """A detector that learns nothing here."""
    values = np.asarray(scores, float)
    return lambda _: values


def mean_rank(first: ScoreFrom, second: ScoreFrom) -> ScoreFrom:
    """The mean of two detectors' ranks among the clips of the marked half."""

    def score(half: Mask) -> Scores:
        return (_ranks(first(half), half) + _ranks(second(half), half)) / 2

    return score


def trial(rows: Sequence[Row], score_from: ScoreFrom) -> Trial:
    """Freeze on each half, try on the other. Below the threshold means dropped."""
    people = np.array([row.label is Label.SPEECH for row in rows])
    ghosts = np.array([row.label is Label.GHOST for row in rows])
    counts: dict[float, list[tuple[int, int]]] = {0.0: [], ONE_IN_200: []}
    ordered = []
    for first in halves(rows):
        found = dict.fromkeys(counts, (0, 0))
        for half in (first, ~first):
            values = score_from(half)
            ordered.append(auc(values[~half & people], values[~half & ghosts]))
            for allowed, (dropped, caught) in found.items():
                below = ~half & (values < threshold(values[half & people], allowed))
                found[allowed] = (
                    dropped + int((below & people).sum()),
                    caught + int((below & ghosts).sum()),
                )
        for allowed, both in found.items():
            counts[allowed].append(both)
    known = [one for one in ordered if one is not None]
    return Trial(
        auc=float(np.mean(known)) if known else None,
        nobody=_frozen(counts[0.0], int(ghosts.sum())),
        one_in_200=_frozen(counts[ONE_IN_200], int(ghosts.sum())),
    )


def threshold(people: Scores, allowed: float) -> float:
    """The highest that drops no more than that share of these people."""
    if not people.size:
        return -np.inf
    return float(np.sort(people)[int(allowed * people.size)])


def halves(rows: Sequence[Row]) -> Iterator[Mask]:
    """Which rows are in the first half, for each halving; groups stay whole."""
    groups = sorted({row.group for row in rows})
    rng = np.random.default_rng(SEED)
    for _ in range(HALVINGS):
        first = set(rng.permutation(groups)[: len(groups) // 2].tolist())
        yield np.array([row.group in first for row in rows])


def _frozen(counts: Sequence[tuple[int, int]], ghosts: int) -> Frozen:
    dropped = [one for one, _ in counts]
    return Frozen(
        dropped=float(np.mean(dropped)),
        dropped_worst=max(dropped),
        caught_rate=float(np.mean([one for _, one in counts])) / max(ghosts, 1),
    )


def _ranks(values: Scores, half: Mask) -> Scores:
    """0…1: the share of the half's clips that score lower, ties half."""
    known = np.sort(values[half])
    left = np.searchsorted(known, values, "left")
    right = np.searchsorted(known, values, "right")
    return (left + right) / (2.0 * max(known.size, 1))
