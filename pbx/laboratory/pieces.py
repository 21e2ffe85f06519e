"""From a sound file of any kind to usable pieces of telephone rate."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.transforms import Sound, good_length, shape, to_pcm, to_sound

Pcm = NDArray[np.int16]
"""8 kHz, one channel."""

RATE_HZ = 8000
FRAME = 160
LONGEST_SECONDS = 8.0
SHORTEST_SECONDS = 0.12
"""Some letters spoken alone last 0.15 s."""
SILENT_DBFS = -55.0
TRIM_DB = 38.0
"""Edges so far below the loudest frame are no part of the sound."""
LONGEST_FILE_SECONDS = 180
"""Of a long piece of music more than this adds nothing new."""
LOW_HZ = 120.0
"""Rumble below it would decide the level and the trimming."""
CLIPPED_SHARE = 0.02


def decode(path: Path, raw_rate_hz: int | None = None) -> Pcm | None:
    """A file as 8 kHz mono, its first three minutes; None for one libsndfile refuses.

    `raw_rate_hz` is the rate of a headerless file of 16-bit samples.
    """
    import soundfile  # takes libsndfile with it: only those who read files pay

    try:
        if raw_rate_hz is not None:
            sound = to_sound(np.fromfile(path, dtype="<i2"))
            return to_pcm(
                resample(sound[: LONGEST_FILE_SECONDS * raw_rate_hz], raw_rate_hz)
            )
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            sound = file.read(LONGEST_FILE_SECONDS * rate, always_2d=True).mean(axis=1)
    except (soundfile.SoundFileError, OSError):
        return None
    return to_pcm(resample(sound, rate))


def resample(sound: Sound, rate_hz: int) -> Sound:
    """From `rate_hz` to 8 kHz, by cutting the spectrum at the lower Nyquist rate."""
    if rate_hz == RATE_HZ or not len(sound):
        return sound
    common = math.gcd(rate_hz, RATE_HZ)
    blocks = good_length(-(-len(sound) // (rate_hz // common)) + 1)
    size, target = blocks * (rate_hz // common), blocks * (RATE_HZ // common)
    spectrum = np.fft.rfft(sound, size)
    bins = target // 2 + 1
    kept = np.pad(spectrum[:bins], (0, max(0, bins - len(spectrum))))
    length = len(sound) * RATE_HZ // rate_hz
    return np.fft.irfft(kept, target)[:length] * (target / size)


def frame_dbfs(pcm: Pcm) -> NDArray[np.float64]:
    """The level of every whole 20 ms frame, in dBFS (a full-scale square wave is 0)."""
    whole = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = (whole**2).mean(axis=1)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-3) / 32768.0**2)
    return levels


def trim(pcm: Pcm) -> Pcm:
    """Without the silence before and after; what is not trimmed keeps 40 ms of edge."""
    levels = frame_dbfs(pcm)
    if not len(levels):
        return pcm
    loud = np.flatnonzero(levels > max(levels.max() - TRIM_DB, SILENT_DBFS))
    if not len(loud):
        return pcm[:0]
    start = max(0, int(loud[0]) - 2) * FRAME
    return pcm[start : (int(loud[-1]) + 3) * FRAME]


def cut(pcm: Pcm, longest_seconds: float = LONGEST_SECONDS) -> list[Pcm]:
    """Pieces of at most `longest_seconds`, cut where the last third is quietest."""
    longest = int(longest_seconds * RATE_HZ)
    pieces = []
    while len(pcm) > longest:
        earliest = longest * 2 // 3
        quiet = int(np.argmin(frame_dbfs(pcm[earliest:longest])))
        at = earliest + quiet * FRAME + FRAME // 2
        pieces.append(pcm[:at])
        pcm = pcm[at:]
    return [*pieces, pcm]


def fault(pcm: Pcm) -> str:
    """Why a piece is of no use: "short", "silent", "clipped", or "" for a good one."""
    if len(pcm) < SHORTEST_SECONDS * RATE_HZ:
        return "short"
    if frame_dbfs(pcm).max(initial=-99.0) < SILENT_DBFS:
        return "silent"
    if np.mean(np.abs(pcm.astype(np.int32)) >= 32_700) > CLIPPED_SHARE:
        return "clipped"
    return ""


def pieces_of(pcm: Pcm) -> list[Pcm]:
    """The usable pieces of a decoded file, in order, without what no phone sends."""
    if len(pcm) < FRAME or fault(pcm) == "clipped":
        return []
    heard = to_pcm(shape(to_sound(pcm), low_hz=LOW_HZ))
    pieces = [trim(piece) for piece in cut(trim(heard))]
    return [piece for piece in pieces if not fault(piece)]
