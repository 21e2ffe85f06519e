"""What the net looks at: 54 numbers a frame, made from blocks of spectra.

Log-mel bands as they are and over the line's own floor, level, tilt, harmonicity, and
webrtcvad's opinion. Where our own prompt may be coming back, what it explains is taken
out first (`echo.py`).
"""

from __future__ import annotations

import numpy as np

from ghostfilter.spectra import BLOCK_FRAMES, Block, Floats
from ghostfilter.sums import BANDS as BANDS
from ghostfilter.sums import COLUMNS, LAGS, MEL, PERIODS, TWICE, WEIGHTS

EPSILON = np.float32(1e-6)
"""About −78 dBFS in a band: G.711's own noise, so that digital silence is no cliff."""
FLOOR_BLOCKS = 12
"""The floor of a band is its lowest level in the last 2 s (minimum statistics,
R. Martin 2001, without his bias correction)."""
_REST = 2 * BANDS
FEATURES = _REST + 6
_MEL = np.ascontiguousarray(WEIGHTS[:, MEL])
_PITCH = (8000.0 / LAGS).astype(np.float32)
_NEARLY = np.float32(0.93)
"""The shortest period about as strong as the strongest is the pitch's."""
# Rows, not single numbers: numpy needs 0.2 µs to make a row of a number.
_EPSILON = np.full((BLOCK_FRAMES, BANDS), EPSILON)
_QUARTER = np.full((BLOCK_FRAMES, BANDS), 0.25, np.float32)
_WHOLE = np.ones(BLOCK_FRAMES, np.float32)
_TINY = np.full(BLOCK_FRAMES, 1e-7, np.float32)
_TWENTIETH = np.full(BLOCK_FRAMES, 0.05, np.float32)
_TWO = np.full(BLOCK_FRAMES, 2.0, np.float32)
_TILT = np.zeros(BANDS, np.float32)
_TILT[:8], _TILT[16:] = 0.125, -0.125


def mel_power(power: Floats) -> Floats:
    """(frames, 129) power → (frames, 24) power in each band."""
    return power @ _MEL


class Features:
    """One call's features; remembers the floor of each band."""

    __slots__ = (
        "_at",
        "_bands",
        "_floor",
        "_log",
        "_lowest",
        "_out",
        "_share",
        "_sums",
        "_under",
        "harmonicity",
    )

    def __init__(self) -> None:
        self.harmonicity = np.zeros(BLOCK_FRAMES, np.float32)
        """(8,) of the last block: 0 noise … 1 a voiced sound."""
        self._sums = np.zeros((BLOCK_FRAMES, COLUMNS), np.float32)
        self._share = np.zeros(BLOCK_FRAMES, np.float32)
        self._lowest = np.full((FLOOR_BLOCKS, BANDS), np.inf, np.float32)
        self._at = 0
        # Written anew for each block, with views made once: 2 µs a block.
        self._log = np.empty((BLOCK_FRAMES, BANDS), np.float32)
        self._under = np.full((2, BANDS), -2.0, np.float32)
        """What each band's two features are over: a constant, and its floor."""
        self._floor = self._under[1]
        self._out = np.empty((BLOCK_FRAMES, FEATURES), np.float32)
        self._bands = self._out[:, :_REST].reshape(BLOCK_FRAMES, 2, BANDS)

    def of(
        self, block: Block, bands: Floats, explained: Floats, correlation: float
    ) -> Floats:
        """(8, 54) for a block and its mel power, our echo already taken out.

        `explained` (8,) and `correlation` are the echo's own: what share it took out.
        """
        log, out = self._log, self._out
        np.add(bands, _EPSILON, out=log)
        np.log(log, out=log)
        log *= _QUARTER
        self._lowest[self._at % FLOOR_BLOCKS] = np.minimum.reduce(log)
        self._at += 1
        np.minimum.reduce(self._lowest, out=self._floor)
        np.subtract(log[:, None], self._under, out=self._bands)
        self._find_pitch(block, explained)
        out[:, _REST] = explained
        out[:, _REST + 1] = correlation
        out[:, _REST + 2] = self.harmonicity
        out[:, _REST + 3] = block.is_speech
        level = block.dbfs * _TWENTIETH
        level += _TWO
        out[:, _REST + 4] = level
        out[:, _REST + 5] = np.dot(log, _TILT)
        return out.copy()

    def of_half(
        self, block: Block, bands: Floats, explained: Floats, correlation: float
    ) -> Floats:
        """The same of a block that will come again, whole."""
        found = self.of(block, bands, explained, correlation)
        self._at -= 1
        return found

    @property
    def hertz(self) -> Floats:
        """(8,) the pitch of the last block's frames, where they are harmonic."""
        periods = self._sums[:, PERIODS] * self._share[:, None]
        nearly = periods >= _NEARLY * self.harmonicity[:, None]
        return np.asarray(_PITCH[nearly.argmax(axis=1)])

    def _find_pitch(self, block: Block, explained: Floats) -> None:
        """How much each frame repeats itself; what our own prompt explains does not."""
        self._sums, share = block.sums, _WHOLE - explained
        share /= block.sums[:, TWICE] + _TINY
        self._share = share
        # The highest period's share, not the highest share of fifty: the same, sooner.
        self.harmonicity = np.maximum.reduce(block.sums[:, PERIODS], 1)
        self.harmonicity *= share
