"""Sounds made for tests: tones, noise, and something webrtcvad takes for a voice."""

from __future__ import annotations

import subprocess
from functools import cache

import numpy as np
from scipy.signal import butter, resample, sosfilt

RATE = 8000


def noise(seconds: float, dbfs: float, seed: int = 1) -> bytes:
    """White noise at an RMS level."""
    samples = np.random.default_rng(seed).normal(0, 1, int(RATE * seconds))
    return _scaled(samples, dbfs)


def vowel(seconds: float, dbfs: float = -25.0) -> bytes:
    """A sung vowel: a 140 Hz buzz with formants; webrtcvad calls it speech."""
    t = np.arange(int(RATE * seconds)) / RATE
    wave = np.zeros_like(t)
    for harmonic in range(1, 25):
        f = 140.0 * harmonic * (1 + 0.01 * np.sin(2 * np.pi * 5 * t))
        formants = sum(
            np.exp(-(((140.0 * harmonic) - centre) ** 2) / (2 * 120.0**2))
            for centre in (700, 1200, 2600)
        )
        wave += formants * np.sin(2 * np.pi * np.cumsum(f) / RATE)
    return _scaled(wave, dbfs)


def silence(seconds: float) -> bytes:
    return bytes(2 * int(RATE * seconds))


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + 320] for at in range(0, len(pcm) - 319, 320)]


def _scaled(wave: np.ndarray, dbfs: float) -> bytes:  # type: ignore[type-arg]
    rms = float(np.sqrt(np.mean(wave**2)))
    scaled = wave / rms * 32768 * 10 ** (dbfs / 20)
    return np.clip(scaled, -32768, 32767).astype("<i2").tobytes()


@cache
def spoken(text: str, dbfs: float = -25.0, pitch: int = 50) -> bytes:
    """Words by espeak-ng, as a telephone would bring them."""
    made = subprocess.run(
        ["espeak-ng", "-v", "id", "-p", str(pitch), "--stdout", text],
        check=True,
        capture_output=True,
    ).stdout
    rate = int.from_bytes(made[24:28], "little")
    wave = np.frombuffer(made[44 : len(made) // 2 * 2], "<i2").astype(float)
    count = int(len(wave) * RATE / rate) // 160 * 160
    wave = resample(wave, count)
    band = butter(4, [300, 3400], "band", fs=RATE, output="sos")
    return _scaled(sosfilt(band, wave), dbfs)


def mixed(one: bytes, other: bytes) -> bytes:
    """Both at once, as long as the longer."""
    first, second = sorted((one, other), key=len, reverse=True)
    sum_ = np.frombuffer(first, "<i2").astype(np.int32)
    sum_[: len(second) // 2] += np.frombuffer(second, "<i2")
    return np.clip(sum_, -32768, 32767).astype("<i2").tobytes()
