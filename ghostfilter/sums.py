"""Weighted sums of a spectrum's bins: all that several listeners need, in one product.

A matrix product of eight frames costs three microseconds, whether it has two columns or
eighty; so every band, filter and cosine that any listener weighs a spectrum with is a
column here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WINDOW = 256
"""32 ms."""
BINS = WINDOW // 2 + 1
HZ_PER_BIN = 8000 / WINDOW

BANDS = 24
LOWEST_HZ = 100.0
HIGHEST_HZ = 3800.0
_LOWEST_BIN = 3
"""Below 90 Hz telephony carries nothing but hum."""

LAGS = np.arange(12, 112, 2)
"""Pitch periods looked for, in samples: 71…667 Hz, a man's voice to a baby's cry."""

MEL = slice(0, BANDS)
WHOLE = BANDS
"""All above 90 Hz."""
TEXT, UPPER, LOWER, NETWORK = range(WHOLE + 1, WHOLE + 5)
"""Where text telephones are, V.21's channels, and the tones of networks."""
UPPER_LOW, UPPER_HIGH, LOWER_LOW, LOWER_HIGH = range(NETWORK + 1, NETWORK + 5)
"""Each channel's lower and higher tone."""
TWICE = LOWER_HIGH + 1
"""A frame's energy above 45 Hz, as the periods count it."""
PERIODS = slice(TWICE + 1, TWICE + 1 + len(LAGS))
"""How much the frame repeats itself after each of LAGS."""
OVER = slice(PERIODS.stop, PERIODS.stop + 4)
"""TEXT to NETWORK once more, less the share of the whole that such a sound has there at
least: below zero it is none. So one comparison with zero asks for all four."""
COLUMNS = OVER.stop

LEAST_SHARES = {TEXT: 0.85, UPPER: 0.85, LOWER: 0.85, NETWORK: 0.9}
_HERTZ = {
    TEXT: (1250.0, 1950.0),
    UPPER: (1480.0, 2020.0),
    LOWER: (820.0, 1340.0),
    NETWORK: (280.0, 700.0),
    UPPER_LOW: (1590.0, 1720.0),
    UPPER_HIGH: (1780.0, 1910.0),
    LOWER_LOW: (920.0, 1050.0),
    LOWER_HIGH: (1110.0, 1240.0),
}
_OUTWARDS = frozenset({TEXT, NETWORK})
"""Bands that begin with the bin below their edge, not above it."""


def mel_filters() -> Floats:
    """(129, 24) triangular filters on the mel scale (O'Shaughnessy)."""
    edges = _hz(np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), BANDS + 2)) / HZ_PER_BIN
    bins = np.arange(BINS)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    return filters.astype(np.float32)


def _mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))


def _cosines() -> Floats:
    """(129, lags): each frame's autocorrelation, out of its power (Wiener-Khinchin)."""
    angles = 2.0 * np.pi * np.arange(BINS)[:, None] * LAGS / WINDOW
    cosines = (2.0 * np.cos(angles)).astype(np.float32)
    cosines[-1] *= 0.5
    hann = np.hanning(WINDOW + 1)[:-1]
    # Long periods count as much as short ones, in spite of the window.
    cosines *= np.array(
        [hann @ hann / (hann[lag:] @ hann[:-lag]) for lag in LAGS], np.float32
    )
    cosines[:2] = 0.0  # mains hum and the offset of a cheap sound card are no voice
    return cosines


def _weights() -> Floats:
    weights = np.zeros((BINS, COLUMNS), np.float32)
    weights[:, MEL] = mel_filters()
    weights[_LOWEST_BIN:, WHOLE] = 1.0
    for column, (low, high) in _HERTZ.items():
        begin = low / HZ_PER_BIN
        first = int(begin) if column in _OUTWARDS else math.ceil(begin)
        weights[first : int(high / HZ_PER_BIN) + 1, column] = 1.0
    for column, (band, share) in enumerate(LEAST_SHARES.items(), OVER.start):
        weights[:, column] = weights[:, band] - np.float32(share) * weights[:, WHOLE]
    weights[2:, TWICE] = 2.0
    weights[:, PERIODS] = _cosines()
    return weights


WEIGHTS = _weights()
"""(129, COLUMNS)"""
