"""What happens to a voice before the telephone: whisper, child, room, distance.

Sound here is float64, full scale ±1, at 8 kHz, one channel.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]

RATE_HZ = 8000
FRAME = 160
LPC_ORDER = 12
"""Four formants and the tilt, at 8 kHz."""
SILENT_POWER = 1e-10


def to_sound(pcm: NDArray[np.int16]) -> Sound:
    """16-bit samples as float, full scale ±1."""
    sound: Sound = pcm.astype(np.float64) / 32768
    return sound


def to_pcm(sound: Sound) -> NDArray[np.int16]:
    """Float as 16-bit samples; what is louder than full scale is clipped."""
    return np.clip(np.round(sound * 32768), -32768, 32767).astype(np.int16)


def frame_power(sound: Sound) -> Sound:
    """Mean power of each whole 20 ms."""
    whole = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    power: Sound = np.einsum("ij,ij->i", whole, whole) / FRAME
    return power


def active_dbfs(sound: Sound) -> float:
    """Level while it sounds: of the frames within 25 dB of the loudest; −120 for none.

    A full-scale square wave is 0 dBFS.
    """
    padded = np.pad(sound, (0, max(0, FRAME - len(sound))))
    power = frame_power(padded)
    if power.max() <= SILENT_POWER:
        return -120.0
    return float(10 * np.log10(power[power > power.max() * 10**-2.5].mean()))


def at_level(sound: Sound, dbfs: float) -> Sound:
    """Scaled so that its active level is `dbfs`; silence stays silence."""
    level = active_dbfs(sound)
    return sound if level <= -120.0 else sound * 10 ** ((dbfs - level) / 20)


@functools.cache
def good_length(samples: int) -> int:
    """The next length that NumPy's FFT takes quickly (2^a · 3^b · 5^c)."""
    while True:
        rest = samples
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return samples
        samples += 1


@functools.cache
def _bins(samples: int) -> Sound:
    return np.fft.rfftfreq(samples, 1 / RATE_HZ).astype(np.float64)


def shape(
    sound: Sound,
    low_hz: float = 0.0,
    high_hz: float = 4000.0,
    tilt_db_per_octave: float = 0.0,
) -> Sound:
    """Band-limited with soft edges (a sixth of an octave), tilted around 1 kHz."""
    size = good_length(len(sound))
    hz = np.maximum(_bins(size), 1.0)
    gain = np.ones_like(hz)
    if low_hz > 0:
        gain /= np.sqrt(1 + (low_hz / hz) ** 12)
    if high_hz < 4000:
        gain /= np.sqrt(1 + (hz / high_hz) ** 12)
    if tilt_db_per_octave:
        gain *= np.clip(hz / 1000, 0.2, 4) ** (tilt_db_per_octave / 6.02)
    return np.fft.irfft(np.fft.rfft(sound, size) * gain, size)[: len(sound)]


def convolve(sound: Sound, response: Sound) -> Sound:
    """The sound in a room of this impulse response, of the sound's length."""
    size = good_length(len(sound) + len(response) - 1)
    spectrum = np.fft.rfft(sound, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(sound)]


def room(rng: np.random.Generator, decay_seconds: float, direct_db: float) -> Sound:
    """An impulse response: a direct path, early echoes, a tail of noise.

    `direct_db` is the direct path's energy over all the rest's (dB); `decay_seconds`
    is the time in which the tail falls by 60 dB.
    """
    samples = int(min(decay_seconds, 1.5) * RATE_HZ)
    time = np.arange(samples) / RATE_HZ
    tail = rng.standard_normal(samples) * 10 ** (-3 * time / decay_seconds)
    tail[: int(0.003 * RATE_HZ)] = 0
    early = rng.integers(int(0.002 * RATE_HZ), int(0.03 * RATE_HZ), size=5)
    tail[early[early < samples]] += rng.choice([-3.0, 3.0]) * rng.random()
    tail *= np.sqrt(10 ** (-direct_db / 10) / max(np.sum(tail**2), SILENT_POWER))
    tail[0] += 1.0
    return tail


def handsfree(sound: Sound, rng: np.random.Generator) -> Sound:
    """A phone on the table: a small room, the direct path still heard."""
    response = room(rng, rng.uniform(0.15, 0.6), rng.uniform(-4, 6))
    return convolve(np.pad(sound, (0, int(0.3 * RATE_HZ))), response)


def far_away(sound: Sound, rng: np.random.Generator) -> Sound:
    """Through a room, a wall or a street: hardly any direct path, few highs."""
    response = room(rng, rng.uniform(0.4, 1.3), rng.uniform(-15, -5))
    padded = np.pad(sound, (0, int(0.5 * RATE_HZ)))
    return shape(convolve(padded, response), high_hz=rng.uniform(1200, 3200))


def shifted(sound: Sound, factor: float) -> Sound:
    """Pitch and formants times `factor`, played so much faster: 1.2–1.6 is a child."""
    size = good_length(len(sound))
    spectrum = np.fft.rfft(sound, size)
    target = int(round(size / factor))
    bins = target // 2 + 1
    if bins <= len(spectrum):
        spectrum = spectrum[:bins]
    else:
        spectrum = np.pad(spectrum, (0, bins - len(spectrum)))
    return np.fft.irfft(spectrum, target)[: int(len(sound) / factor)] * target / size


def whisper(sound: Sound, rng: np.random.Generator) -> Sound:
    """The mouth's filter of each 20 ms, excited by noise instead of the voice."""
    window = np.hanning(2 * FRAME + 1)[:-1]
    padded = np.pad(sound, (FRAME, 2 * FRAME + -len(sound) % FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * FRAME)[::FRAME]
    spectrum = np.fft.rfft(frames * window, 512)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, : LPC_ORDER + 1]
    filters, error = _levinson(correlation)
    envelope = np.sqrt(error)[:, None] / np.maximum(
        np.abs(np.fft.rfft(filters, 512)), 1e-3
    )
    noise = np.fft.rfft(rng.standard_normal(frames.shape) * window, 512)
    made = np.fft.irfft(noise * envelope)[:, : 2 * FRAME] / np.sqrt(2 * FRAME)
    out = np.zeros((len(frames) + 1) * FRAME)
    out[: len(frames) * FRAME] += made[:, :FRAME].ravel()
    out[FRAME:] += made[:, FRAME:].ravel()
    return shape(out[FRAME : FRAME + len(sound)], low_hz=400)


def _levinson(correlation: Sound) -> tuple[Sound, Sound]:
    """Prediction filters [frames, order + 1] and their error power [frames]."""
    frames, taps = correlation.shape
    error = correlation[:, 0] * 1.0001 + 1e-12
    filters = np.zeros((frames, taps))
    filters[:, 0] = 1.0
    for i in range(1, taps):
        ahead = np.einsum("ij,ij->i", filters[:, :i], correlation[:, i:0:-1])
        reflection = -ahead / error
        filters[:, 1 : i + 1] += reflection[:, None] * filters[:, i - 1 :: -1][:, :i]
        error = error * np.maximum(1 - reflection**2, 1e-6)
    return filters, error


def babble(voices: list[Sound], samples: int, rng: np.random.Generator) -> Sound:
    """Many talk at once: each voice again and again from a random place, mixed."""
    mix = np.zeros(samples)
    for voice in voices:
        if len(voice):
            repeated = np.resize(voice, samples + len(voice))
            start = int(rng.integers(len(voice)))
            mix += at_level(repeated[start : start + samples], -26 + rng.normal(0, 3))
    return mix
