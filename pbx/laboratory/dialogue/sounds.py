"""Sounds a call is put together from, besides the recorded clips. Pure numpy.

Samples are float32 between −1 and 1 at 8 kHz; levels are dBFS of the RMS.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 8000
Samples = NDArray[np.float32]
Dice = np.random.Generator

_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"
"""The key pad, row by row (ITU-T Q.23)."""

_TTY_ONE, _TTY_ZERO, _TTY_BIT_SECONDS = 1400.0, 1800.0, 0.022
"""Baudot at 45.45 baud (ITU-T V.18 annex A)."""

_ROOM_SECONDS = 0.12
_LEAD_SAMPLES = 80


def silence(seconds: float) -> Samples:
    """Nothing at all."""
    return np.zeros(max(0, round(seconds * RATE)), np.float32)


def noise(dice: Dice, seconds: float, dbfs: float) -> Samples:
    """White noise: the hiss of a line."""
    return dice.standard_normal(round(seconds * RATE), np.float32) * gain(dbfs)


def gain(db: float) -> np.float32:
    """The factor that so many dB are."""
    return np.float32(10.0 ** (db / 20))


def rms_dbfs(samples: Samples) -> float:
    """Mean level, at least −96."""
    if samples.size == 0:
        return -96.0
    return 10 * float(np.log10(max(float(samples @ samples) / samples.size, 2.6e-10)))


def faded(samples: Samples, seconds: float = 0.005) -> Samples:
    """The same with soft edges, so that joining it makes no click."""
    ramp = min(round(seconds * RATE), samples.size // 2)
    out = samples.copy()
    if ramp:
        slope = np.linspace(0, 1, ramp, dtype=np.float32)
        out[:ramp] *= slope
        out[-ramp:] *= slope[::-1]
    return out


def add(sound: Samples, at_seconds: float, onto: Samples) -> None:
    """Mix a sound in, cut off where the call ends."""
    at = round(at_seconds * RATE)
    end = min(at + sound.size, onto.size)
    if 0 <= at < end:
        onto[at:end] += sound[: end - at]


def join(first: Samples, second: Samples, seconds: float = 0.05) -> Samples:
    """One after the other, cross-faded with constant power."""
    ramp = min(round(seconds * RATE), first.size, second.size)
    if ramp == 0:
        return np.concatenate((first, second))
    angle = np.linspace(0, np.pi / 2, ramp, dtype=np.float32)
    cross = first[-ramp:] * np.cos(angle) + second[:ramp] * np.sin(angle)
    return np.concatenate((first[:-ramp], cross, second[ramp:]))


def going_on(pieces: list[Samples], seconds: float, dice: Dice) -> Samples:
    """Recordings of one thing, continued: the same and its like, in random order.

    Each piece goes on from its beginning, or from somewhere in its first half, so
    that a loop does not beat time.
    """
    whole = pieces[0]
    if whole.size == 0:
        return silence(seconds)
    wanted = round(seconds * RATE)
    while whole.size < wanted:
        piece = pieces[int(dice.integers(len(pieces)))]
        start = int(dice.integers(piece.size // 2 + 1))
        whole = join(whole, piece[start:])
    return whole[:wanted].copy()


def key_tone(key: str, seconds: float, dbfs: float, twist_db: float = 0.0) -> Samples:
    """DTMF as a phone sends it (ITU-T Q.23); `twist_db`: column over row."""
    row, column = divmod(KEYS.index(key), 4)
    t = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    low = np.sin(2 * np.pi * _ROWS[row] * t) * gain(-twist_db / 2)
    high = np.sin(2 * np.pi * _COLUMNS[column] * t) * gain(twist_db / 2)
    return at_level((low + high).astype(np.float32), dbfs)


def tty(dice: Dice, characters: int, dbfs: float) -> Samples:
    """A text telephone typing: a mark, then start bit, five bits, stop bit each."""
    bits = [1.0] * 6
    for _ in range(characters):
        bits += [0.0, *dice.integers(0, 2, 5).astype(float), 1.0]
    seconds = [_TTY_BIT_SECONDS] * len(bits)
    edges = np.round(np.cumsum(seconds) * RATE).astype(int)
    hertz = np.full(edges[-1], _TTY_ZERO, np.float32)
    start = 0
    for bit, end in zip(bits, edges, strict=True):
        if bit:
            hertz[start:end] = _TTY_ONE
        start = end
    phase = np.cumsum(2 * np.pi * hertz / RATE)
    return at_level(faded(np.sin(phase).astype(np.float32)), dbfs)


def knocks(dice: Dice, count: int, peak_dbfs: float) -> Samples:
    """A finger on the phone: `count` short thumps, 0.2 to 0.7 s apart."""
    out = silence(0.8 * count)
    hertz, decay = dice.uniform(150, 1200), dice.uniform(0.012, 0.05)
    at = 0.0
    for _ in range(count):
        t = np.arange(round(0.25 * RATE), dtype=np.float32) / RATE
        body = np.sin(2 * np.pi * hertz * t + dice.uniform(0, 6))
        rattle = dice.standard_normal(t.size) * np.exp(-t / 0.004)
        thump = (body * np.exp(-t / decay) + 0.7 * rattle).astype(np.float32)
        thump *= gain(peak_dbfs + dice.uniform(-4, 0)) / np.abs(thump).max()
        add(thump, at, out)
        at += dice.uniform(0.2, 0.7)
    return out


def coughs(dice: Dice, count: int, peak_dbfs: float) -> Samples:
    """A burst of breath, then a shorter voiced end; again after 0.35 to 0.8 s."""
    out = silence(1.0 * count)
    at = 0.0
    pitch = dice.uniform(110, 260)
    for _ in range(count):
        length = dice.uniform(0.18, 0.35)
        t = np.arange(round(length * RATE), dtype=np.float32) / RATE
        breath = _coloured(dice.standard_normal(t.size, np.float32), dice)
        voiced = np.sign(np.sin(2 * np.pi * pitch * t)) * (t > 0.5 * length)
        shape = np.minimum(t / 0.008, 1) * np.exp(-t / (0.4 * length))
        cough = ((breath + 0.3 * voiced) * shape).astype(np.float32)
        add(faded(cough * gain(peak_dbfs) / np.abs(cough).max()), at, out)
        at += length + dice.uniform(0.2, 0.5)
    return out


def room(dice: Dice) -> Samples:
    """From loudspeaker to microphone: an impulse response of unit power gain.

    A direct sound, a decaying tail, and the colour of a small loudspeaker.
    """
    t = np.arange(round(_ROOM_SECONDS * RATE), dtype=np.float32) / RATE
    tail = dice.standard_normal(t.size, np.float32) * np.exp(
        -t / dice.uniform(0.01, 0.04)
    )
    tail *= gain(dice.uniform(-20, -6)) / np.sqrt(tail @ tail)
    tail[0] += 1.0
    # The colour's filter has no delay of its own: half of it comes before the sound.
    # Without this lead it wraps around to the end: a second echo, as loud, 0.12 s late.
    led = np.concatenate((np.zeros(_LEAD_SAMPLES, np.float32), tail))
    coloured = _coloured(led.astype(np.float32), dice)[_LEAD_SAMPLES:]
    return np.asarray(coloured / np.sqrt(coloured @ coloured), np.float32)


def echoed(
    sent: Samples, response: Samples, delay_seconds: float, db: float
) -> Samples:
    """What comes back of what we send, `db` (negative) relative to it."""
    size = 1 << int(sent.size + response.size - 1).bit_length()
    spectrum = np.fft.rfft(sent, size) * np.fft.rfft(response, size)
    back = np.fft.irfft(spectrum, size)[: sent.size].astype(np.float32)
    out = np.zeros_like(sent)
    shift = round(delay_seconds * RATE)
    out[shift:] = back[: sent.size - shift]
    return out * gain(db)


def at_level(samples: Samples, dbfs: float) -> Samples:
    """The same sound with that mean level."""
    return samples * gain(dbfs - rms_dbfs(samples))


def _coloured(samples: Samples, dice: Dice) -> Samples:
    """A gentle tilt and one resonance, different each time."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(samples.size, 1 / RATE)
    tilt = 10 ** (dice.uniform(-6, 6) / 20 * np.log2(np.maximum(hertz, 100) / 1000))
    centre, width = dice.uniform(500, 2500), dice.uniform(200, 800)
    bump = 1 + dice.uniform(0, 2) * np.exp(-(((hertz - centre) / width) ** 2))
    band = np.clip((hertz - 200) / 150, 0, 1) * np.clip((3600 - hertz) / 300, 0, 1)
    return np.fft.irfft(spectrum * tilt * bump * band, samples.size).astype(np.float32)
