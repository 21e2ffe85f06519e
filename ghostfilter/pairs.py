"""Ring-back, busy and dialling tones: one, two or three sines of fixed frequency.

Two tones 40 or 50 Hz apart beat, and no spectrum of 32 ms tells them apart. But a
machine keeps its frequencies to a fraction of a hertz: over 80 ms its sound lies
almost wholly in the plane that its own sines and cosines span, and nobody's hum does.
On the development corpus no other clip than ring-back has more than two such stretches.
"""

from __future__ import annotations

import cmath
import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ghostfilter.bursts import Machine
from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.spectra import BLOCK_FRAMES, FRAME_SAMPLES, Block, Floats

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
HALVES = 9
"""0.72 s of tone are a network's: one ring with a lost packet, or four busy tones."""
STEADINESS = 0.98
"""Of the phase from half to half: 0.4 Hz of wandering. Networks have 0.999 and more,
AMR at 4.75 kbit/s included; no hummed or whistled note comes near."""
_LEAST_TURNS = 5
ALONE_SHARE = 0.55
"""Of all that is as loud as the tone, the tone itself: a busy tone of 0.25 s fills two
halves out of three; a siren of two tones, or a ring beside a voice, has less."""
ALONE_DB = 12.0
_BUSY_SECONDS = 0.64
_HALF_FRAMES = BLOCK_FRAMES // PARTS
_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES // PARTS


def _plane(family: tuple[float, ...]) -> tuple[Floats, Floats]:
    """An orthonormal basis of 80 ms of these tones; its way back to cosine and sine."""
    angles = 2.0 * np.pi * np.arange(_SAMPLES)[:, None] * np.array(family) / 8000.0
    waves = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
    plane, back = np.linalg.qr(waves)
    return plane.astype(np.float32), np.linalg.inv(back).astype(np.float32)


_PLANES = np.concatenate([_plane(family)[0] for family in FAMILIES], axis=1)
_BACK = [_plane(family)[1] for family in FAMILIES]
_FIRST = np.cumsum([0, *(2 * len(family) for family in FAMILIES)])[:-1]


@dataclass(frozen=True, slots=True)
class Fit:
    """Half a block that is nothing but a network's tone."""

    first_frame: int
    family: int
    phase: float
    dbfs: float


class Network:
    """Listens to one call, block by block."""

    __slots__ = ("_loud_frames", "fits")

    def __init__(self) -> None:
        self.fits: list[Fit] = []
        self._loud_frames = 0
        """Frames as loud as the tone, since it began."""

    def push(self, block: Block, frames: int) -> list[bool]:
        """Hear eight frames, so many of them within the band of its tones.

        For each half, whether it is a network's tone.
        """
        found = self._fit(block) if frames >= _HALF_FRAMES - 1 else [False] * PARTS
        if self.fits:
            lowest = self.fits[0].dbfs - ALONE_DB
            begin = max(self.fits[0].first_frame - block.first_frame, 0)
            self._loud_frames += sum(one >= lowest for one in block.levels[begin:])
        return found

    def _fit(self, block: Block) -> list[bool]:
        found = []
        for half, (family, phase) in enumerate(fitting(block.samples)):
            levels = block.levels[half * _HALF_FRAMES : (half + 1) * _HALF_FRAMES]
            is_tone = family >= 0 and min(levels) >= LOWEST_DBFS
            found.append(is_tone)
            if is_tone:
                frame = block.first_frame + half * _HALF_FRAMES
                self.fits.append(Fit(frame, family, phase, sum(levels) / _HALF_FRAMES))
        return found

    def machine(self) -> Machine | None:
        """What it was, once there was enough of it."""
        frames = len(self.fits) * _HALF_FRAMES
        is_alone = frames >= ALONE_SHARE * self._loud_frames
        is_long = len(self.fits) >= HALVES
        if not (is_long and is_alone and steadiness(self.fits) >= STEADINESS):
            return None
        family = Counter(fit.family for fit in self.fits).most_common(1)[0][0]
        hertz = " + ".join(f"{hertz:.0f}" for hertz in FAMILIES[family])
        cadence = _cadence([fit.first_frame for fit in self.fits])
        return Machine(
            f"{cadence} {hertz} Hz",
            self.fits[0].first_frame,
            frames,
            sum(fit.dbfs for fit in self.fits) / len(self.fits),
            0.98,
        )


def steadiness(fits: list[Fit]) -> float:
    """How alike the turns of phase from half to half are: 1 for one frequency, 0…1."""
    turns = [
        after.phase - before.phase
        for before, after in pairwise(fits)
        if after.family == before.family
        and after.first_frame - before.first_frame == _HALF_FRAMES
    ]
    if len(turns) < _LEAST_TURNS:
        return 0.0
    return abs(sum(cmath.exp(1j * turn) for turn in turns)) / len(turns)


def _cadence(frames: list[int]) -> str:
    """By how long the tone goes on: a ring lasts a second and more, busy half of it."""
    longest = run = 1
    for before, after in pairwise(frames):
        run = run + 1 if after - before == _HALF_FRAMES else 1
        longest = max(longest, run)
    seconds = longest * _HALF_FRAMES * FRAME_SECONDS
    return "busy tone" if seconds <= _BUSY_SECONDS else "ring-back or dialling tone"


def fitting(samples: Floats) -> list[tuple[int, float]]:
    """The family of each half of a block (1280 samples), and its first tone's phase.

    Of several that fit, the one with the fewest tones; −1 where none fits.
    """
    halves = samples.reshape(PARTS, _SAMPLES)
    energy = np.einsum("ij,ij->i", halves, halves) + np.float32(1e-9)
    inside = halves @ _PLANES
    shares = np.add.reduceat(inside**2, _FIRST, axis=1)
    fits = shares >= FIT_SHARE * energy[:, None]
    families: list[int] = np.where(fits.any(1), fits.argmax(1), -1).tolist()
    return [
        (family, _phase(part, family) if family >= 0 else 0.0)
        for part, family in zip(inside, families, strict=True)
    ]


def _phase(part: Floats, family: int) -> float:
    """Phase of the family's first tone where the half begins, in radians."""
    back = _BACK[family]
    waves = back @ part[_FIRST[family] : _FIRST[family] + len(back)]
    return math.atan2(-float(waves[len(back) // 2]), float(waves[0]))
