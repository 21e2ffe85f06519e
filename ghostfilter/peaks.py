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
    whole = np.add.reduce(rest, 1) + _TINY
    first, first_parts = _take_strongest(rest)
    second, second_parts = _take_strongest(rest)
    lower_first = first < second
    middle = np.array((np.minimum(first, second), np.maximum(first, second)))
    parts = np.where(lower_first[:, None], (first_parts, second_parts), _TINY)
    parts += np.where(lower_first[:, None], _TINY, (second_parts, first_parts))
    size = np.sqrt(parts[:, :, 1:4]) + _TINY
    below, centre, above = size[:, :, 0], size[:, :, 1], size[:, :, 2]
    ratio = np.maximum(below, above) / centre
    offset = np.copysign((2.0 * ratio - 1.0) / (1.0 + ratio), above - below)
    hertz = (middle + offset) * HZ_PER_BIN
    share = np.add.reduce(parts, 2) / whole
    return Lines(hertz.T.astype(np.float32), share.T)


def _take_strongest(rest: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Middle bin and five powers of each strongest line; taken out of `rest`."""
    flat = rest.reshape(-1)
    middle = rest[:, 2 : BINS - 2].argmax(1) + 2
    places = (middle + np.arange(len(rest)) * BINS)[:, None] + _AROUND
    parts = flat.take(places)
    flat[places] = 0.0
    return middle, parts
