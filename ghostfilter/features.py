"""What the net looks at: 54 numbers a frame, made from blocks of spectra.

Log-mel bands as they are and over the line's own floor, level, tilt, harmonicity, and
webrtcvad's opinion. Where our own prompt may be coming back, what it explains is taken
out first (`echo.py`).
"""

from __future__ import annotations

import numpy as np

from ghostfilter.spectra import BLOCK_FRAMES, Block, Floats
from ghostfilter.sums import BANDS as BANDS
from ghostfilter.sums import LAGS, MEL, PERIODS, TWICE, WEIGHTS

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
_TINY = np.float32(1e-7)
_TILT = np.zeros(BANDS, np.float32)
_TILT[:8], _TILT[16:] = 0.125, -0.125


def mel_power(power: Floats) -> Floats:
    """(frames, 129) power → (frames, 24) power in each band."""
    return power @ _MEL


class Features:
    """One call's features; remembers the floor of each band."""

    __slots__ = ("_at", "_lowest", "_periods", "harmonicity")

    def __init__(self) -> None:
        self.harmonicity = np.zeros(BLOCK_FRAMES, np.float32)
        """(8,) of the last block: 0 noise … 1 a voiced sound."""
        self._periods = np.zeros((BLOCK_FRAMES, len(LAGS)), np.float32)
        self._lowest = np.full((FLOOR_BLOCKS, BANDS), np.inf, np.float32)
        self._at = 0

    def of(
        self, block: Block, bands: Floats, explained: Floats, correlation: float
    ) -> Floats:
        """(8, 54) for a block and its mel power, our echo already taken out.

        `explained` (8,) and `correlation` are the echo's own: what share it took out.
        """
        log = np.log(bands + EPSILON)
        log *= 0.25
        self._lowest[self._at % FLOOR_BLOCKS] = np.minimum.reduce(log)
        self._at += 1
        floor = np.minimum.reduce(self._lowest)
        out = np.empty((BLOCK_FRAMES, FEATURES), np.float32)
        levels, over = out[:, :BANDS], out[:, BANDS:_REST]
        np.subtract(log, floor, out=over)
        np.add(log, 2.0, out=levels)
        self._find_pitch(block, explained)
        out[:, _REST] = explained
        out[:, _REST + 1] = correlation
        out[:, _REST + 2] = self.harmonicity
        out[:, _REST + 3] = block.is_speech
        out[:, _REST + 4] = block.dbfs * 0.05 + 2.0
        out[:, _REST + 5] = np.dot(log, _TILT)
        return out

    @property
    def hertz(self) -> Floats:
        """(8,) the pitch of the last block's frames, where they are harmonic."""
        nearly = self._periods >= _NEARLY * self.harmonicity[:, None]
        return np.asarray(_PITCH[nearly.argmax(axis=1)])

    def _find_pitch(self, block: Block, explained: Floats) -> None:
        """How much each frame repeats itself; what our own prompt explains does not."""
        share = (1.0 - explained) / (block.sums[:, TWICE] + _TINY)
        self._periods = block.sums[:, PERIODS] * share[:, None]
        self.harmonicity = np.maximum.reduce(self._periods, axis=1)
