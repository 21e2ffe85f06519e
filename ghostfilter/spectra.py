"""Blocks of short-time spectra, worked out once for all who listen.

Eight frames (160 ms) at a time: numpy costs a microsecond a call, whatever it is asked,
so one call for eight frames is what makes a thousand callers fit on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES = 8
FRAME_SAMPLES = 160
WINDOW = 256
"""32 ms, Hann; each window ends where its frame ends and reaches 12 ms before it."""
BINS = WINDOW // 2 + 1
HZ_PER_BIN = 8000 / WINDOW
FULL_SCALE = 32768.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Block:
    """Eight frames in a row."""

    first_frame: int
    """Number of the first of them, counted from the call's beginning."""
    samples: Floats
    """(8 × 160,) the samples, ±1 full scale."""
    power: Floats
    """(8, 129): |X|² of the Hann window's spectrum of samples in ±1."""
    dbfs: Floats
    """(8,): each frame's RMS level in dB below full scale, at least −96."""
    is_speech: NDArray[np.bool_]
    """(8,): webrtcvad's opinion."""
