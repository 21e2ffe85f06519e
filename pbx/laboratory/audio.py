"""Recorded callers: WAV and FLAC files in, what a call would have brought out.

A telephone call is 8 kHz, mono, and went through G.711; other audio was never on the
line and is refused, with the command that converts it.
"""

from __future__ import annotations

import io
import re
import shlex
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from soundfile import SoundFile

SAMPLE_RATE = 8000
Samples = NDArray[np.int16]
_CUT_OFF = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
_MOST_OVER = 16.0
"""A float file may be louder than full scale, but not by more than 24 dB."""
_NO_LENGTH = 0x7FFF0000
"""Bytes; headers of a stream say so many or more."""


class AudioError(ValueError):
    """A file that is no telephone audio; the text says why, and the cure."""


def read_samples(path: Path) -> Samples:
    """A WAV (A-law, µ-law, PCM …) or FLAC file of 8 kHz mono, as 16-bit samples.

    Raises AudioError with the file's name and the cure.
    """
    need_soundfile()
    import soundfile  # takes libsndfile with it: only those who read files pay

    _must_be_a_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            samples, rate = _read(file, path), file.samplerate
            told = file.extra_info
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
    _must_be_whole(path, told)
    return np.ascontiguousarray(samples[:, 0])


def need_soundfile() -> None:
    """Raises AudioError, with the cure, where soundfile is not installed."""
    try:
        import soundfile  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: its libsndfile is missing
        raise AudioError(
            "soundfile is missing, it reads recorded callers; install the measuring "
            "tools: .venv/bin/pip install 'soundfile>=0.13' (extra `lab` of "
            "pyproject.toml)"
        ) from error


def _must_be_a_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise AudioError(f"{path}: is a folder; name a WAV or FLAC file in it")
        if not path.is_file():
            raise AudioError(f"{path}: there is no such file; name a WAV or FLAC file")
    except OSError as error:  # a folder closed to us, a name longer than any
        raise AudioError(
            f"{path}: {error.strerror}; name a file you may read"
        ) from error
    if path.suffix.lower() == ".raw":
        raise AudioError(
            f"{path}: bare samples, and no header says of which kind; save it as WAV"
        )


def _read(file: SoundFile, path: Path) -> Samples:
    """All channels, 16 bits each.

    libsndfile takes a float file's numbers for whole ones when it is asked for those:
    a voice between -1 and 1 would come out as silence.
    """
    count = file.frames  # said outright, else soundfile wants a file it can seek in
    if file.subtype not in ("FLOAT", "DOUBLE"):
        whole: Samples = file.read(count, "int16", always_2d=True)
        return whole
    numbers = file.read(count, "float64", always_2d=True)
    if not np.isfinite(numbers).all():
        raise AudioError(f"{path}: samples that are no numbers (NaN); record it anew")
    peak = float(np.abs(numbers).max(initial=0.0))
    if peak > _MOST_OVER:
        raise AudioError(
            f"{path}: samples up to {peak:.0f}, where 1 is full scale; divide them "
            "(whole numbers of 16 bits by 32768) and save it anew"
        )
    samples: Samples = np.clip(np.round(numbers * 32768), -32768, 32767).astype("<i2")
    return samples


def _must_be_whole(path: Path, told: str) -> None:
    """What is left of a clip whose copy broke off would be judged as all of it.

    libsndfile reads what is there and tells: `data : 96000 (should be 47978)`. Who
    wrote into a pipe knew no length and left the largest, or none.
    """
    found = _CUT_OFF.search(told)
    if found is not None and int(found[1]) < _NO_LENGTH:
        raise AudioError(
            f"{path}: cut off, {found[2]} of {found[1]} bytes of sound; copy it anew"
        )


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
