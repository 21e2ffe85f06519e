"""The two strongest lines of each spectrum: where they lie and how much they hold.

A Hann window's line covers five bins; three of them tell its place to a few hertz
(ratio of amplitudes, J. C. Burgess 1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostfilter.sums import BINS, HZ_PER_BIN, Floats

_LOWEST_BIN = 3
"""Below 90 Hz telephony carries nothing but hum."""
_LINE = np.arange(5)
_BOTH = np.array([[0], [1]])
_PLACES = (np.arange(8) * BINS)[:, None] + _LINE
KEY_SHARE, LINE_SHARE, PURE_SHARE = 0.7, 0.85, 0.9
"""What listeners ask of a frame: of a key's edge, of one steady tone, of tones that
explain it."""
KEY_BINS = (18, 32, 34, 53)
"""Where the lines of a key begin, two bins before their peak: 625…1062 and 1125…1719 Hz
(4.5 % off, and a bin)."""
LOWEST_TONE_BIN = 8
"""Below 312 Hz a thump has lines, too."""
_TINY = np.float32(1e-12)


@dataclass(frozen=True, slots=True)
class Lines:
    """Of each frame, by frequency: the lower of the two strongest lines first."""

    hertz: Floats
    """(frames, 2)."""
    share: Floats
    """(frames, 2): of the frame's energy above 90 Hz, 0…1."""


def two_lines(power: Floats) -> Lines:
    """Find the two strongest lines of up to eight power spectra (frames, 129)."""
    return _placed(*_strongest(power))


def lines_of(power: Floats) -> Lines | None:
    """The same; at half the cost None, if no frame has what any listener looks for."""
    begin, parts, share = _strongest(power)
    return _placed(begin, parts, share) if _are_of_use(begin, share) else None


def _are_of_use(begin: NDArray[np.intp], share: Floats) -> bool:
    """Whether any frame is one line, or two lines, or nearly a key."""
    both = share[0] + share[1]
    if float(np.maximum.reduce(both)) < KEY_SHARE:
        return False
    if float(np.maximum.reduce(share, None)) >= LINE_SHARE:
        return True
    low, high = np.minimum.reduce(begin), np.maximum.reduce(begin)
    found = (low >= KEY_BINS[0]) & (low <= KEY_BINS[1])
    found &= (high >= KEY_BINS[2]) & (high <= KEY_BINS[3])
    found |= (both >= PURE_SHARE) & (high >= LOWEST_TONE_BIN)
    found &= both >= KEY_SHARE
    return bool(found.any())


def _strongest(power: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """(2, frames) first bins of the two lines; (2, frames, 5) theirs; their shares."""
    frames = len(power)
    rest = power.copy()
    rest[:, :_LOWEST_BIN] = 0.0
    whole = np.add.reduce(rest, 1)
    whole += _TINY
    begin = np.empty((2, frames), np.intp)
    parts = np.empty((2, frames, _LINE.size), np.float32)
    inner, flat = rest[:, 2 : BINS - 2], rest.reshape(-1)
    inner.argmax(1, begin[0])
    places = _PLACES[:frames] + begin[0][:, None]
    flat.take(places, None, parts[0], "clip")
    flat[places] = 0.0
    inner.argmax(1, begin[1])
    flat.take(_PLACES[:frames] + begin[1][:, None], None, parts[1], "clip")
    share = np.add.reduce(parts, 2)
    share /= whole
    return begin, parts, share


def _placed(begin: NDArray[np.intp], parts: Floats, share: Floats) -> Lines:
    """Where the lines lie, the lower first."""
    order, frames = (begin[0] > begin[1]) ^ _BOTH, np.arange(begin.shape[1])
    parts, share = parts[order, frames], share[order, frames]
    begin.sort(0)
    size = np.sqrt(parts[:, :, 1:4])
    below, above = size[:, :, 0], size[:, :, 2]
    ratio = np.maximum(below, above) / (size[:, :, 1] + _TINY)
    offset = np.copysign(2.0 - 3.0 / (1.0 + ratio), above - below)
    hertz = (begin + (offset + 2.0)) * HZ_PER_BIN
    return Lines(hertz.T, share.T)
