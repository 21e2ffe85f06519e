"""What a frame weighs, on numbers one can work out by hand."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from ghostfilter.spectra import BLOCK_FRAMES, Floats
from ghostfilter.weighing import (
    HIGHEST,
    LEAST_OVER_DB,
    LOUDEST_DBFS,
    LOWEST,
    MOST_MOVED_DB,
    MOST_OVER_DB,
    QUICK_FRAMES,
    SEEN,
    SHARES,
    SLOW_FRAMES,
    SOFTEST_DBFS,
    UNHEARD,
    Weighing,
)

NEAR, QUICK, SLOW, MOVED, LOUD, OVER = range(SEEN)


def logits(near: float, voice: float) -> Floats:
    """Eight frames of these."""
    return np.tile(np.array([near, voice], np.float32), (BLOCK_FRAMES, 1))


def even(dbfs: float) -> list[float]:
    """Eight frames of that level."""
    return [dbfs] * BLOCK_FRAMES


def test_logits_count_as_they_are_within_bounds() -> None:
    assert Weighing().see(logits(3, 0), even(-50))[NEAR].tolist() == [3] * BLOCK_FRAMES
    assert set(Weighing().see(logits(99, 0), even(-50))[NEAR]) == {HIGHEST}
    assert set(Weighing().see(logits(-99, 0), even(-50))[NEAR]) == {LOWEST}


def test_a_voice_that_goes_on_counts_more_than_one_that_begins() -> None:
    one = Weighing()
    begun = one.see(logits(0, 6), even(-50)).copy()
    first = (UNHEARD * (QUICK_FRAMES - 1) + 6) / QUICK_FRAMES
    assert begun[QUICK, 0] == pytest.approx(first)
    whole = (UNHEARD * (SLOW_FRAMES - BLOCK_FRAMES) + 6 * BLOCK_FRAMES) / SLOW_FRAMES
    assert begun[SLOW, -1] == pytest.approx(whole)
    for _ in range(3):
        gone_on = one.see(logits(0, 6), even(-50))
    assert gone_on[QUICK, -1] == pytest.approx(6)
    assert gone_on[SLOW, -1] == pytest.approx(6)


def test_how_much_the_level_moves_in_half_a_second() -> None:
    one = Weighing()
    assert set(one.see(logits(0, 0), even(-50))[MOVED]) == {0.0}
    assert one.see(logits(0, 0), even(-46))[MOVED, 0] == pytest.approx(2.0)
    assert set(one.see(logits(0, 0), even(-5))[MOVED]) == {MOST_MOVED_DB}
    one.see(logits(0, 0), even(-5))
    assert set(one.see(logits(0, 0), even(-5))[MOVED]) == {0.0}


def test_the_line_is_as_loud_as_its_second_softest_block() -> None:
    one = Weighing()
    assert set(one.see(logits(0, 0), even(-50))[LOUD]) == {-50 - SOFTEST_DBFS}
    one.see(logits(0, 0), even(-90))
    seen = one.see(logits(0, 0), [*even(-40)[:7], 0.0])
    assert set(seen[LOUD]) == {-50 - SOFTEST_DBFS}
    assert seen[OVER].tolist() == [10.0] * 7 + [MOST_OVER_DB]
    for _ in range(11):
        seen = one.see(logits(0, 0), even(-20))
    assert set(seen[LOUD]) == {LOUDEST_DBFS - SOFTEST_DBFS}
    assert set(seen[OVER]) == {0.0}
    assert set(one.see(logits(0, 0), even(-90))[OVER]) == {LEAST_OVER_DB}


def test_a_frame_weighs_what_its_parts_count() -> None:
    seen = Weighing().see(logits(2, 1), even(-45))
    *counts, always = astuple(SHARES)
    expected = (np.array(counts) @ seen + always).tolist()
    assert Weighing().push(logits(2, 1), even(-45)) == pytest.approx(expected, rel=1e-4)


def test_a_look_leaves_no_trace() -> None:
    looked, plain = Weighing(), Weighing()
    for at, dbfs in enumerate((-60.0, -30.0, -42.0, -55.0)):
        looked.look(logits(9, 9), even(-3.0))
        assert looked.floor_dbfs == plain.floor_dbfs
        block = logits(at - 2, at)
        assert looked.push(block, even(dbfs)) == plain.push(block, even(dbfs))


def test_silence_and_steady_noise_weigh_against_anybody() -> None:
    for dbfs in (-90.0, -45.0, -30.0):
        one = Weighing()
        weights = [w for _ in range(20) for w in one.push(logits(-5, -4), even(dbfs))]
        assert max(weights) < 0
