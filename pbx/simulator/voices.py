"""Voices for callers and operators: any WAV in, telephone WAV (8 kHz mono 16 bit) out.

Python's `wave` reads only PCM, and telephone recordings often are A-law or µ-law WAV;
so the RIFF chunks are read here and G.711 (ITU-T G.711, tables 1a and 2a) is decoded
by a table. Asterisk re-encodes what it plays: A-law → linear → A-law changes nothing.
"""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
Samples = NDArray[np.int16]

_EXTENSIBLE = 0xFFFE
"""WAV format codes: 1 PCM, 6 A-law, 7 µ-law, this one: see the sub-format."""

_CORE_SOUNDS = (
    "basic-pbx-ivr-main",
    "conf-adminmenu",
    "agent-alreadyon",
    "cannot-complete-as-dialed",
    "vm-intro",
)
"""Recorded human speech in Debian's asterisk-core-sounds-en-wav, longest first."""


class VoiceError(ValueError):
    """A file that cannot be played to a telephone; the text says why."""


def read_voice(path: Path) -> Samples:
    """A WAV file as 8 kHz mono samples: PCM of 8 or 16 bit, A-law, µ-law, any rate.

    Raises VoiceError with the file's name and the cure.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VoiceError(f"{path}: {error.strerror}; name a WAV file") from error
    return decode_wav(content, source=str(path))


def decode_wav(content: bytes, *, source: str) -> Samples:
    """The samples of a whole WAV file; `source` names it in errors."""
    chunks = _chunks(content, source)
    if b"fmt " not in chunks or b"data" not in chunks or len(chunks[b"fmt "]) < 16:
        raise VoiceError(f"{source}: a WAV without format or data; record it anew")
    head = chunks[b"fmt "]
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head)
    if kind == _EXTENSIBLE and len(head) >= 26:
        kind = struct.unpack_from("<H", head, 24)[0]
    samples = _linear(chunks[b"data"], kind, bits, source)
    if channels > 1:
        whole = samples[: samples.size // channels * channels]
        samples = whole.reshape(-1, channels).mean(axis=1)
    return _to_telephone_rate(samples.astype(np.float64), rate)


def write_voice(path: Path, samples: Samples) -> None:
    """Write 8 kHz mono samples as a 16-bit PCM WAV, replacing the file whole."""
    scratch = path.with_suffix(".part")
    with wave.open(str(scratch), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(samples.astype("<i2").tobytes())
    scratch.replace(path)


def from_alaw(data: bytes) -> Samples:
    """G.711 A-law as samples, a byte each; the same as Asterisk makes of it."""
    return _ALAW_TABLE[np.frombuffer(data, np.uint8)]


def soft_noise(seconds: float, *, level_dbfs: float = -75.0) -> Samples:
    """The hiss of a quiet open line: real media with nobody in it; same every time."""
    amplitude = 32768 * 10 ** (level_dbfs / 20)
    noise = np.random.default_rng(112).normal(
        0.0, amplitude, int(seconds * SAMPLE_RATE)
    )
    return np.clip(np.round(noise), -32768, 32767).astype(np.int16)


def repeated(samples: Samples, seconds: float) -> Samples:
    """The samples again and again, at least `seconds` long."""
    if samples.size == 0:
        raise VoiceError("a voice without a single sample; record it anew")
    wanted = int(seconds * SAMPLE_RATE)
    return np.tile(samples, -(-wanted // samples.size) or 1)


def first_sound_seconds(samples: Samples, *, level_dbfs: float = -50.0) -> float | None:
    """When the first 20 ms louder than `level_dbfs` begin; None if none is."""
    frames = samples[: samples.size // 160 * 160].reshape(-1, 160).astype(np.float64)
    loud = np.sqrt(np.mean(frames**2, axis=1)) > 32768 * 10 ** (level_dbfs / 20)
    return float(np.argmax(loud)) * 0.02 if loud.any() else None


def human_voice(root: Path, *, which: int = 0) -> Path:
    """A recorded human voice from the private root; `which` picks among several.

    Raises VoiceError if the root carries no core sounds.
    """
    folders = sorted((root / "usr/share/asterisk/sounds").glob("en_US_f_*"))
    found = [
        path
        for name in _CORE_SOUNDS
        for folder in folders
        if (path := folder / f"{name}.wav").is_file()
    ]
    if not found:
        raise VoiceError(
            f"{root}: no recorded voices in it; run `gerbang install`, or name a WAV "
            "with --say"
        )
    return found[which % len(found)]


def _chunks(content: bytes, source: str) -> dict[bytes, bytes]:
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise VoiceError(f"{source}: not a WAV file; convert it with `sox`")
    chunks: dict[bytes, bytes] = {}
    place = 12
    while place + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, place)
        chunks.setdefault(name, content[place + 8 : place + 8 + length])
        place += 8 + length + length % 2
    return chunks


def _linear(data: bytes, kind: int, bits: int, source: str) -> NDArray[np.generic]:
    match kind, bits:
        case (1, 16):
            return np.frombuffer(data[: len(data) // 2 * 2], "<i2")
        case (1, 8):
            return (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
        case (6, 8):
            return from_alaw(data)
        case (7, 8):
            return _MULAW_TABLE[np.frombuffer(data, np.uint8)]
        case _:
            raise VoiceError(
                f"{source}: WAV format {kind} with {bits} bits is not played here; "
                "convert it: `sox IN -r 8000 -c 1 -b 16 OUT.wav`"
            )


def _to_telephone_rate(samples: NDArray[np.float64], rate: int) -> Samples:
    """Resample by cutting (or padding) the spectrum: no aliases, no extra library."""
    if rate != SAMPLE_RATE and samples.size:
        wanted = max(1, round(samples.size * SAMPLE_RATE / rate))
        spectrum = np.fft.rfft(samples)[: wanted // 2 + 1]
        samples = np.fft.irfft(spectrum, wanted) * (wanted / samples.size)
    return np.clip(np.round(samples), -32768, 32767).astype(np.int16)


def _alaw_table() -> Samples:
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 7, code & 15
    low = (step << 4) + 8
    high = (low + 0x100) << np.maximum(segment - 1, 0)
    magnitude = np.where(segment == 0, low, high)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _mulaw_table() -> Samples:
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


_ALAW_TABLE = _alaw_table()
_MULAW_TABLE = _mulaw_table()
