"""Where in a clip somebody begins to be heard.

`speech_start` says where the source recording was mixed in. Many begin with their room:
in a tenth of the development corpus 0.4 s and more pass before the word does. A wait
counted from there is counted from a sound nobody could take for a voice. As in ITU-T
P.56 speech is active where its level is near its own mean; so an onset is the first
60 ms within 12 dB of that, and 6 dB above what was heard before it. A recording's own
room may come that near, above a line that is silent without it: what goes on unchanged
for 0.3 s, 6 dB or more below the voice, counts as heard before it. And a click is no
word: a sound without a pitch that is over within 0.1 s, and after which nothing is
heard for 0.3 s, where little noise could hide either.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.floating]

FRAME_SECONDS = 0.02
_SMOOTHED = 3
ACTIVE_DB = 15.0
"""Below the loudest frame, a frame still belongs to what is said."""
BELOW_DB = 12.0
ABOVE_DB = 6.0
LEAST_DB = 3.0
"""In loud noise nothing rises 6 dB; that near its mean level it is the voice."""
ROOM_FRAMES = 15
"""0.3 s …"""
ROOM_DB = 3.0
"""… half of whose frames lie within this, whose …"""
ROOM_BELOW_DB = 6.0
"""… median is so much below the voice's mean level, are a room, not a voice."""
CLICK_FRAMES = 5
"""0.1 s; the shortest word lasts as long, and has a vowel."""
CLICK_OVER_DB = 10.0
"""The voice so much over the noise: else a click may be what noise left of a word."""
PITCHED = 0.45
"""A frame that repeats itself so well may have a pitch."""
_PITCH_SAMPLES = 320
_LAGS = slice(10, 115)
"""70 to 800 Hz."""
_BEFORE_FRAMES = 50
_LEAST_BEFORE_FRAMES = 10
_LOWEST = 2.6e-10
_TWICE = 2.0
"""A frame of no more than the noise's power is noise."""


def onset_seconds(samples: NDArray[np.floating], starts: float) -> float:
    """How long after `starts` (s) the voice is heard; samples: 8 kHz, full scale 1.

    0.0 if nothing follows.
    """
    whole = samples[: samples.size // 160 * 160].reshape(-1, 160)
    power = np.einsum("ij,ij->i", whole, whole, dtype=np.float64) / 160 + _LOWEST
    start = round(starts / FRAME_SECONDS)
    said = power[start:]
    if said.size < _SMOOTHED:
        return 0.0
    before = power[max(0, start - _BEFORE_FRAMES) : start]
    if before.size >= _LEAST_BEFORE_FRAMES:
        noise = _decibel(before.mean())
    else:
        noise = _decibel(np.percentile(power, 10))
    quietest = max(said.max() * 10 ** (-0.1 * ACTIVE_DB), 10 ** (0.1 * noise) * _TWICE)
    active = said[said >= quietest]
    if not active.size:
        return 0.0
    level = _decibel(active.mean())
    smooth = _smoothed(said)
    first = _first_word(samples, start, said, noise, level)
    while (room := _room(said[first : first + ROOM_FRAMES], noise, level)) is not None:
        later = _first_over(smooth, first + 1, max(noise, room), level)
        if later <= first or _decibel(said[first:later].min()) < room - ROOM_BELOW_DB:
            break  # nothing rises over it; or it was softer meanwhile, so no room
        first, noise = later, max(noise, room)
    return first * FRAME_SECONDS


def _first_word(
    samples: Floats, start: int, said: Floats, noise: float, level: float
) -> int:
    """The first frame after `start` loud enough, clicks left out."""
    smooth = _smoothed(said)
    first = _first_over(smooth, 0, noise, level)
    if level - noise < CLICK_OVER_DB:
        return first
    least = 10 ** (0.1 * _least(noise, level))
    while True:
        loud = np.flatnonzero(
            smooth[first : first + CLICK_FRAMES + ROOM_FRAMES] >= least
        )
        lasts = int(loud[-1]) + 1 if loud.size else 0
        if not 0 < lasts <= CLICK_FRAMES:
            return first
        heard = first + np.flatnonzero(
            said[first : first + lasts + _SMOOTHED - 1] >= least
        )
        if any(_is_pitched(samples, start + int(frame)) for frame in heard):
            return first
        later = _first_over(smooth, first + lasts, noise, level)
        if later <= first:
            return first  # it was all there is
        first = later


def _is_pitched(samples: Floats, frame: int) -> bool:
    """Whether a frame, with 10 ms around it, repeats itself."""
    begin = max(0, frame * 160 - 80)
    heard = samples[begin : begin + _PITCH_SAMPLES + _LAGS.stop].astype(np.float64)
    if heard.size < _PITCH_SAMPLES + _LAGS.stop:
        return True  # cut off: nobody knows
    heard -= heard.mean()
    now = heard[:_PITCH_SAMPLES]
    later = sliding_window_view(heard, _PITCH_SAMPLES)[_LAGS]
    energy = np.sqrt(np.einsum("ij,ij->i", later, later) * (now @ now))
    return bool((later @ now >= PITCHED * energy + _LOWEST).any())


def _smoothed(power: Floats) -> Floats:
    return np.convolve(power, np.full(_SMOOTHED, 1 / _SMOOTHED), "valid")


def _first_over(smooth: Floats, since: int, noise: float, level: float) -> int:
    """The first frame loud enough over `noise`, beside the voice's `level`; else 0."""
    heard = smooth[since:] >= 10 ** (0.1 * _least(noise, level))
    return since + int(heard.argmax()) if heard.any() else 0


def _least(noise: float, level: float) -> float:
    """From which level on, dBFS, a frame is heard."""
    return min(max(level - BELOW_DB, noise + ABOVE_DB), level - LEAST_DB)


def _room(power: Floats, noise: float, level: float) -> float | None:
    """The level of these frames, dBFS, if they are a room's: heard, even, too soft."""
    if power.size < ROOM_FRAMES:
        return None
    low, middle, high = (_decibel(one) for one in np.percentile(power, (25, 50, 75)))
    is_heard = low >= _least(noise, level) - ROOM_DB
    is_soft = middle <= level - ROOM_BELOW_DB
    return middle if high - low <= ROOM_DB and is_heard and is_soft else None


def _decibel(power: float) -> float:
    return 10.0 * float(np.log10(power))
