"""Blocks of short-time spectra, worked out once for all who listen.

Eight frames (160 ms) at a time: numpy costs a microsecond a call, whatever it is asked,
so one call for eight frames is what makes a thousand callers fit on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from ghostfilter.sums import BINS as BINS
from ghostfilter.sums import HZ_PER_BIN as HZ_PER_BIN
from ghostfilter.sums import WEIGHTS, WINDOW
from ghostfilter.sums import Floats as Floats
from ghostfilter.vad import FRAME_BYTES, Vad

BLOCK_FRAMES = 8
FRAME_SAMPLES = 160
"""Each Hann window of 32 ms ends where its frame ends and reaches 12 ms before it."""
FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class Block:
    """Eight frames in a row."""

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
_SCALE = np.float32(1.0 / FULL_SCALE)
_BEFORE = WINDOW - FRAME_SAMPLES
_BLOCK_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES
_TINY = np.float32(2.5e-10)


class Blocks:
    """Gathers frames into blocks."""

    __slots__ = (
        "_frames",
        "_held",
        "_line",
        "_samples",
        "_spectra",
        "_vad",
        "_windowed",
        "_windows",
    )

    def __init__(self, vad: Vad | None = None) -> None:
        self._vad = vad or Vad()
        self._held: list[bytes] = []
        self._line = np.zeros(_BEFORE + _BLOCK_SAMPLES, np.float32)
        self._samples = self._line[_BEFORE:]
        step = self._line.itemsize
        shape, strides = (BLOCK_FRAMES, WINDOW), (FRAME_SAMPLES * step, step)
        self._windows: Floats = as_strided(self._line, shape, strides, writeable=False)
        self._windowed = np.empty(shape, np.float32)
        self._spectra = np.empty((BLOCK_FRAMES, BINS), np.complex64)
        self._frames = 0

    def push(self, frame: bytes) -> Block | None:
        """Add a frame of 20 ms; every eighth completes a block.

        Raises ValueError for a frame that has not 320 bytes.
        """
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, not {len(frame)}")
        self._held.append(frame)
        self._frames += 1
        return self._block() if len(self._held) == BLOCK_FRAMES else None

    def _block(self) -> Block:
        samples = self._samples
        self._line[:_BEFORE] = self._line[-_BEFORE:]
        np.multiply(np.frombuffer(b"".join(self._held), np.int16), _SCALE, out=samples)
        np.multiply(self._windows, _HANN, out=self._windowed)
        # numpy's stub knows only the spectra of 64-bit samples.
        spectra = np.fft.rfft(self._windowed, out=self._spectra)  # type: ignore[arg-type]
        power: Floats = np.abs(spectra)
        power *= power
        frames = samples.reshape(BLOCK_FRAMES, FRAME_SAMPLES)
        dbfs = np.vecdot(frames, frames)
        dbfs *= 1.0 / FRAME_SAMPLES
        dbfs += _TINY
        np.log10(dbfs, out=dbfs)
        dbfs *= 10.0
        levels = dbfs.tolist()
        block = Block(
            first_frame=self._frames - BLOCK_FRAMES,
            samples=samples.copy(),
            power=power,
            dbfs=dbfs,
            levels=levels,
            loudest=max(levels),
            sums=np.dot(power, WEIGHTS),
            is_speech=np.array(self._vad.are_speech(self._held)),
        )
        self._held.clear()
        return block
