"""Blocks of short-time spectra, worked out once for all who listen.

Eight frames (160 ms) at a time: numpy costs a microsecond a call, whatever it is asked,
so one call for eight frames is what makes a thousand callers fit on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostfilter.vad import FRAME_BYTES, Vad

BLOCK_FRAMES = 8
FRAME_SAMPLES = 160
WINDOW = 256
"""32 ms, Hann; each window ends where its frame ends and reaches 12 ms before it."""
BINS = WINDOW // 2 + 1
HZ_PER_BIN = 8000 / WINDOW
FULL_SCALE = 32768.0

Floats = NDArray[np.float32]


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
    is_speech: NDArray[np.bool_]
    """(8,): webrtcvad's opinion."""


_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_SCALE = np.float32(1.0 / FULL_SCALE)
_BEFORE = WINDOW - FRAME_SAMPLES
_BLOCK_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES
_INDEX = np.arange(WINDOW) + FRAME_SAMPLES * np.arange(BLOCK_FRAMES)[:, None]


class Blocks:
    """Gathers frames into blocks."""

    __slots__ = ("_frames", "_held", "_speech", "_tail", "_vad")

    def __init__(self, vad: Vad | None = None) -> None:
        self._vad = vad or Vad()
        self._held: list[bytes] = []
        self._speech: list[bool] = []
        self._tail = np.zeros(_BEFORE, np.float32)
        self._frames = 0

    def push(self, frame: bytes) -> Block | None:
        """Add a frame of 20 ms; every eighth completes a block.

        Raises ValueError for a frame that has not 320 bytes.
        """
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, not {len(frame)}")
        self._held.append(frame)
        self._speech.append(self._vad.is_speech(frame))
        self._frames += 1
        return self._block() if len(self._held) == BLOCK_FRAMES else None

    def _block(self) -> Block:
        line = np.empty(_BEFORE + _BLOCK_SAMPLES, np.float32)
        line[:_BEFORE] = self._tail
        samples = line[_BEFORE:]
        np.multiply(np.frombuffer(b"".join(self._held), np.int16), _SCALE, out=samples)
        self._tail = line[-_BEFORE:]
        power = np.abs(np.fft.rfft(line.take(_INDEX) * _HANN))
        power *= power
        frames = samples.reshape(BLOCK_FRAMES, FRAME_SAMPLES)
        dbfs = np.einsum("ij,ij->i", frames, frames)
        dbfs *= 1.0 / FRAME_SAMPLES
        dbfs += 2.5e-10
        np.log10(dbfs, out=dbfs)
        dbfs *= 10.0
        block = Block(
            first_frame=self._frames - BLOCK_FRAMES,
            samples=samples,
            power=power,
            dbfs=dbfs,
            is_speech=np.array(self._speech),
        )
        self._held.clear()
        self._speech.clear()
        return block
