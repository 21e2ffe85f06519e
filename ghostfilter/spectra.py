"""Blocks of short-time spectra, worked out once for all who listen.

Eight frames (160 ms) at a time: numpy costs a microsecond a call, whatever it is asked,
so one call for eight frames is what makes a thousand callers fit on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from ghostfilter.sums import BINS as BINS
from ghostfilter.sums import HZ_PER_BIN as HZ_PER_BIN
from ghostfilter.sums import WEIGHTS, WINDOW
from ghostfilter.sums import Floats as Floats
from ghostfilter.vad import FRAME_BYTES as FRAME_BYTES
from ghostfilter.vad import Vad

BLOCK_FRAMES = 8
HALF_FRAMES = 4
FRAME_SAMPLES = 160
"""Each Hann window of 32 ms ends where its frame ends and reaches 12 ms before it."""
FULL_SCALE = 32768.0


@dataclass(slots=True)
class Block:
    """Eight frames in a row. Nobody changes one; to freeze it would cost 0.4 µs."""

    first_frame: int
    """Number of the first of them, counted from the call's beginning."""
    samples: Floats
    """(8 × 160,) the samples, ±1 full scale."""
    power: Floats
    """(8, 129): |X|² of the Hann window's spectrum of samples in ±1."""
    dbfs: Floats
    """(8,): each frame's RMS level in dB below full scale, at least −96."""
    levels: list[float]
    """The same as a list …"""
    loudest: float
    """… and its highest."""
    sums: Floats
    """(8, COLUMNS) weighted sums of the power: see `sums.py`."""
    is_speech: NDArray[np.bool_]
    """(8,): webrtcvad's opinion."""


_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_BEFORE = WINDOW - FRAME_SAMPLES
_BLOCK_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES
# Rows, not single numbers: numpy needs 0.2 µs to make a row of a number.
_SCALE = np.full(_BLOCK_SAMPLES, 1.0 / FULL_SCALE, np.float32)
_PER_SAMPLE = np.full(BLOCK_FRAMES, 1.0 / FRAME_SAMPLES, np.float32)
_TINY = np.full(BLOCK_FRAMES, 2.5e-10, np.float32)
_TEN = np.full(BLOCK_FRAMES, 10.0, np.float32)


class Blocks:
    """Gathers frames into blocks."""

    __slots__ = (
        "_each",
        "_held",
        "_last",
        "_line",
        "_samples",
        "_spectra",
        "_spoken",
        "_vad",
        "_windowed",
        "_windows",
        "frames",
    )

    def __init__(self, vad: Vad | None = None) -> None:
        self._vad = vad or Vad()
        self._held: list[bytes] = []
        self._spoken: list[bool] = []
        """webrtcvad's opinion of those held, where `half` has asked it already."""
        self._line = np.zeros(_BEFORE + _BLOCK_SAMPLES, np.float32)
        self._last = self._line[-_BEFORE:]
        self._samples = self._line[_BEFORE:]
        self._each = self._samples.reshape(BLOCK_FRAMES, FRAME_SAMPLES)
        step = self._line.itemsize
        shape, strides = (BLOCK_FRAMES, WINDOW), (FRAME_SAMPLES * step, step)
        self._windows: Floats = as_strided(self._line, shape, strides, writeable=False)
        self._windowed = np.empty(shape, np.float32)
        self._spectra = np.empty((BLOCK_FRAMES, BINS), np.complex64)
        self.frames = 0
        """All so far."""

    def push(self, frame: bytes) -> Block | None:
        """Add a frame of 20 ms; every eighth completes a block.

        Raises ValueError for a frame that has not 320 bytes.
        """
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, not {len(frame)}")
        self._held.append(frame)
        self.frames += 1
        return None if self.frames % BLOCK_FRAMES else self._block()

    @property
    def is_half(self) -> bool:
        """Whether half a block is there."""
        return self.frames % BLOCK_FRAMES == HALF_FRAMES

    def half(self) -> Block:
        """The frames of half a block, twice: for who cannot wait for the whole."""
        held = np.frombuffer(b"".join(self._held), np.int16) * _SCALE[0]
        line = np.concatenate((self._last, held))
        windows = sliding_window_view(line, WINDOW)[::FRAME_SAMPLES]
        power = np.abs(np.fft.rfft(windows * _HANN)).astype(np.float32) ** 2
        frames = held.reshape(HALF_FRAMES, FRAME_SAMPLES)
        squares = np.vecdot(frames, frames) * _PER_SAMPLE[0] + _TINY[0]
        dbfs = np.tile(_TEN[0] * np.log10(squares), 2)
        levels = dbfs.tolist()
        return Block(
            self.frames - HALF_FRAMES,
            np.tile(held, 2),
            np.tile(power, (2, 1)),
            dbfs,
            levels,
            max(levels),
            np.tile(power @ WEIGHTS, (2, 1)),
            np.tile(self._hear_all(), 2),
        )

    def _hear_all(self) -> list[bool]:
        """webrtcvad's opinion of all that is held; it adapts, so it is asked once."""
        self._spoken += self._vad.are_speech(self._held[len(self._spoken) :])
        return self._spoken

    def _block(self) -> Block:
        held, samples = self._held, self._samples
        self._line[:_BEFORE] = self._last
        samples[...] = np.frombuffer(b"".join(held), np.int16)
        samples *= _SCALE
        np.multiply(self._windows, _HANN, out=self._windowed)
        # numpy's stub knows only the spectra of 64-bit samples.
        spectra = np.fft.rfft(self._windowed, out=self._spectra)  # type: ignore[arg-type]
        power: Floats = np.abs(spectra)
        power *= power
        dbfs = self._dbfs()
        levels = dbfs.tolist()
        is_speech = np.array(self._hear_all())
        held.clear()
        self._spoken = []
        # By place: by name it costs 0.2 µs more.
        return Block(
            self.frames - BLOCK_FRAMES,
            samples.copy(),
            power,
            dbfs,
            levels,
            max(levels),
            np.dot(power, WEIGHTS),
            is_speech,
        )

    def _dbfs(self) -> Floats:
        """(8,) each frame's level."""
        dbfs: Floats = np.vecdot(self._each, self._each)
        dbfs *= _PER_SAMPLE
        dbfs += _TINY
        np.log10(dbfs, out=dbfs)
        dbfs *= _TEN
        return dbfs
