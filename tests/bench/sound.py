"""What bench callers send: A-law of a quiet line, and recorded human voices."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pbx.simulator.voices import Samples, VoiceError, read_voice, soft_noise
from tests.bench.row import BenchError

_FRAME = 160
_ONSET_DBFS = -40.0
"""Where a voice begins: its first 20 ms this loud. Core sounds peak near -6 dBFS."""
_SHORTEST_SECONDS = 1.5
SOFTER_DB = (0, 6, 12, 18)
"""Recordings are louder than people: each voice is made this much softer, in turn."""


def quiet_line(seconds: float, *, level_dbfs: float = -65.0) -> bytes:
    """An open line with nobody near it, as A-law."""
    return alaw(soft_noise(seconds, level_dbfs=level_dbfs))


def human_voices(root: Path, count: int) -> list[bytes]:
    """So many different recordings as A-law, cut to their onset, not all loud.

    Raises BenchError if the Asterisk root carries too few.
    """
    folders = sorted((root / "usr/share/asterisk/sounds").glob("en_US_f_*"))
    found: list[Samples] = []
    for path in (path for folder in folders for path in sorted(folder.glob("*.wav"))):
        try:
            voice = from_onset(read_voice(path))
        except VoiceError:
            continue
        if voice.size >= _SHORTEST_SECONDS * 8000:
            found.append(voice)
    if len(found) < count:
        raise BenchError(
            f"{root} holds {len(found)} recorded voices, {count} are needed; "
            "run `gerbang install`"
        )
    chosen = found[:: len(found) // count][:count]
    softer = itertools.cycle(SOFTER_DB)
    return [alaw((v / 10 ** (next(softer) / 20)).astype(np.int16)) for v in chosen]


def from_onset(voice: Samples) -> Samples:
    """The voice from its first loud 20 ms on; empty if it never is."""
    frames = voice[: voice.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    level = np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1))
    loud = np.flatnonzero(level > 32768 * 10 ** (_ONSET_DBFS / 20))
    return voice[int(loud[0]) * _FRAME :] if loud.size else voice[:0]


def alaw(samples: Samples) -> bytes:
    """G.711 A-law, as ITU-T G.191's alaw_compress does it."""
    wide = samples.astype(np.int32)
    size = np.where(wide < 0, ~wide, wide) >> 4
    segment = np.maximum(np.floor(np.log2(np.maximum(size, 1))).astype(np.int32) - 3, 0)
    step = np.where(segment > 0, (size >> np.maximum(segment - 1, 0)) - 16, size)
    code: NDArray[np.int32] = (segment << 4) + step | np.where(wide < 0, 0, 0x80)
    return (code ^ 0x55).astype(np.uint8).tobytes()
