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

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.floating]

FRAME_SECONDS = 0.02
_FRAME_SAMPLES = 160
_SMOOTHED = 3
"""Frames that must be loud on average: 60 ms."""
ACTIVE_DB = 15.0
"""Below the loudest frame, a frame still belongs to what is said …"""
_TWICE = 2.0
"""… unless it has no more than twice the noise's power."""
BELOW_DB = 12.0
ABOVE_DB = 6.0
"""An onset is so near the voice's mean level, and so far above what was before it."""
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
"""40 ms: the frame, and 10 ms around it."""
_LAGS = slice(10, 115)
"""70 to 800 Hz."""
_BEFORE_FRAMES = 50
"""The noise is that of the second before the label …"""
_LEAST_BEFORE_FRAMES = 10
"""… or, if there are not so many, of the softest tenth of the clip."""
_LOWEST = 2.6e-10
"""Power of what has none, −96 dBFS."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What follows the label, frame by frame."""

    samples: Floats
    """From the clip's beginning."""
    start: int
    """The label's frame."""
    power: Floats
    smooth: Floats
    """Mean power of three frames from each on."""
    noise: float
    """Before it, dBFS."""
    level: float
    """The voice's mean, dBFS."""


def onset_seconds(samples: NDArray[np.floating], starts: float) -> float:
    """How long after `starts` (s) the voice is heard; samples: 8 kHz, full scale 1.

    0.0 if nothing follows.
    """
    whole = samples[: samples.size // _FRAME_SAMPLES * _FRAME_SAMPLES]
    frames = whole.reshape(-1, _FRAME_SAMPLES)
    energy = np.einsum("ij,ij->i", frames, frames, dtype=np.float64)
    power = energy / _FRAME_SAMPLES + _LOWEST
    start = round(starts / FRAME_SECONDS)
    after = power[start:]
    if after.size < _SMOOTHED:
        return 0.0
    noise = _noise(power, start)
    level = _active_level(after, noise)
    if level is None:
        return 0.0
    smooth = np.convolve(after, np.full(_SMOOTHED, 1 / _SMOOTHED), "valid")
    said = _Said(samples, start, after, smooth, noise, level)
    return _after_room(said, _first_word(said)) * FRAME_SECONDS


def _noise(power: Floats, start: int) -> float:
    """The level of the line without the voice, dBFS."""
    before = power[max(0, start - _BEFORE_FRAMES) : start]
    if before.size >= _LEAST_BEFORE_FRAMES:
        return _decibel(float(before.mean()))
    return _decibel(float(np.percentile(power, 10)))


def _active_level(power: Floats, noise: float) -> float | None:
    """The mean level of what is said, dBFS; None if nothing is."""
    loudest = power.max() * 10 ** (-0.1 * ACTIVE_DB)
    active = power[power >= max(loudest, 10 ** (0.1 * noise) * _TWICE)]
    return _decibel(float(active.mean())) if active.size else None


def _first_word(said: _Said) -> int:
    """The first frame loud enough, clicks left out; 0 if there is none."""
    first = _first_over(said, 0, said.noise) or 0
    if said.level - said.noise < CLICK_OVER_DB:
        return first
    while (lasts := _click_frames(said, first)) is not None:
        later = _first_over(said, first + lasts, said.noise)
        if later is None:
            return first  # it was all there is
        first = later
    return first


def _click_frames(said: _Said, first: int) -> int | None:
    """How long the sound that begins there lasts; None if it is no click."""
    least = 10 ** (0.1 * _least(said.noise, said.level))
    loud = said.smooth[first : first + CLICK_FRAMES + ROOM_FRAMES] >= least
    places = np.flatnonzero(loud)
    lasts = int(places[-1]) + 1 if places.size else 0
    if not 0 < lasts <= CLICK_FRAMES:
        return None
    heard = np.flatnonzero(said.power[first : first + lasts + _SMOOTHED - 1] >= least)
    begins = said.start + first
    if any(_is_pitched(said.samples, begins + int(at)) for at in heard):
        return None
    return lasts


def _is_pitched(samples: Floats, frame: int) -> bool:
    """Whether a frame, with 10 ms around it, repeats itself."""
    begin = max(0, frame * _FRAME_SAMPLES - 80)
    heard = samples[begin : begin + _PITCH_SAMPLES + _LAGS.stop].astype(np.float64)
    if heard.size < _PITCH_SAMPLES + _LAGS.stop:
        return True  # cut off: nobody knows
    heard -= heard.mean()
    now = heard[:_PITCH_SAMPLES]
    later = sliding_window_view(heard, _PITCH_SAMPLES)[_LAGS]
    energy = np.sqrt(np.einsum("ij,ij->i", later, later) * (now @ now))
    return bool((later @ now >= PITCHED * energy + _LOWEST).any())


def _after_room(said: _Said, first: int) -> int:
    """The first frame over the room that begins at `first`, if one does."""
    noise = said.noise
    while (room := _room(said, first, noise)) is not None:
        noise = max(noise, room)
        later = _first_over(said, first + 1, noise)
        if later is None:
            break  # nothing rises over it
        if _decibel(said.power[first:later].min()) < room - ROOM_BELOW_DB:
            break  # it was softer meanwhile, so no room
        first = later
    return first


def _room(said: _Said, first: int, noise: float) -> float | None:
    """The level of the 0.3 s from `first` on, dBFS, if they are a room's: heard, even,
    too soft."""
    power = said.power[first : first + ROOM_FRAMES]
    if power.size < ROOM_FRAMES:
        return None
    low, middle, high = (_decibel(one) for one in np.percentile(power, (25, 50, 75)))
    is_heard = low >= _least(noise, said.level) - ROOM_DB
    is_soft = middle <= said.level - ROOM_BELOW_DB
    return middle if high - low <= ROOM_DB and is_heard and is_soft else None


def _first_over(said: _Said, since: int, noise: float) -> int | None:
    """The first frame from `since` on that is loud enough over `noise`, if one is."""
    heard = said.smooth[since:] >= 10 ** (0.1 * _least(noise, said.level))
    return since + int(heard.argmax()) if heard.any() else None


def _least(noise: float, level: float) -> float:
    """From which level on, dBFS, a frame is heard."""
    return min(max(level - BELOW_DB, noise + ABOVE_DB), level - LEAST_DB)


def _decibel(power: float) -> float:
    return 10.0 * float(np.log10(power))
