"""The two strongest lines of each spectrum: where they lie and how much they hold.

A Hann window's line covers five bins; three of them tell its place to a few hertz
(ratio of amplitudes, J. C. Burgess 1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ghostfilter.spectra import BINS, HZ_PER_BIN, Floats

_LOWEST_BIN = 3
"""Below 90 Hz telephony carries nothing but hum."""
_LINE = np.arange(5)
_BOTH = np.array([[0], [1]])
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
    whole = np.add.reduce(rest, 1) + _TINY
    frames = np.arange(len(rest))
    begin = np.empty((2, len(rest)), np.intp)
    parts = np.empty((2, len(rest), _LINE.size), np.float32)
    flat = rest.reshape(-1)
    for line in (0, 1):
        begin[line] = rest[:, 2 : BINS - 2].argmax(1)
        places = (begin[line] + frames * BINS)[:, None] + _LINE
        flat.take(places, out=parts[line], mode="clip")
        flat[places] = 0.0
    parts = parts[(begin[0] > begin[1]) ^ _BOTH, frames]
    begin.sort(0)
    size = np.sqrt(parts[:, :, 1:4])
    below, above = size[:, :, 0], size[:, :, 2]
    ratio = np.maximum(below, above) / (size[:, :, 1] + _TINY)
    offset = np.copysign(2.0 - 3.0 / (1.0 + ratio), above - below)
    hertz = (begin + (offset + 2.0)) * HZ_PER_BIN
    return Lines(hertz.T, (np.add.reduce(parts, 2) / whole).T)
