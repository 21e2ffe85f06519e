"""Frames in, signals out: when somebody is near the phone, and what else was heard.

All times are counted in frames of 20 ms. A call's evidence grows frame by frame; the
signal comes once, the moment there is enough of it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ghostfilter.vad import FRAME_BYTES, Vad

FRAME_SECONDS = 0.02

ONSET_FRAMES = 12
"""Near voice needs this many frames (240 ms) …"""
ONSET_WINDOW_FRAMES = 20
"""… within this many (400 ms): a word such as "tolong" has gaps."""
NEAR_OVER_FLOOR_DB = 6.0
"""A voice near the phone stands this far above the line's own floor."""
NEAR_DBFS = -50.0
"""Nothing quieter than this is a voice near the phone; quietest in the corpus: −41."""

FLOOR_SHARE = 0.2
"""The floor is the level that this share of all frames stay below."""
FLOOR_PRIOR_DBFS = -60
FLOOR_PRIOR_FRAMES = 15
"""Before much was heard we believe in a quiet line: who speaks at once is heard."""
FLOOR_RENEWED_FRAMES = 8
"""The floor moves slowly; it is worked out anew this often (every 160 ms)."""

LOWEST_DBFS = -96.0
_BINS = 97
_FULL_SCALE_ENERGY = 32768.0**2


class Signal(StrEnum):
    """What the flow must know at once."""

    VOICE = "voice"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was heard of one caller, first frame to last."""

    frames: int
    """How many frames of 20 ms came at all."""
    has_voice: bool
    voice_from_frame: int | None
    """Where the first near voice began; None: there was none."""
    longest_voice_frames: int
    """Most near-voice frames in one stretch whose gaps are below 160 ms."""
    voice_dbfs: float | None
    """Mean level of the near-voice frames."""
    loudest_dbfs: float
    """The loudest single frame."""
    floor_dbfs: float
    """The line's own floor, seen from the end."""


class Detector:
    """One call's ears. `push` every frame in order; ask for `evidence` at any time."""

    __slots__ = (
        "_bins",
        "_energy",
        "_floor",
        "_frames",
        "_gap",
        "_longest",
        "_loudest",
        "_near",
        "_stretch",
        "_vad",
        "_voice_from",
        "_voice_frames",
    )

    def __init__(self, vad: Vad | None = None) -> None:
        self._vad = vad or Vad()
        self._near: deque[bool] = deque(maxlen=ONSET_WINDOW_FRAMES)
        self._bins = [0] * _BINS
        self._floor = float(FLOOR_PRIOR_DBFS)
        self._frames = 0
        self._loudest = LOWEST_DBFS
        self._voice_from: int | None = None
        self._voice_frames = 0
        self._energy = 0.0
        self._stretch = 0
        self._gap = 0
        self._longest = 0

    def push(self, frame: bytes) -> Signal | None:
        """Hear one frame of 20 ms (320 bytes); VOICE once, when somebody is near.

        Raises ValueError for a frame of another length.
        """
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, not {len(frame)}")
        level = level_dbfs(frame)
        self._frames += 1
        self._bins[int(-level)] += 1
        if level > self._loudest:
            self._loudest = level
        if self._frames % FLOOR_RENEWED_FRAMES == 0:
            self._floor = self._quantile(prior=FLOOR_PRIOR_FRAMES)
        near = (
            self._vad.is_speech(frame)
            and level >= NEAR_DBFS
            and level >= self._floor + NEAR_OVER_FLOOR_DB
        )
        self._near.append(near)
        self._follow(level, near=near)
        if self._voice_from is None and self._near.count(True) >= ONSET_FRAMES:
            first = self._near.index(True)
            self._voice_from = self._frames - len(self._near) + first
            return Signal.VOICE
        return None

    def evidence(self) -> Evidence:
        """Everything heard so far."""
        return Evidence(
            frames=self._frames,
            has_voice=self._voice_from is not None,
            voice_from_frame=self._voice_from,
            longest_voice_frames=self._longest,
            voice_dbfs=(
                _dbfs(self._energy / self._voice_frames) if self._voice_frames else None
            ),
            loudest_dbfs=self._loudest,
            floor_dbfs=self._quantile(prior=0) if self._frames else LOWEST_DBFS,
        )

    def _follow(self, level: float, *, near: bool) -> None:
        """Keep the longest stretch of near voice and its level."""
        if near:
            self._gap = 0
            self._stretch += 1
            self._voice_frames += 1
            self._energy += 10.0 ** (level / 10.0) * _FULL_SCALE_ENERGY
            self._longest = max(self._longest, self._stretch)
        elif self._stretch:
            self._gap += 1
            if self._gap >= ONSET_WINDOW_FRAMES - ONSET_FRAMES:
                self._stretch = 0

    def _quantile(self, *, prior: int) -> float:
        """The level below which the quietest share of the frames lies."""
        wanted = FLOOR_SHARE * (self._frames + prior)
        below = _BINS
        seen = 0
        while seen < wanted:
            below -= 1
            seen += self._bins[below] + (prior if below == -FLOOR_PRIOR_DBFS else 0)
        return -float(below)


def level_dbfs(frame: bytes) -> float:
    """RMS level of a frame in dB below full scale, at least −96 (digital silence)."""
    samples = np.frombuffer(frame, np.int16).astype(np.float32)
    return _dbfs(float(samples @ samples) / samples.size)


def _dbfs(mean_square: float) -> float:
    if mean_square <= 0.3:
        return LOWEST_DBFS
    return 10.0 * math.log10(mean_square / _FULL_SCALE_ENERGY)
