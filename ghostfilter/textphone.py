"""Text telephones: a deaf caller's Baudot code.

ITU-T V.18 annex A (5-bit, 45.45 or 50 baud): a start bit of 1800 Hz, five bits, a stop
bit of 1400 Hz; 1400 is a one. A character takes 150…165 ms. Three in a row with their
start and stop bits right, and nothing else to be heard, are a text telephone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ghostfilter.spectra import Block, Floats

_RATE = 8000
STEP_SAMPLES = 40
_WINDOW_SAMPLES = 80
"""10 ms: 1400 and 1800 Hz are orthogonal in it."""
_STEP_SECONDS = STEP_SAMPLES / _RATE
BIT_STEPS = tuple(1.0 / baud / _STEP_SECONDS for baud in (45.45, 50.0))
CHARACTERS = 3
_WITHIN_STEPS = 400
"""The characters counted lie within 2 s."""
_PURE_SHARE = 0.75
"""Of 10 ms, in one of the two tones or both."""
_CLEAR_DB_SHARE = 0.7
"""Of these two, in the stronger: the bit is clear."""
_BAND_FRAMES = 4

_TIMES = np.arange(_WINDOW_SAMPLES) / _RATE
_WAVES = np.stack(
    [
        wave(2.0 * np.pi * hertz * _TIMES)
        for hertz in (1400.0, 1800.0)
        for wave in (np.cos, np.sin)
    ],
    axis=1,
).astype(np.float32) * np.float32(np.sqrt(2.0 / _WINDOW_SAMPLES))
_INDEX = np.arange(_WINDOW_SAMPLES) + STEP_SAMPLES * np.arange(32)[:, None]
_UNCLEAR, _MARK, _SPACE = 0, 1, 2


class TextPhone:
    """Reads characters out of one call, block by block."""

    __slots__ = ("_before", "_first_step", "_from", "_starts", "_steps")

    def __init__(self) -> None:
        self._before: Floats = np.zeros(_WINDOW_SAMPLES, np.float32)
        self._steps: list[int] = []
        self._first_step = 0
        self._from = 0
        self._starts: list[int] = []

    @property
    def is_reading(self) -> bool:
        """Whether the last block may have held characters."""
        return bool(self._steps)

    def pass_over(self, block: Block) -> None:
        """A block without any text, and none before it."""
        self._before = block.samples

    def push(self, block: Block, frames: int) -> int | None:
        """Hear eight frames, so many of them within the band of its tones.

        The frame of the first character once three are read.
        """
        before, self._before = self._before, block.samples
        in_band = frames >= _BAND_FRAMES
        if not in_band and not self._steps:
            return None
        if not self._steps:
            self._first_step = block.first_frame * 4 - 1
        tail = before[STEP_SAMPLES - _WINDOW_SAMPLES :]
        self._steps += bits(np.concatenate((tail, block.samples)))
        self._read()
        if not in_band:
            self._steps.clear()
            self._from = 0
            return None
        return self._certain_frame()

    def _read(self) -> None:
        """Find whole characters in what was not read yet."""
        at = self._from
        while at + 8 * BIT_STEPS[0] < len(self._steps):
            if self._steps[at] == _SPACE and any(
                is_character(self._steps, at, bit) for bit in BIT_STEPS
            ):
                self._starts.append(self._first_step + at)
                at += round(6.5 * BIT_STEPS[1])
            else:
                at += 1
        self._from = at

    def _certain_frame(self) -> int | None:
        last = self._starts[-CHARACTERS:]
        if len(last) < CHARACTERS or last[-1] - last[0] > _WITHIN_STEPS:
            return None
        return max(last[0], 0) // 4


def bits(samples: Floats) -> list[int]:
    """Mark, space or neither of each of 32 steps of 5 ms."""
    windows = samples.take(_INDEX)
    parts = windows @ _WAVES
    parts *= parts
    mark = parts[:, 0] + parts[:, 1]
    space = parts[:, 2] + parts[:, 3]
    both = mark + space
    whole = np.einsum("ij,ij->i", windows, windows)
    clear = (both >= _PURE_SHARE * whole) & (whole > 1e-5)
    found: NDArray[np.intp] = np.where(mark >= space, _MARK, _SPACE)
    clear &= np.maximum(mark, space) >= _CLEAR_DB_SHARE * both
    steps: list[int] = np.where(clear, found, _UNCLEAR).tolist()
    return steps


def is_character(steps: list[int], at: int, bit: float) -> bool:
    """Whether a start bit that begins here, five clear bits and a stop bit follow."""
    if at and steps[at - 1] == _SPACE:
        return False
    middles = [steps[at + round((number + 0.5) * bit - 1.0)] for number in range(7)]
    return middles[0] == _SPACE and middles[6] == _MARK and _UNCLEAR not in middles[:6]
