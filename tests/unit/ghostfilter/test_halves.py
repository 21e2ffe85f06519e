"""Half a block: heard like the whole, and forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.features import FEATURES, Features
from ghostfilter.net import TURNS, Net
from ghostfilter.spectra import BLOCK_FRAMES, HALF_FRAMES, Blocks
from ghostfilter.sums import MEL
from tests.unit.ghostfilter.sounds import frames, noise, spoken

NOTHING = np.zeros(BLOCK_FRAMES, np.float32)
SOUND = noise(0.5, -60) + spoken("Halo, tolong saya!") + noise(2.0, -30)


def test_half_a_block_is_the_first_half_of_the_whole() -> None:
    looked, plain = Blocks(), Blocks()
    assert not looked.is_half
    compared, half = 0, None
    for frame in frames(SOUND):
        block, whole = looked.push(frame), plain.push(frame)
        if looked.is_half:
            half = looked.half()
        if block is None:
            continue
        assert whole is not None
        assert half is not None
        compared += 1
        assert half.first_frame == block.first_frame == whole.first_frame
        for name in ("power", "dbfs", "sums", "is_speech"):
            first = getattr(block, name)[:HALF_FRAMES]
            assert getattr(half, name)[:HALF_FRAMES] == pytest.approx(first, rel=1e-4)
            assert getattr(half, name)[HALF_FRAMES:] == pytest.approx(first, rel=1e-4)
            assert (getattr(block, name) == getattr(whole, name)).all()
        assert half.levels[:HALF_FRAMES] == pytest.approx(block.levels[:HALF_FRAMES])
        assert half.loudest == max(half.levels)
    assert compared > 10


def test_features_of_half_a_block_change_none_later() -> None:
    looked, plain, blocks = Features(), Features(), Blocks()
    for frame in frames(SOUND):
        block = blocks.push(frame)
        if blocks.is_half:
            half = blocks.half()
            seen = looked.of_half(half, half.sums[:, MEL].copy(), NOTHING, 0.0)
            assert seen.shape == (BLOCK_FRAMES, FEATURES)
        if block is not None:
            bands = block.sums[:, MEL].copy()
            found = looked.of(block, bands, NOTHING, 0.0)
            assert (found == plain.of(block, bands, NOTHING, 0.0)).all()


def test_the_net_forgets_what_it_only_looked_at() -> None:
    looked, plain = Net(), Net()
    dice = np.random.default_rng(1)
    for _ in range(2 * TURNS + 3):
        block, other = dice.standard_normal((2, BLOCK_FRAMES, FEATURES), np.float32)
        half = block.copy()
        half[HALF_FRAMES:] = other[HALF_FRAMES:]
        seen = looked.look(half)[:HALF_FRAMES]
        assert (looked.push(block) == plain.push(block)).all()
        assert plain.look(block).shape == (BLOCK_FRAMES, 2)
        assert np.isfinite(seen).all()
    whole = Net()
    first = whole.look(block)[:HALF_FRAMES]
    assert whole.push(block)[:HALF_FRAMES] == pytest.approx(first)
