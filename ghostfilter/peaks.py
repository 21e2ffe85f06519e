"""The two strongest lines of each spectrum: where they lie and how much they hold.

A Hann window's line covers five bins; three of them tell its place to a few hertz
(ratio of amplitudes, J. C. Burgess 1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostfilter.spectra import BINS, HZ_PER_BIN, Floats

_LOWEST_BIN = 3
"""Below 90 Hz telephony carries nothing but hum."""
_AROUND = np.arange(-2, 3)
_TINY = np.float32(1e-12)


@dataclass(frozen=True, slots=True)
class Lines:
    """Of each frame, by frequency: the lower of the two strongest lines first."""

    hertz: Floats
    """(frames, 2)."""
    share: Floats
    """(frames, 2): of the frame's energy above 90 Hz, 0…1."""


def two_lines(power: Floats) -> Lines:
    """Find the two strongest lines of each power spectrum (frames, 129)."""
    rest = power.copy()
    rest[:, :_LOWEST_BIN] = 0.0
    whole = rest.sum(1) + _TINY
    first = _take_strongest(rest)
    second = _take_strongest(rest)
    hertz = np.stack((first[0], second[0]), axis=1)
    share = np.stack((first[1], second[1]), axis=1) / whole[:, None]
    swapped = hertz[:, 0] > hertz[:, 1]
    hertz[swapped] = hertz[swapped, ::-1]
    share[swapped] = share[swapped, ::-1]
    return Lines(hertz, share)


def _take_strongest(rest: Floats) -> tuple[Floats, Floats]:
    """Frequency and energy of the strongest line, which is taken out of `rest`."""
    middle: NDArray[np.intp] = rest[:, 2 : BINS - 2].argmax(1) + 2
    bins = middle[:, None] + _AROUND
    rows = np.arange(len(rest))[:, None]
    parts = rest[rows, bins]
    rest[rows, bins] = 0.0
    size = np.sqrt(parts[:, 1:4]) + _TINY
    above = size[:, 2] > size[:, 0]
    ratio = np.where(above, size[:, 2], size[:, 0]) / size[:, 1]
    offset = (2.0 * ratio - 1.0) / (1.0 + ratio)
    hertz = (middle + np.where(above, offset, -offset)) * HZ_PER_BIN
    return hertz.astype(np.float32), parts.sum(1)
