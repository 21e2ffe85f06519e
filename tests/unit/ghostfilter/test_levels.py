"""The floor moves with every block, and lies where counting anew would put it."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.levels import FLOOR_SHARE, Levels

SEEDS = range(8)


def counted_anew(levels: list[float]) -> float:
    """In steps of 1 dB: the highest with a fifth of all frames in it and below."""
    places = sorted((int(-level) for level in levels), reverse=True)
    return -float(
        next(
            place
            for place in places
            if sum(other >= place for other in places) >= FLOOR_SHARE * len(places)
        )
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_floor_is_where_a_fifth_of_the_frames_lie_below(seed: int) -> None:
    rng, levels, all_levels = np.random.default_rng(seed), Levels(), list[float]()
    assert levels.floor_dbfs == levels.loudest_dbfs == -96.0
    for mean in rng.uniform(-90.0, -3.0, 60):
        block = np.clip(rng.normal(mean, 6.0, 8), -96.0, 0.0).tolist()
        levels.push(block)
        all_levels += block
        assert levels.floor_dbfs == counted_anew(all_levels)
        assert levels.loudest_dbfs == max(all_levels)
