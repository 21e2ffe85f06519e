"""Sounds made for tests: tones, noise, and something webrtcvad takes for a voice."""

from __future__ import annotations

import numpy as np

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
