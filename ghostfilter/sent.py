"""A prompt as the line would see it, should it come back: spectra of what we send.

Of a block of the line any *place* may be looked at: how late the prompt may be, the
latest first. What is due there are eight frames of the prompt from a row on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ghostfilter.features import BANDS, EPSILON, mel_power
from ghostfilter.spectra import BLOCK_FRAMES, Blocks, Floats
from ghostfilter.vad import FRAME_BYTES

EARLIEST = -12
"""Frames: lost packets make the line run ahead of our own count, 5 % of a prompt."""
LATEST = 32
"""0.64 s: a satellite's, or a bad mobile network's, way there and back."""
PLACES = LATEST - EARLIEST
"""Delays looked at."""
QUIET = np.float32(-2.5)
"""Silence before and after the prompt must not outweigh its words."""
_PAD = PLACES + BLOCK_FRAMES


@dataclass(frozen=True, slots=True)
class Sent:
    """A prompt in rows, one a frame; silence around it."""

    windows: Floats
    """(…, 8, 24) log of mel power of eight frames from each on."""
    sums: Floats
    """(…, 24) log of their summed power."""
    shape: Floats
    """(…, 24) the log over its own mean, from QUIET upwards: what is correlated."""
    energy: Floats
    """(…,) its sum of squares in eight frames from each on."""
    frames: int
    """How long the prompt is."""


@lru_cache(maxsize=64)
def sent(pcm: bytes) -> Sent:
    """A prompt (8 kHz 16-bit), prepared. Remembered: every call plays the same few."""
    whole = BLOCK_FRAMES * FRAME_BYTES
    padded = pcm + bytes(-len(pcm) % whole)
    blocks = Blocks()
    found = [
        mel_power(block.power)
        for at in range(0, len(padded), FRAME_BYTES)
        if (block := blocks.push(padded[at : at + FRAME_BYTES])) is not None
    ]
    silence = np.zeros((_PAD, BANDS), np.float32)
    power = np.concatenate((silence, *found, silence))
    log = np.log(power + EPSILON)
    mean = log[_PAD:-_PAD].mean(axis=0) if found else np.float32(0.0)
    shape = np.maximum(log - mean, QUIET)
    return Sent(
        sliding_window_view(log, BLOCK_FRAMES, axis=0).swapaxes(1, 2),
        np.log(_in_eight(power) + EPSILON),
        shape,
        _in_eight((shape * shape).sum(axis=1)),
        len(pcm) // FRAME_BYTES,
    )


def first_row(frames: int) -> int:
    """The row due at the first place, so many frames after the prompt began."""
    return max(0, frames - LATEST + 1 + _PAD)


def _in_eight(rows: Floats) -> Floats:
    """Sums over eight rows, from each on."""
    sums: Floats = sliding_window_view(rows, BLOCK_FRAMES, axis=0).sum(axis=-1)
    return sums
