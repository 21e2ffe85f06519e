"""Pockets, streets and machines made by rule, in more ways than recordings hold.

What they have in common is what fools a listener for voices: they begin and end, swell
and sink, two to six times a second, as syllables do. Sound as in `synthetic.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pbx.laboratory.transforms import RATE_HZ, Sound, shape

Maker = Callable[[int, np.random.Generator], Sound]

SOFTEST = 1e-3
"""Of a course that never rests wholly."""


def course(samples: int, rng: np.random.Generator, hz: float) -> Sound:
    """A random course that changes about `hz` times a second; mean 0, spread 1."""
    points = max(4, int(samples / RATE_HZ * hz) + 3)
    ticks = np.linspace(0, points - 1, samples)
    return np.interp(ticks, np.arange(points), rng.standard_normal(points))


def smooth(sound: Sound, seconds: float) -> Sound:
    """The mean of so much around each sample: corners become slopes."""
    width = max(1, int(seconds * RATE_HZ))
    sums = np.cumsum(np.pad(sound, (width - width // 2, width // 2), "edge"))
    out: Sound = (sums[width:] - sums[:-width]) / width
    return out


def handling(samples: int, rng: np.random.Generator) -> Sound:
    """A phone moved in a pocket: broad noise, on and off as cloth catches and slips."""
    pace = course(samples, rng, rng.uniform(1.5, 9))
    edge = float(rng.uniform(-1.2, 0.7))
    if rng.random() < 0.5:
        on = smooth((pace > edge).astype(float), rng.uniform(0.003, 0.05))
    else:
        on = np.clip(pace - edge, 0, None)
    grain = np.exp(course(samples, rng, rng.uniform(15, 120)) * rng.uniform(0, 0.9))
    bouts = smooth(
        (course(samples, rng, rng.uniform(0.3, 1.2)) > rng.uniform(-2.5, 0.2)).astype(
            float
        ),
        0.1,
    )
    swell = np.exp(course(samples, rng, rng.uniform(0.5, 3)) * rng.uniform(0, 0.8))
    return _broad(samples, rng) * on * grain * swell * (bouts + SOFTEST)


def _broad(samples: int, rng: np.random.Generator) -> Sound:
    """Noise over most of the band, now and then with a hump where a shell rings."""
    noise = shape(
        rng.standard_normal(samples),
        float(rng.uniform(50, 700)),
        float(rng.uniform(1500, 4000)),
        float(rng.uniform(-6, 2)),
    )
    if rng.random() < 0.35:
        centre = rng.uniform(300, 3000)
        hump = shape(rng.standard_normal(samples), centre * 0.85, centre * 1.15)
        noise += hump * rng.uniform(0.3, 2)
    return noise


def crackle(samples: int, rng: np.random.Generator) -> Sound:
    """Plastic and paper: clicks by the dozen, each with a short ring of its own."""
    sound = np.zeros(samples)
    rate = np.exp(course(samples, rng, rng.uniform(0.5, 4)) * rng.uniform(0.3, 1.5))
    odds = rate / rate.mean() * rng.uniform(3, 80) / RATE_HZ
    for at in np.flatnonzero(rng.random(samples) < odds):
        length = min(int(rng.uniform(0.002, 0.04) * RATE_HZ), samples - int(at))
        fall = np.exp(-np.arange(length) / max(1.0, length / rng.uniform(2, 6)))
        click = rng.standard_normal(length)
        if rng.random() < 0.4:
            ring = rng.uniform(300, 3500) * np.arange(length) / RATE_HZ
            click = click * 0.3 + np.sin(2 * np.pi * ring)
        sound[at : at + length] += click * fall * rng.lognormal(0, 0.9)
    return shape(sound, float(rng.uniform(100, 500)), float(rng.uniform(2000, 4000)))


def fan(samples: int, rng: np.random.Generator) -> Sound:
    """Air conditioners, ventilators, refrigerators: noise, blades, a motor's hum."""
    time = np.arange(samples) / RATE_HZ
    air = shape(
        rng.standard_normal(samples),
        float(rng.choice([0.0, 100.0, 250.0])),
        float(rng.uniform(600, 4000)),
        float(rng.uniform(-8, 0)),
    )
    blades = rng.uniform(1, 40)
    beat = 1 + rng.uniform(0, 0.5) * np.sin(2 * np.pi * blades * time)
    sound = air * beat / np.std(air)
    for _ in range(int(rng.integers(0, 9))):
        hertz = rng.uniform(80, 3200) * np.exp(course(samples, rng, 0.5) * 0.004)
        tone = np.sin(2 * np.pi * np.cumsum(hertz) / RATE_HZ)
        waver = 1 + rng.uniform(0, 0.8) * np.sin(2 * np.pi * rng.uniform(0.2, 8) * time)
        sound += rng.exponential(0.25) * tone * waver
    return sound * np.exp(course(samples, rng, 0.6) * rng.uniform(0, 0.3))


def idling(samples: int, rng: np.random.Generator) -> Sound:
    """A motor stands or pulls: each cylinder fires a little differently."""
    time = np.arange(samples) / RATE_HZ
    speed = rng.uniform(8, 70) * np.exp(course(samples, rng, 0.8) * 0.03)
    if rng.random() < 0.5:  # driven: gears, and gas given and taken
        swing = (time * rng.uniform(0.1, 0.5) + rng.random()) % 1
        speed = speed * (1 + rng.uniform(0.2, 2.0) * swing)
    fires = np.cumsum(speed) / RATE_HZ
    cylinder = np.floor(fires).astype(int) % int(rng.choice([1, 2, 3, 4, 6]))
    gains = rng.lognormal(0, rng.uniform(0, 0.7), 6)[cylinder]
    blow = np.exp(-(fires % 1) * rng.uniform(2, 14)) * gains
    knock = shape(rng.standard_normal(samples), float(rng.uniform(200, 900)))
    thump = np.sin(2 * np.pi * (fires % 1) * rng.integers(1, 6))
    rush = shape(rng.standard_normal(samples), high_hz=float(rng.uniform(500, 3500)))
    sound = blow * (thump + rng.uniform(0, 1.5) * knock)
    sound = sound + rng.uniform(0.05, 1) * np.std(sound) * rush / np.std(rush)
    low, high = float(rng.uniform(60, 250)), float(rng.uniform(900, 3900))
    return shape(sound, low, high, float(rng.uniform(-7, 1)))


def passing(samples: int, rng: np.random.Generator) -> Sound:
    """A road: tyres swell and sink as cars pass, over a steady rush of others."""
    time = np.arange(samples) / RATE_HZ
    rush = shape(
        rng.standard_normal(samples),
        high_hz=float(rng.uniform(500, 2500)),
        tilt_db_per_octave=float(rng.uniform(-7, -1)),
    )
    sound = rush / np.std(rush) * rng.uniform(0.05, 1)
    for _ in range(int(rng.integers(1, 7))):
        near, width = rng.uniform(-1, samples / RATE_HZ + 1), rng.uniform(0.3, 2.5)
        swell = 1 / (1 + ((time - near) / width) ** 2)
        low = float(rng.uniform(100, 700))
        tyres = shape(rng.standard_normal(samples), low, float(rng.uniform(1200, 4000)))
        doppler = 1 - 0.06 * np.tanh((time - near) / width)
        phase = 2 * np.pi * np.cumsum(rng.uniform(50, 180) * doppler) / RATE_HZ
        motor = sum(
            (rng.random() / n * np.sin(n * phase) for n in range(1, 12)),
            start=np.zeros(samples),
        )
        mix = tyres / np.std(tyres) + rng.uniform(0, 1) * motor
        sound += swell ** rng.uniform(1, 3) * mix * rng.uniform(0.2, 1.5)
    return sound


def carrier(samples: int, rng: np.random.Generator) -> Sound:
    """A modem's or fax's data: symbols on a carrier (V.22…V.34, V.27, V.29, V.17)."""
    baud = float(rng.choice([600, 1200, 1600, 2400, 2743, 3200]))
    hertz = float(rng.choice([1200, 1650, 1700, 1800, 1829, 2400]))
    each = (np.arange(samples) * baud / RATE_HZ).astype(int)
    symbols = int(each[-1]) + 2
    levels = rng.integers(0, int(rng.choice([2, 4, 16])), (2, symbols)).astype(float)
    parts = levels - levels.mean(axis=1, keepdims=True)
    phase = 2 * np.pi * hertz * np.arange(samples) / RATE_HZ
    sound = parts[0][each] * np.cos(phase) + parts[1][each] * np.sin(phase)
    low, high = max(200.0, hertz - baud * 0.6), min(3600.0, hertz + baud * 0.6)
    return shape(sound + 0.02 * rng.standard_normal(samples), low, high)


def interrupted(sound: Sound, rng: np.random.Generator) -> Sound:
    """The same, begun late, ended early, gated or moved: nothing lasts a whole call."""
    samples = len(sound)
    ramp = rng.uniform(0.002, 0.3)
    time = np.arange(samples) / samples
    style = rng.integers(4)
    if style == 0:
        gain = (time > rng.uniform(0.03, 0.7)).astype(float)
    elif style == 1:
        gain = (time < rng.uniform(0.2, 0.95)).astype(float)
    elif style == 2:
        gain = (course(samples, rng, rng.uniform(0.2, 2)) > rng.uniform(-1, 0.7)) * 1.0
    else:
        steps = 10 ** (rng.uniform(-18, 0, 4) / 20)
        gain = steps[np.searchsorted(np.sort(rng.random(3)), time)]
    if not gain.any():
        return sound
    least = 10 ** (rng.uniform(-60, -12) / 20)
    return sound * np.maximum(smooth(gain, ramp), least)


POCKETS_MADE: dict[str, Maker] = {
    "handling": handling,
    "crackle": crackle,
    "fan": fan,
    "idling": idling,
    "passing": passing,
    "carrier": carrier,
}
