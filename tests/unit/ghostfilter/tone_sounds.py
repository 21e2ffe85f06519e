"""Tones, knocks and modems made for tests: floats of ±1, and blocks of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ghostfilter.spectra import Block, Blocks
from tests.unit.ghostfilter.sounds import RATE, frames

Wave = NDArray[np.float64]

ROWS = (697.0, 770.0, 852.0, 941.0)
COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
ALL_KEYS = "123A456B789C*0#D"


def still(seconds: float) -> Wave:
    return np.zeros(round(RATE * seconds))


def tone(hertz: Sequence[float], seconds: float, dbfs: float = -20.0) -> Wave:
    """Sines of equal level, together at an RMS level."""
    t = np.arange(round(RATE * seconds)) / RATE
    wave = sum((np.sin(2 * np.pi * f * t + f) for f in hertz), np.zeros_like(t))
    return level(wave, dbfs)


def gliding(hertz: Wave, dbfs: float = -20.0) -> Wave:
    """One sine whose frequency is given for every sample."""
    return level(np.sin(2 * np.pi * np.cumsum(hertz) / RATE), dbfs)


def level(wave: Wave, dbfs: float) -> Wave:
    return wave / np.sqrt(np.mean(wave**2)) * 10 ** (dbfs / 20)


def cadence(wave: Wave, *seconds: float) -> Wave:
    """On, off, on, off … for so many seconds each."""
    gate = np.concatenate(
        [np.full(round(RATE * s), 1.0 - n % 2) for n, s in enumerate(seconds)]
    )
    return wave[: gate.size] * gate


def key(
    name: str,
    seconds: float = 0.1,
    dbfs: float = -20.0,
    *,
    twist_db: float = 0.0,
    off: float = 0.0,
) -> Wave:
    """DTMF; `twist_db` the higher tone over the lower, `off` a share of frequency."""
    number = ALL_KEYS.index(name)
    t = np.arange(round(RATE * seconds)) / RATE
    low = np.sin(2 * np.pi * ROWS[number // 4] * (1 + off) * t)
    high = np.sin(2 * np.pi * COLUMNS[number % 4] * (1 + off) * t)
    return level(low + 10 ** (twist_db / 20) * high, dbfs)


def keyed(hertz: Sequence[float], seconds: Sequence[float], dbfs: float) -> Wave:
    """Frequency shift keying without jumps of phase."""
    ends = np.cumsum(seconds)
    places = np.searchsorted(ends, (np.arange(int(ends[-1] * RATE)) + 0.5) / RATE)
    return gliding(np.asarray(hertz)[places], dbfs)


def baudot(codes: Sequence[int], *, baud: float = 45.45, dbfs: float = -20.0) -> Wave:
    """V.18 annex A: each code five bits, lowest first, between start and stop bit."""
    hertz, seconds = [1400.0], [0.15]
    for code in codes:
        bits = [0, *(code >> n & 1 for n in range(5)), 1]
        hertz += [1400.0 if bit else 1800.0 for bit in bits]
        seconds += [1 / baud] * 6 + [1.5 / baud]
    return keyed(hertz, seconds, dbfs)


def v21(seconds: float, zero: float, one: float, dbfs: float = -20.0) -> Wave:
    """300 random bits a second."""
    bits = np.random.default_rng(3).integers(0, 2, round(300 * seconds))
    return keyed([one if b else zero for b in bits], [1 / 300] * bits.size, dbfs)


def knock(dbfs: float = -20.0, *, ring: float = 0.03, attack: float = 0.002) -> Wave:
    """A quarter of a second of noise that comes at once and dies away."""
    t = np.arange(RATE // 4) / RATE
    hiss = np.random.default_rng(7).normal(0, 1, t.size)
    shape = np.minimum(t / attack, 1.0) * np.exp(-t / ring)
    wave = hiss * shape
    return wave / np.abs(wave).max() * 10 ** (dbfs / 20)


def cough(dbfs: float = -20.0) -> Wave:
    """A burst of noise through a throat's formants: 20 ms sharp, then 200 ms softer."""
    t = np.arange(RATE // 4) / RATE
    hiss = np.random.default_rng(8).normal(0, 1, t.size)
    spectrum = np.fft.rfft(hiss)
    hertz = np.fft.rfftfreq(t.size, 1 / RATE)
    formants = sum(np.exp(-(((hertz - f) / 200.0) ** 2)) for f in (600, 1400, 2500))
    wave = np.fft.irfft(spectrum * (0.1 + formants), t.size)
    wave *= np.minimum(t / 0.004, 1.0) * np.where(t < 0.04, 1.0, 0.2 * np.exp(-t / 0.1))
    return wave / np.abs(wave).max() * 10 ** (dbfs / 20)


def step(dbfs: float = -20.0) -> Wave:
    """A step in a pocket: swells for 70 ms, dies away."""
    t = np.arange(RATE // 5) / RATE
    hiss = np.random.default_rng(9).normal(0, 1, t.size)
    wave = (
        hiss * np.minimum(t / 0.07, 1.0) ** 2 * np.exp(-np.maximum(t - 0.07, 0) / 0.04)
    )
    return wave / np.abs(wave).max() * 10 ** (dbfs / 20)


def blocks(*waves: Wave, noise_dbfs: float = -66.0, seed: int = 1) -> list[Block]:
    """The waves one after the other on a line with its noise, in blocks."""
    wave = np.concatenate(waves)
    wave = np.concatenate((wave, np.zeros(-wave.size % 1280)))
    hiss = np.random.default_rng(seed).normal(0, 10 ** (noise_dbfs / 20), wave.size)
    pcm = (np.clip(wave + hiss, -1, 1) * 32767).astype("<i2").tobytes()
    gather = Blocks()
    return [block for frame in frames(pcm) if (block := gather.push(frame))]
