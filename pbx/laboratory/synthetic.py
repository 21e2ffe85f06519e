"""Sounds made by rule: what nobody, a machine or a network sends down a line.

Each maker takes samples and a generator and returns float64 (full scale ±1, 8 kHz);
levels are set afterwards. SYNTHETIC names them by the corpus's classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pbx.laboratory.transforms import RATE_HZ, Sound, shape

Maker = Callable[[int, np.random.Generator], Sound]


def coloured_noise(samples: int, rng: np.random.Generator) -> Sound:
    """Noise between white and brown, band-limited anywhere."""
    tilt = float(rng.uniform(-8, 1))
    low = float(rng.choice([0.0, 80.0, 200.0]))
    high = float(rng.uniform(800, 4000))
    return shape(rng.standard_normal(samples), low, high, tilt)


def digital_silence(samples: int, rng: np.random.Generator) -> Sound:
    """Nothing at all."""
    del rng
    return np.zeros(samples)


def line_hum(samples: int, rng: np.random.Generator) -> Sound:
    """Mains hum of 50 Hz and its harmonics, with a little noise."""
    time = np.arange(samples) / RATE_HZ
    base = 50.0 + rng.normal(0, 0.05)
    sound = 0.05 * rng.standard_normal(samples)
    for harmonic in range(1, int(rng.integers(6, 30))):
        phase = rng.uniform(0, 2 * np.pi)
        gain = rng.random() / harmonic ** rng.uniform(0.2, 1.2)
        sound += gain * np.sin(2 * np.pi * base * harmonic * time + phase)
    return sound


def _bursts(
    samples: int,
    rng: np.random.Generator,
    per_second: float,
    seconds: tuple[float, float],
) -> Sound:
    """An envelope of random strokes: sharp or soft rise, exponential fall."""
    envelope = np.zeros(samples)
    for _ in range(max(1, rng.poisson(per_second * samples / RATE_HZ))):
        length = int(rng.uniform(*seconds) * RATE_HZ) + 8
        at = int(rng.integers(samples))
        rise = max(1, int(length * rng.uniform(0.01, 0.4)))
        stroke = np.exp(-np.arange(length) / (length / rng.uniform(2, 6)))
        stroke[:rise] *= np.linspace(0, 1, rise)
        stroke *= rng.lognormal(0, 0.8)
        here = envelope[at : at + length]
        here += stroke[: len(here)]
    return envelope


def rustle(samples: int, rng: np.random.Generator) -> Sound:
    """Cloth over a microphone: strokes of noise, now bright, now dull, in bouts."""
    sound = np.zeros(samples)
    for _ in range(int(rng.integers(1, 4))):
        strokes = _bursts(samples, rng, rng.uniform(1, 14), (0.01, 0.35))
        sound += _cloth(samples, rng) * strokes
    bouts = np.clip(_slow(samples, rng, 1.5) * 2 + rng.uniform(-0.5, 1.5), 0, None)
    return sound * (bouts if rng.random() < 0.6 else 1.0)


def _cloth(samples: int, rng: np.random.Generator) -> Sound:
    """Friction's noise: broad, falling by a few dB an octave at most."""
    noise = rng.standard_normal(samples)
    low, high = float(rng.uniform(50, 500)), float(rng.uniform(1800, 3950))
    return shape(noise, low, high, float(rng.uniform(-5, 1.5)))


def strokes(samples: int, rng: np.random.Generator) -> Sound:
    """Cloth drawn along a microphone, stroke by stroke, each swelling and sinking."""
    sound = np.zeros(samples)
    usual = rng.uniform(0.05, 0.4)
    at = rng.uniform(0, 0.5)
    noise = _cloth(samples, rng)
    while at * RATE_HZ < samples:
        length = int(usual * rng.lognormal(0, 0.4) * RATE_HZ) + 16
        begin = int(at * RATE_HZ)
        edge = np.hanning(length + 2)[1:-1] ** rng.uniform(0.1, 2)
        flutter = 1 + rng.uniform(0, 0.6) * _slow(length, rng, rng.uniform(5, 60))
        stroke = edge * flutter * rng.lognormal(0, 0.6)
        room = sound[begin : begin + length]
        room += noise[begin : begin + length] * stroke[: len(room)]
        at += length / RATE_HZ * rng.uniform(0.4, 1.2) + rng.exponential(0.35)
        if rng.random() < 0.2:
            noise = _cloth(samples, rng)
    return sound


def beeps(samples: int, rng: np.random.Generator) -> Sound:
    """Tones of any kind: one or two lines, on and off, or gliding to and fro."""
    time = np.arange(samples) / RATE_HZ
    low, high = rng.uniform(200, 1500), rng.uniform(500, 3200)
    place = time / rng.uniform(0.2, 6) + rng.random()
    course = {
        "steady": np.full(samples, high),
        "glide": low + (high - low) * np.abs(2 * (place % 1) - 1),
        "warble": high * (1 + rng.uniform(0.01, 0.3) * np.sign(np.sin(20 * place))),
    }[str(rng.choice(["steady", "glide", "warble"]))]
    sound = np.sin(2 * np.pi * np.cumsum(course) / RATE_HZ)
    if rng.random() < 0.5:
        ratio = rng.uniform(1.1, 2.1)
        sound = sound + np.sin(2 * np.pi * np.cumsum(course * ratio) / RATE_HZ)
    if rng.random() < 0.5:
        sound = sound * (np.floor(time / rng.uniform(0.05, 0.8)) % 2 == 0)
    return sound


def _slow(samples: int, rng: np.random.Generator, hz: float) -> Sound:
    """A random course that changes about `hz` times a second."""
    points = max(4, int(samples / RATE_HZ * hz) + 3)
    ticks = np.linspace(0, points - 1, samples)
    return np.interp(ticks, np.arange(points), rng.standard_normal(points))


def walking(samples: int, rng: np.random.Generator) -> Sound:
    """Steps of 1.4–2.4 a second through a pocket: thumps, with cloth between."""
    sound = np.zeros(samples)
    step = RATE_HZ / rng.uniform(1.2, 2.4)
    seconds = rng.uniform(0.04, 0.3)
    is_soft = rng.random() < 0.6
    tilt = float(rng.uniform(-9, -1))
    at = rng.uniform(0, step)
    foot = 0
    while at < samples:
        length = int(seconds * rng.uniform(0.7, 1.3) * RATE_HZ)
        fall = np.exp(-np.arange(length) / (length / 4))
        if is_soft:
            fall = np.hanning(length + 2)[1:-1] ** rng.uniform(0.5, 2)
        thump = shape(rng.standard_normal(length), tilt_db_per_octave=tilt) * fall
        here = sound[int(at) : int(at) + length]
        here += thump[: len(here)] * (1.0 if foot % 2 else rng.uniform(0.4, 1.2))
        at += step * rng.normal(1, 0.05)
        foot += 1
    cloth = rustle(samples, rng)
    return sound + cloth * rng.uniform(0, 0.6) * _rms(sound) / max(_rms(cloth), 1e-9)


def _rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(sound**2)))


def bump(samples: int, rng: np.random.Generator) -> Sound:
    """One to four knocks on a phone, each a damped resonance and a click."""
    sound = np.zeros(samples)
    for _ in range(int(rng.integers(1, 5))):
        length = int(rng.uniform(0.03, 0.3) * RATE_HZ)
        time = np.arange(length) / RATE_HZ
        ring = np.sin(2 * np.pi * rng.uniform(90, 900) * time)
        ring += rng.uniform(0, 1) * rng.standard_normal(length)
        at = int(rng.integers(max(1, samples - length)))
        sound[at : at + length] += ring * np.exp(-time / rng.uniform(0.005, 0.06))
    return sound


def wind(samples: int, rng: np.random.Generator) -> Sound:
    """Gusts over a microphone: low noise, slow swings, some flutter."""
    noise = shape(
        rng.standard_normal(samples),
        high_hz=float(rng.uniform(400, 2500)),
        tilt_db_per_octave=float(rng.uniform(-9, -3)),
    )
    gusts = np.exp(_slow(samples, rng, rng.uniform(0.4, 3)) * rng.uniform(0.3, 1.2))
    flutter = np.exp(_slow(samples, rng, rng.uniform(8, 25)) * rng.uniform(0, 0.5))
    return noise * gusts * flutter


def water(samples: int, rng: np.random.Generator) -> Sound:
    """Rain on a roof: bright noise and countless drops."""
    noise = shape(rng.standard_normal(samples), low_hz=float(rng.uniform(200, 1500)))
    drops = _bursts(samples, rng, rng.uniform(20, 150), (0.002, 0.03))
    return noise * (rng.uniform(0, 1) + drops)


def engine(samples: int, rng: np.random.Generator) -> Sound:
    """Pulses of a motor: a harmonic buzz that wanders, through a random body."""
    speed = rng.uniform(20, 140) * np.exp(
        _slow(samples, rng, 0.7) * rng.uniform(0.01, 0.25)
    )
    phase = 2 * np.pi * np.cumsum(speed) / RATE_HZ
    buzz = np.exp(rng.uniform(2, 12) * (np.cos(phase) - 1))
    half = 1 + rng.uniform(0, 0.5) * np.cos(phase / 2)
    noise = rng.uniform(0.02, 0.4) * rng.standard_normal(samples)
    body = shape(
        buzz * half + noise,
        low_hz=60,
        high_hz=float(rng.uniform(700, 3500)),
        tilt_db_per_octave=float(rng.uniform(-6, 2)),
    )
    steady: Sound = body - body.mean()
    return steady


def jackhammer(samples: int, rng: np.random.Generator) -> Sound:
    """Blows of 8–30 a second: noise and ringing metal, with pauses."""
    rate = rng.uniform(8, 30)
    beats = (np.arange(samples) / RATE_HZ * rate) % 1.0
    noise = shape(
        rng.standard_normal(samples),
        float(rng.uniform(100, 900)),
        float(rng.uniform(1500, 4000)),
    )
    ring = np.sin(2 * np.pi * rng.uniform(300, 3000) * np.arange(samples) / RATE_HZ)
    blow = np.exp(-beats * rng.uniform(2, 12))
    work = (_slow(samples, rng, 0.8) > rng.uniform(-2, 0.3)).astype(float)
    return (noise + rng.uniform(0, 0.4) * ring) * blow * (0.02 + work)


def siren(samples: int, rng: np.random.Generator) -> Sound:
    """Wail, yelp or two-tone, with harmonics, in the street's echo."""
    time = np.arange(samples) / RATE_HZ
    low, high = rng.uniform(350, 800), rng.uniform(900, 1800)
    swing = (time * rng.choice([0.15, 0.3, 1.0, 3.0, 5.0]) * rng.uniform(0.7, 1.4)) % 1
    style = rng.integers(3)
    if style == 0:
        course = 0.5 - 0.5 * np.cos(2 * np.pi * swing)
    elif style == 1:
        course = swing
    else:
        course = (swing > 0.5).astype(float)
    phase = 2 * np.pi * np.cumsum(low + (high - low) * course) / RATE_HZ
    sound = np.zeros(samples)
    for harmonic in range(1, int(rng.integers(2, 7))):
        sound += np.sin(harmonic * phase) * rng.random() / harmonic
    return sound * np.exp(_slow(samples, rng, 0.5) * 0.4)


def bell(samples: int, rng: np.random.Generator) -> Sound:
    """Strokes on metal: inharmonic partials that ring out."""
    sound = np.zeros(samples)
    base = rng.uniform(250, 1600)
    partials = base * np.array([0.5, 1, 1.19, 1.56, 2, 2.51, 3.0, 4.1])
    gains, decay = rng.random(8), rng.uniform(0.1, 1.5)
    gap = rng.uniform(0.12, 2.0)
    at = rng.uniform(0, gap)
    while at < samples / RATE_HZ:
        start = int(at * RATE_HZ)
        time = np.arange(samples - start) / RATE_HZ
        for partial, gain in zip(partials[partials < 3900], gains, strict=False):
            fall = np.exp(-time / decay * (0.5 + partial / base / 2))
            sound[start:] += gain * fall * np.sin(2 * np.pi * partial * time)
        at += gap * rng.uniform(0.9, 1.1)
    return sound


def dog(samples: int, rng: np.random.Generator) -> Sound:
    """Barks: short harmonic bursts that fall in pitch, with breath."""
    sound = np.zeros(samples)
    pitch, at = rng.uniform(200, 900), rng.uniform(0, 0.8)
    while at < samples / RATE_HZ - 0.3:
        for _ in range(int(rng.integers(1, 4))):
            length = int(rng.uniform(0.08, 0.25) * RATE_HZ)
            start = int(at * RATE_HZ)
            sound[start : start + length] += _bark(length, pitch, rng)[
                : max(0, samples - start)
            ]
            at += length / RATE_HZ + rng.uniform(0.05, 0.3)
        at += rng.uniform(0.2, 2.5)
    return shape(sound, low_hz=250)


def _bark(length: int, pitch: float, rng: np.random.Generator) -> Sound:
    place = np.linspace(0, 1, length)
    course = pitch * (1 + 0.35 * np.sin(np.pi * place) - 0.3 * place)
    phase = 2 * np.pi * np.cumsum(course) / RATE_HZ
    voice = np.zeros(length)
    for harmonic in range(1, 8):
        voice += np.sin(harmonic * phase) * rng.random()
    voice += rng.uniform(0.3, 2.0) * rng.standard_normal(length)
    bark: Sound = voice * np.sin(np.pi * place**0.5) ** 2
    return bark


def _tones(
    samples: int,
    rng: np.random.Generator,
    hertz: tuple[float, ...],
    on_off: tuple[float, ...],
) -> Sound:
    """Equal tones in a cadence of seconds on and off, from a random place in it."""
    time = np.arange(samples) / RATE_HZ
    sound = np.zeros(samples)
    for hz in hertz:
        sound += np.sin(2 * np.pi * hz * time + rng.uniform(0, 6))
    period = sum(on_off)
    place = (time + rng.uniform(0, period)) % period
    edges = np.cumsum(on_off)
    is_on = np.searchsorted(edges, place, side="right") % 2 == 0
    return np.where(is_on, sound, 0.0)


def ringback(samples: int, rng: np.random.Generator) -> Sound:
    """Ring-back, busy or congestion of some land (ITU-T E.180)."""
    hertz = [
        (425.0,),
        (400.0, 450.0),
        (440.0, 480.0),
        (480.0, 620.0),
        (400.0,),
        (440.0,),
    ]
    cadence = [(1.0, 4.0), (0.4, 0.2, 0.4, 2.0), (2.0, 4.0), (0.5, 0.5), (0.25, 0.25)]
    return _tones(
        samples,
        rng,
        hertz[rng.integers(len(hertz))],
        cadence[rng.integers(len(cadence))],
    )


def sit(samples: int, rng: np.random.Generator) -> Sound:
    """Special information tones (ITU-T E.180, 950, 1400 and 1800 Hz), now and then."""
    sound = np.zeros(samples)
    at = int(rng.uniform(0, 2) * RATE_HZ)
    while at < samples:
        for hz in (950.0, 1400.0, 1800.0):
            length = min(int(0.33 * RATE_HZ), samples - at)
            sound[at : at + length] = np.sin(
                2 * np.pi * hz * np.arange(length) / RATE_HZ
            )
            at += length
        at += int(rng.uniform(1, 3) * RATE_HZ)
    return sound


def fax(samples: int, rng: np.random.Generator) -> Sound:
    """CNG (1100 Hz, half a second in 3.5) or CED (2100 Hz) of ITU-T T.30."""
    if rng.random() < 0.6:
        return _tones(samples, rng, (1100.0,), (0.5, 3.0))
    return _tones(samples, rng, (2100.0,), (3.3, 1.0))


def modem(samples: int, rng: np.random.Generator) -> Sound:
    """Bits keyed between two tones (FSK of V.21/V.23/Bell 103, TTY), with pauses."""
    pairs = [(1080, 1750, 300), (1300, 2100, 1200), (1270, 2225, 300), (1400, 1800, 45)]
    mark, space, baud = pairs[rng.integers(len(pairs))]
    each = RATE_HZ / baud
    bits = rng.integers(0, 2, int(samples / each) + 2)
    course = np.where(bits, mark, space)[(np.arange(samples) / each).astype(int)]
    on = _slow(samples, rng, 0.6) > rng.uniform(-3, -0.2)
    return np.sin(2 * np.pi * np.cumsum(course) / RATE_HZ) * on


def key_beep(samples: int, rng: np.random.Generator) -> Sound:
    """A phone's own beeps: short single tones or two-tone chirps, not DTMF pairs."""
    sound = np.zeros(samples)
    for _ in range(int(rng.integers(1, 8))):
        length = int(rng.uniform(0.05, 0.35) * RATE_HZ)
        at = int(rng.integers(max(1, samples - length)))
        hz = rng.uniform(400, 3000) * np.linspace(
            1, rng.choice([1, 1, 1.25, 0.8]), length
        )
        sound[at : at + length] += np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)
    return sound


SYNTHETIC: dict[str, Maker] = {
    "digital_silence": digital_silence,
    "comfort_noise": coloured_noise,
    "line_hum": line_hum,
    "rustle": rustle,
    "strokes": strokes,
    "beeps": beeps,
    "walking": walking,
    "bump": bump,
    "wind": wind,
    "water": water,
    "engine": engine,
    "jackhammer": jackhammer,
    "siren": siren,
    "bell": bell,
    "dog_bark": dog,
    "ringback": ringback,
    "sit": sit,
    "fax": fax,
    "modem": modem,
    "key_beep": key_beep,
}
