"""Running averages of a row of frames, a block at a time, as one matrix product."""

from __future__ import annotations

import numpy as np

from ghostfilter.spectra import BLOCK_FRAMES, Floats


def last_averages(frames: int, longest: int) -> Floats:
    """(8, longest + 7) what makes, of a row that long, its last eight averages.

    `frames`: over how many; the row ends with the last frame of a block.
    """
    ends = np.arange(BLOCK_FRAMES)[:, None] + longest
    places = np.arange(longest + BLOCK_FRAMES - 1)[None]
    inside = (places < ends) & (places >= ends - frames)
    return (inside / frames).astype(np.float32)
