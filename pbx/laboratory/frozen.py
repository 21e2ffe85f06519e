"""Thresholds frozen on half of the recordings and tried on the other half.

A threshold chosen on the clips it is judged by flatters every detector. So recordings
(groups), never clips, are halved; the threshold is frozen on one half's people, and
people dropped and ghosts caught are counted on the other half, in both directions. One
halving is luck: it is done ten times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.corpus import Label, Row

HALVINGS = 10
SEED = 112


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a threshold frozen elsewhere led to, over all halvings."""

    dropped: float
    """People dropped of all people, mean of the halvings."""
    dropped_worst: int
    """In the unluckiest halving."""
    caught_rate: float
    """Ghosts caught of all ghosts, 0…1, mean of the halvings."""


def freeze(
    rows: Sequence[Row], scores: Sequence[float], *, allowed: float = 0.0
) -> Frozen:
    """Score below the threshold: dropped. `allowed`: share of the first half's people
    that the threshold may drop (0: nobody)."""
    values = np.asarray(scores, float)
    people = np.array([row.label is Label.SPEECH for row in rows])
    ghosts = np.array([row.label is Label.GHOST for row in rows])
    dropped, caught = [], []
    for first in halves(rows):
        lost = kept = 0
        for chosen, tried in ((first, ~first), (~first, first)):
            limit = threshold(values[chosen & people], allowed)
            lost += int((values[tried & people] < limit).sum())
            kept += int((values[tried & ghosts] < limit).sum())
        dropped.append(lost)
        caught.append(kept)
    return Frozen(
        dropped=float(np.mean(dropped)),
        dropped_worst=max(dropped),
        caught_rate=float(np.mean(caught)) / max(int(ghosts.sum()), 1),
    )


def threshold(people: NDArray[np.float64], allowed: float) -> float:
    """The highest that drops no more than that share of these people."""
    if not people.size:
        return -np.inf
    return float(np.sort(people)[int(allowed * people.size)])


def halves(rows: Sequence[Row]) -> Iterable[NDArray[np.bool_]]:
    """Which rows are in the first half, for each halving; groups stay whole."""
    groups = sorted({row.group for row in rows})
    rng = np.random.default_rng(SEED)
    for _ in range(HALVINGS):
        first = set(rng.permutation(groups)[: len(groups) // 2].tolist())
        yield np.array([row.group in first for row in rows])
