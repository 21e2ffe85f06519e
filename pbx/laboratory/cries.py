"""Cries, screams, sobs and laughter made by rule: no open package holds enough of them.

A voice source (harmonics of a pitch that moves, roughness, breath) goes through the
formants of a mouth. Values from the literature on infant cry (pitch 300–600 Hz, bursts
of 0.5–1.5 s with an indrawn breath between) and scream (roughness of 30–150 Hz).
Sound is float64, full scale ±1, 8 kHz.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pbx.laboratory.transforms import RATE_HZ, Sound, shape

Maker = Callable[[np.random.Generator], Sound]

NYQUIST_HZ = 3950.0


def voice(
    pitch: Sound,
    rng: np.random.Generator,
    formants: tuple[tuple[float, float], ...],
    *,
    breath: float,
    rough_hz: float = 0.0,
    rough: float = 0.0,
    tilt: float = 1.0,
) -> Sound:
    """A sung or shouted vowel along `pitch` (Hz, one value a sample).

    `formants` are (Hz, bandwidth Hz); `breath` is noise beside the harmonics; `rough`
    (0–1) beats the loudness `rough_hz` times a second; `tilt` is the fall of the
    harmonics (1: −6 dB an octave).
    """
    samples = len(pitch)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    mean = float(pitch.mean())
    sound = np.zeros(samples)
    for harmonic in range(1, max(2, int(NYQUIST_HZ / mean) + 1)):
        gain = _mouth(mean * harmonic, formants) / harmonic**tilt
        is_in_band = pitch * harmonic < NYQUIST_HZ
        start = rng.uniform(0, 2 * np.pi)
        sound += gain * np.sin(harmonic * phase + start) * is_in_band
    noise = _breath(samples, rng, formants)
    sound += breath * noise * np.std(sound) / max(float(np.std(noise)), 1e-9)
    if rough:
        wobble = rough_hz * (1 + 0.2 * rng.standard_normal())
        beat = np.sin(2 * np.pi * wobble * np.arange(samples) / RATE_HZ)
        sound *= 1 + rough * beat
    return sound


def _mouth(hz: float, formants: tuple[tuple[float, float], ...]) -> float:
    return (
        sum(1 / (1 + ((hz - centre) / (width / 2)) ** 2) for centre, width in formants)
        + 0.02
    )


def _breath(
    samples: int, rng: np.random.Generator, formants: tuple[tuple[float, float], ...]
) -> Sound:
    noise = rng.standard_normal(samples)
    return sum(
        (
            shape(noise, max(100.0, centre - width), min(3900.0, centre + width))
            for centre, width in formants
        ),
        start=np.zeros(samples),
    )


def _arch(samples: int, low: float, high: float, rng: np.random.Generator) -> Sound:
    """A pitch that rises, stays and falls, trembling."""
    place = np.linspace(0, 1, samples)
    peak = rng.uniform(0.15, 0.6)
    rise = np.clip(place / peak, 0, 1) ** 0.7
    fall = np.clip((1 - place) / (1 - peak), 0, 1) ** rng.uniform(0.2, 0.8)
    course = low + (high - low) * np.minimum(rise, fall)
    tremor = rng.uniform(0, 0.02) * np.sin(
        2 * np.pi * rng.uniform(4, 9) * np.arange(samples) / RATE_HZ
    )
    drift = np.interp(place, np.linspace(0, 1, 8), rng.normal(0, 0.015, 8))
    return course * (1 + tremor + drift)


def _swell(samples: int, rng: np.random.Generator) -> Sound:
    rise = max(1, int(samples * rng.uniform(0.03, 0.2)))
    fall = max(1, int(samples * rng.uniform(0.1, 0.5)))
    envelope = np.ones(samples)
    envelope[:rise] = np.linspace(0, 1, rise)
    envelope[-fall:] *= np.linspace(1, 0, fall)
    return envelope


def _samples(rng: np.random.Generator, low: float, high: float) -> int:
    return int(rng.uniform(low, high) * RATE_HZ)


def baby_cry(rng: np.random.Generator) -> Sound:
    """Bursts of crying with an indrawn breath between them, 2–6 s."""
    base = rng.uniform(300, 560)
    open_mouth = ((rng.uniform(900, 1300), 400.0), (rng.uniform(2300, 3400), 600.0))
    parts = []
    for _ in range(int(rng.integers(2, 6))):
        samples = _samples(rng, 0.35, 1.4)
        high = base * rng.uniform(1.05, 1.5)
        if rng.random() < 0.15:  # a shriek: the voice breaks to twice its pitch
            high *= 2
        burst = voice(
            _arch(samples, base * rng.uniform(0.7, 1), high, rng),
            rng,
            open_mouth,
            breath=rng.uniform(0.05, 0.5),
            rough_hz=rng.uniform(30, 90),
            rough=rng.uniform(0, 0.5) if rng.random() < 0.5 else 0.0,
            tilt=rng.uniform(0.3, 1.0),
        )
        parts.append(burst * _swell(samples, rng) * rng.uniform(0.5, 1))
        parts.append(_gasp(rng, base))
    return np.concatenate(parts)


def _gasp(rng: np.random.Generator, base: float) -> Sound:
    """Silence, an indrawn breath (at times voiced), silence."""
    before, after = np.zeros(_samples(rng, 0.03, 0.3)), np.zeros(_samples(rng, 0, 0.25))
    samples = _samples(rng, 0.1, 0.3)
    if rng.random() < 0.5:
        sound = shape(rng.standard_normal(samples), 800, 3500) * 0.08
    else:
        pitch = np.linspace(base * 1.2, base * 1.6, samples)
        sound = voice(pitch, rng, ((1500.0, 800.0),), breath=1.0) * 0.15
    return np.concatenate([before, sound * np.hanning(samples), after])


def scream(rng: np.random.Generator) -> Sound:
    """One or two screams of a woman, a man or a child, 0.5–3 s each."""
    base = float(rng.choice([rng.uniform(350, 700), rng.uniform(700, 1500)]))
    formants = ((rng.uniform(900, 1500), 500.0), (rng.uniform(2000, 3000), 700.0))
    parts = []
    for _ in range(int(rng.integers(1, 3))):
        samples = _samples(rng, 0.4, 2.4)
        cry = voice(
            _arch(samples, base * rng.uniform(0.5, 0.95), base, rng),
            rng,
            formants,
            breath=rng.uniform(0.1, 0.9),
            rough_hz=rng.uniform(30, 150),
            rough=rng.uniform(0.2, 0.9),
            tilt=rng.uniform(0, 0.7),
        )
        cry = np.tanh(cry / max(float(np.std(cry)), 1e-9) * rng.uniform(0.5, 2))
        parts += [cry * _swell(samples, rng), np.zeros(_samples(rng, 0.1, 0.7))]
    return np.concatenate(parts)


def sob(rng: np.random.Generator) -> Sound:
    """An adult's sobs: shaky breath out, weak voice, sniffs; 2–6 s."""
    base = rng.uniform(120, 380)
    formants = ((rng.uniform(450, 800), 200.0), (rng.uniform(1100, 1700), 300.0))
    parts = []
    for _ in range(int(rng.integers(3, 9))):
        samples = _samples(rng, 0.08, 0.6)
        pitch = _arch(samples, base * 0.8, base * rng.uniform(1, 1.5), rng)
        cry = voice(pitch, rng, formants, breath=rng.uniform(0.3, 2.0), tilt=1.1)
        parts += [cry * _swell(samples, rng) * rng.uniform(0.3, 1)]
        parts += [np.zeros(_samples(rng, 0.05, 0.2))]
        if rng.random() < 0.35:
            parts.append(_gasp(rng, base))
    return np.concatenate(parts)


def laugh(rng: np.random.Generator) -> Sound:
    """A row of short voiced breaths, 4–7 a second, falling in pitch; child or adult."""
    base = float(rng.choice([rng.uniform(120, 300), rng.uniform(300, 600)]))
    formants = ((rng.uniform(600, 1000), 250.0), (rng.uniform(1200, 2000), 350.0))
    rate = rng.uniform(4, 7)
    parts = []
    count = int(rng.integers(4, 14))
    for number in range(count):
        samples = int(RATE_HZ / rate * rng.uniform(0.45, 0.7))
        high = base * (1.3 - 0.5 * number / count) * rng.normal(1, 0.05)
        ha = voice(
            _arch(samples, high * 0.8, high, rng), rng, formants, breath=0.6, tilt=0.9
        )
        puff = shape(rng.standard_normal(samples), 500, 3400) * np.hanning(samples)
        ha = ha * _swell(samples, rng) + 0.2 * float(np.std(ha)) * puff
        parts += [ha * rng.uniform(0.6, 1), np.zeros(int(RATE_HZ / rate) - samples)]
    return np.concatenate(parts)


def cough(rng: np.random.Generator) -> Sound:
    """One to four coughs: a burst, a breathy middle, at times a voiced end."""
    parts = []
    low, high = rng.uniform(300, 800), rng.uniform(2000, 3800)
    for _ in range(int(rng.integers(1, 5))):
        samples = _samples(rng, 0.18, 0.45)
        time = np.arange(samples) / RATE_HZ
        noise = shape(rng.standard_normal(samples), low, high)
        envelope = np.exp(-time / 0.03) + 0.35 * np.exp(-((time - 0.12) ** 2) / 0.006)
        one = noise * envelope
        if rng.random() < 0.5:
            end = np.exp(-((time - 0.28) ** 2) / 0.002) * float(np.std(one))
            pitch = np.linspace(rng.uniform(150, 350), 120, samples)
            one += 0.5 * end * voice(pitch, rng, ((700.0, 400.0),), breath=0.5)
        parts += [one * rng.uniform(0.5, 1), np.zeros(_samples(rng, 0.05, 0.6))]
    return np.concatenate(parts)


def moan(rng: np.random.Generator) -> Sound:
    """A hum or moan on one pitch that swells and sinks: few harmonics, no words."""
    samples = _samples(rng, 0.3, 3.2)
    time = np.arange(samples) / RATE_HZ
    wobble = rng.uniform(0, 0.08) * (rng.random() < 0.5)
    hertz = rng.uniform(95, 520) * (
        1 + wobble * np.sin(2 * np.pi * rng.uniform(3, 7) * time)
    )
    phase = 2 * np.pi * np.cumsum(hertz) / RATE_HZ
    fall = rng.uniform(0.5, 2)
    sound = np.zeros(samples)
    for harmonic in range(1, int(rng.integers(3, 10))):
        start = rng.uniform(0, 2 * np.pi)
        sound += np.sin(harmonic * phase + start) / harmonic**fall
    beat = np.sin(2 * np.pi * rng.uniform(0.5, 6) * time + rng.uniform(0, 6))
    return sound * (1 - rng.uniform(0.2, 1.0) * (0.5 + 0.5 * beat))


CRIES: dict[str, Maker] = {
    "baby_cry": baby_cry,
    "scream": scream,
    "sob": sob,
    "laugh": laugh,
    "cough": cough,
    "moan": moan,
}
"""By the class they are trained as; all of them mean that somebody is there."""
