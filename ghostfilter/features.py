"""What the net looks at: 54 numbers a frame, made from blocks of spectra.

Log-mel bands as they are and over the line's own floor, level, tilt, harmonicity, and
webrtcvad's opinion. Where our own prompt may be coming back, what it explains is taken
out first (`echo.py`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ghostfilter.spectra import BINS, BLOCK_FRAMES, HZ_PER_BIN, WINDOW, Block, Floats

BANDS = 24
LOWEST_HZ = 100.0
HIGHEST_HZ = 3800.0
EPSILON = np.float32(1e-6)
"""About −78 dBFS in a band: G.711's own noise, so that digital silence is no cliff."""
FLOOR_BLOCKS = 12
"""The floor of a band is its lowest level in the last 2 s (minimum statistics,
R. Martin 2001, without his bias correction)."""
LAGS = np.arange(12, 112, 2)
"""Pitch periods looked for, in samples: 71…667 Hz, a man's voice to a baby's cry."""
_REST = 2 * BANDS
FEATURES = _REST + 6


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


_MEL = mel_filters()
_ANGLES = 2.0 * np.pi * np.arange(BINS)[:, None] * LAGS / (2 * (BINS - 1))
_COSINES = (2.0 * np.cos(_ANGLES)).astype(np.float32)
_COSINES[0] *= 0.5
_COSINES[-1] *= 0.5
_PITCH = (8000.0 / LAGS).astype(np.float32)
_HANN = np.hanning(WINDOW + 1)[:-1]
# Long periods count as much as short ones, in spite of the window.
_COSINES *= np.array(
    [_HANN @ _HANN / (_HANN[lag:] @ _HANN[:-lag]) for lag in LAGS], np.float32
)
_NEARLY = np.float32(0.93)
"""The shortest period about as strong as the strongest is the pitch's."""
_COSINES[:2] = 0.0  # mains hum and the offset of a cheap sound card are no voice
_TWICE = np.full(BINS, 2.0, np.float32)
_TWICE[:2] = 0.0
_TILT = np.zeros(BANDS, np.float32)
_TILT[:8], _TILT[16:] = 0.125, -0.125


def mel_power(power: Floats) -> Floats:
    """(frames, 129) power → (frames, 24) power in each band."""
    return power @ _MEL


class Features:
    """One call's features; remembers the floor of each band."""

    __slots__ = ("_at", "_lowest", "harmonicity", "hertz")

    def __init__(self) -> None:
        self.harmonicity = np.zeros(BLOCK_FRAMES, np.float32)
        """(8,) of the last block: 0 noise … 1 a voiced sound."""
        self.hertz = np.zeros(BLOCK_FRAMES, np.float32)
        """(8,) its pitch, where it is harmonic."""
        self._lowest = np.full((FLOOR_BLOCKS, BANDS), np.inf, np.float32)
        self._at = 0

    def of(
        self, block: Block, bands: Floats, explained: Floats, correlation: float
    ) -> Floats:
        """(8, 54) for a block and its mel power, our echo already taken out.

        `explained` (8,) and `correlation` are the echo's own: what share it took out.
        """
        log = np.log(bands + EPSILON)
        self._lowest[self._at % FLOOR_BLOCKS] = np.minimum.reduce(log)
        self._at += 1
        floor = np.minimum.reduce(self._lowest)
        out = np.empty((BLOCK_FRAMES, FEATURES), np.float32)
        out[:, :BANDS] = log
        out[:, :BANDS] *= 0.25
        out[:, :BANDS] += 2.0
        np.subtract(log, floor, out=out[:, BANDS : 2 * BANDS])
        out[:, BANDS : 2 * BANDS] *= 0.25
        self._find_pitch(block, explained)
        out[:, _REST] = explained
        out[:, _REST + 1] = correlation
        out[:, _REST + 2] = self.harmonicity
        out[:, _REST + 3] = block.is_speech
        out[:, _REST + 4] = block.dbfs * 0.05 + 2.0
        out[:, _REST + 5] = out[:, :BANDS] @ _TILT
        return out

    def _find_pitch(self, block: Block, explained: Floats) -> None:
        """How much each frame repeats itself, and how often a second.

        What our own prompt explains repeats nothing.
        """
        power = block.power
        whole = power @ _TWICE
        whole += 1e-7
        periods = power @ _COSINES
        periods *= ((1.0 - explained) / whole)[:, None]
        self.harmonicity = np.maximum.reduce(periods, axis=1)
        nearly = periods >= _NEARLY * self.harmonicity[:, None]
        self.hertz = _PITCH[nearly.argmax(axis=1)]
