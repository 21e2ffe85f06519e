"""Recorded callers: WAV and FLAC files in, what a call would have brought out.

A telephone call is 8 kHz, mono, and went through G.711; other audio was never on the
line and is refused, with the command that converts it.
"""

from __future__ import annotations

import io
import shlex
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
Samples = NDArray[np.int16]


class AudioError(ValueError):
    """A file that is no telephone audio; the text says why, and the cure."""


def read_samples(path: Path) -> Samples:
    """A WAV (A-law, µ-law, PCM …) or FLAC file of 8 kHz mono, as 16-bit samples.

    Raises AudioError with the file's name and the cure.
    """
    import soundfile  # takes libsndfile with it: only those who read files pay

    if path.is_dir():
        raise AudioError(f"{path}: is a folder; name a WAV or FLAC file in it")
    if not path.is_file():
        raise AudioError(f"{path}: there is no such file; name a WAV or FLAC file")
    try:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(
            f"{path}: {_reason(error)}; a WAV (A-law, µ-law, PCM) or FLAC file is "
            f"needed{_convert(path)}"
        ) from error
    if rate != SAMPLE_RATE or samples.shape[1] != 1:
        raise AudioError(
            f"{path}: {rate} Hz, {samples.shape[1]} channel(s); telephone audio is "
            f"8000 Hz mono{_convert(path)}"
        )
    return np.ascontiguousarray(samples[:, 0])


def through_g711(samples: Samples) -> Samples:
    """What is left after A-law (ITU-T G.711, table 1a). Twice is the same as once."""
    return _LEVELS[np.searchsorted(_BOUNDS, samples)]


def wav_bytes(samples: Samples) -> bytes:
    """A whole 16-bit WAV file, which every browser plays."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def _reason(error: Exception) -> str:
    """libsndfile's own words, without the file's name, which we say ourselves."""
    text = str(error).rsplit(": ", 1)[-1]
    return text.strip().rstrip(".") or type(error).__name__


def _convert(path: Path) -> str:
    return f": `sox {shlex.quote(str(path))} -r 8000 -c 1 -b 16 OUT.wav` converts it"


def _a_law_levels() -> Samples:
    """All 256, rising: seven segments of 16 steps each side, the lowest one double."""
    low = np.arange(16) * 16 + 8
    sizes = np.concatenate([low, *((low + 256) << shift for shift in range(7))])
    return np.concatenate([-sizes[::-1], sizes]).astype(np.int16)


_LEVELS = _a_law_levels()
_BOUNDS = (_LEVELS[1:].astype(np.int32) + _LEVELS[:-1]) // 2
