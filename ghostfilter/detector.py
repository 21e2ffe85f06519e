"""Frames in, signals out: when somebody is near the phone, and what else was heard.

All times are counted in frames of 20 ms. A call's evidence grows frame by frame; the
signal comes once, the moment there is enough of it.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from ghostfilter.evidence import LOWEST_DBFS, Evidence
from ghostfilter.signals import Heard, Sound
from ghostfilter.vad import FRAME_BYTES, Vad

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

_BINS = 97
_FULL_SCALE_ENERGY = 32768.0**2


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

    def prompt_started(self, reference: bytes) -> None:
        """From now on this is sent to the caller: 8 kHz 16-bit, from its beginning."""

    def prompt_stopped(self) -> None:
        """Silence is sent again, from now on."""

    def push(self, frame: bytes) -> Heard | None:
        """Hear one frame of 20 ms (320 bytes); a sound once, when somebody is near.

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
            return self._voice(self._voice_from)
        return None

    def evidence(self) -> Evidence:
        """Everything heard so far."""
        floor = self._quantile(prior=0) if self._frames else LOWEST_DBFS
        belief = 0.0 if self._voice_from is None else 1.0
        return Evidence(
            frames=self._frames,
            heard=() if self._frames == 0 else (self._clearest(floor),),
            person=belief,
            voices=belief,
            loudest_dbfs=self._loudest,
            floor_dbfs=floor,
        )

    def _clearest(self, floor: float) -> Heard:
        if self._voice_from is not None:
            return self._voice(self._voice_from, floor)
        is_quiet = self._loudest <= max(floor, -66.0) + NEAR_OVER_FLOOR_DB
        sound = Sound.SILENCE if is_quiet and self._loudest <= -48.0 else Sound.NOISE
        over = self._loudest - floor
        return Heard(sound, 0, self._frames, self._loudest, over, 1.0)

    def _voice(self, from_frame: int, floor: float | None = None) -> Heard:
        level = _dbfs(self._energy / self._voice_frames)
        over = level - (self._floor if floor is None else floor)
        return Heard(Sound.NEAR_VOICE, from_frame, self._longest, level, over, 1.0)

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
