"""Ring-back, busy and dialling tones: one, two or three sines of fixed frequency.

Two tones 40 or 50 Hz apart beat, and no spectrum of 32 ms tells them apart. But a
machine keeps its frequencies to a fraction of a hertz: over 80 ms its sound lies
almost wholly in the plane that its own sines and cosines span, and nobody's hum does.
On the development corpus no other clip than ring-back has more than two such stretches.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ghostfilter.bursts import Machine
from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.spectra import (
    BINS,
    BLOCK_FRAMES,
    FRAME_SAMPLES,
    HZ_PER_BIN,
    Block,
    Floats,
)

FAMILIES = (
    (400.0,),
    (425.0,),
    (440.0,),
    (450.0,),
    (400.0, 425.0),
    (400.0, 450.0),
    (350.0, 440.0),
    (440.0, 480.0),
    (480.0, 620.0),
    (400.0, 425.0, 450.0),
)
"""Ring-back, busy, congestion and dialling tones (ITU-T E.180, supplement 2); the
last is 425 Hz modulated at 25 Hz."""
PARTS = 2
"""A block is tried in halves of 80 ms: the shortest tones last 100."""
FIT_SHARE = 0.94
"""Of a half's energy, in the plane. A tone 2 Hz off leaves 0.92."""
LOWEST_DBFS = -55.0
HALVES = 11
"""0.88 s of tone are a network's: nearly all of one ring, or four busy tones."""
_BUSY_SECONDS = 0.64
_BAND_SHARE = 0.9
_BAND = slice(int(280 / HZ_PER_BIN), int(700 / HZ_PER_BIN) + 1)
_HALF_FRAMES = BLOCK_FRAMES // PARTS
_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES // PARTS


def _plane(family: tuple[float, ...]) -> Floats:
    """An orthonormal basis of 80 ms of these tones at any phase and level."""
    angles = 2.0 * np.pi * np.arange(_SAMPLES)[:, None] * np.array(family) / 8000.0
    waves = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
    return np.linalg.qr(waves)[0].astype(np.float32)


_PLANES = np.concatenate([_plane(family) for family in FAMILIES], axis=1)
_FIRST = np.cumsum([0, *(2 * len(family) for family in FAMILIES)])[:-1]


_WEIGHTS = np.zeros((BINS, 2), np.float32)
_WEIGHTS[3:, 0] = 1.0
_WEIGHTS[_BAND, 1] = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """Half a block that is nothing but a network's tone."""

    first_frame: int
    family: int
    dbfs: float


class Network:
    """Listens to one call, block by block."""

    __slots__ = ("fits",)

    def __init__(self) -> None:
        self.fits: list[Fit] = []

    def push(self, block: Block) -> list[bool]:
        """Hear eight frames; for each half, whether it is a network's tone."""
        sums = block.power @ _WEIGHTS
        if (sums[:, 1] >= _BAND_SHARE * sums[:, 0]).sum() < _HALF_FRAMES - 1:
            return [False] * PARTS
        families = fitting(block.samples)
        found = []
        for half, family in enumerate(families):
            levels = block.dbfs[half * _HALF_FRAMES : (half + 1) * _HALF_FRAMES]
            is_tone = family >= 0 and float(levels.min()) >= LOWEST_DBFS
            found.append(is_tone)
            if is_tone:
                frame = block.first_frame + half * _HALF_FRAMES
                self.fits.append(Fit(frame, family, float(levels.mean())))
        return found

    def machine(self) -> Machine | None:
        """What it was, once there was enough of it."""
        if len(self.fits) < HALVES:
            return None
        family = Counter(fit.family for fit in self.fits).most_common(1)[0][0]
        hertz = " + ".join(f"{hertz:.0f}" for hertz in FAMILIES[family])
        cadence = _cadence([fit.first_frame for fit in self.fits])
        return Machine(
            f"{cadence} {hertz} Hz",
            self.fits[0].first_frame,
            len(self.fits) * _HALF_FRAMES,
            sum(fit.dbfs for fit in self.fits) / len(self.fits),
            0.98,
        )


def _cadence(frames: list[int]) -> str:
    """By how long the tone goes on: a ring lasts a second and more, busy half of it."""
    longest = run = 1
    for before, after in zip(frames, frames[1:], strict=False):
        run = run + 1 if after - before == _HALF_FRAMES else 1
        longest = max(longest, run)
    seconds = longest * _HALF_FRAMES * FRAME_SECONDS
    return "busy tone" if seconds <= _BUSY_SECONDS else "ring-back or dialling tone"


def fitting(samples: Floats) -> list[int]:
    """The family of each half of a block (1280 samples); −1 where none fits.

    Of several that fit, the one with the fewest tones.
    """
    halves = samples.reshape(PARTS, _SAMPLES)
    energy = np.einsum("ij,ij->i", halves, halves) + np.float32(1e-9)
    inside = np.add.reduceat((halves @ _PLANES) ** 2, _FIRST, axis=1)
    fits = inside >= FIT_SHARE * energy[:, None]
    families: list[int] = np.where(fits.any(1), fits.argmax(1), -1).tolist()
    return families
