"""How well a recording contains a reference: the proof that audio arrived.

Normalised cross-correlation of waveforms, because loudness, delay and what was recorded
before and after do not matter, and because a telephone codec bends a waveform little:
G.711 alone keeps the peak above 0.95, while another voice stays below 0.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
_SILENT = 1e-9


@dataclass(frozen=True, slots=True)
class Match:
    """Where and how well a reference was found in a recording."""

    peak: float
    """0 (nothing alike) … 1 (the same waveform)."""
    lag_seconds: float
    """Where in the recording the reference begins."""


def correlate(
    recording: NDArray[np.int16],
    reference: NDArray[np.int16],
    *,
    rate: int = SAMPLE_RATE,
) -> Match:
    """Find `reference` in `recording`; both are mono samples at `rate` Hz.

    The reference must lie wholly inside the recording; `best_piece` copes with less.
    Nothing in either (no samples, or digital silence) is a peak of 0.
    """
    heard = recording.astype(np.float64)
    wanted = reference.astype(np.float64)
    if wanted.size == 0 or heard.size < wanted.size:
        return Match(0.0, 0.0)
    wanted -= wanted.mean()
    energy = float(np.sqrt(np.sum(wanted**2)))
    if energy < _SILENT:
        return Match(0.0, 0.0)
    size = 1 << (heard.size + wanted.size - 1).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    places = heard.size - wanted.size + 1
    products = np.fft.irfft(spectrum, size)[:places]
    scores = np.abs(products) / (energy * _window_norms(heard, wanted.size, energy))
    best = int(np.argmax(scores))
    return Match(float(min(scores[best], 1.0)), best / rate)


def _window_norms(
    heard: NDArray[np.float64], length: int, energy: float
) -> NDArray[np.float64]:
    """The length (L2, mean removed) of every window of the recording.

    Windows far quieter than the reference are held at a thousandth of it: otherwise
    rounding noise in digital silence would count as likeness.
    """
    sums = np.concatenate(([0.0], np.cumsum(heard)))
    squares = np.concatenate(([0.0], np.cumsum(heard**2)))
    total = sums[length:] - sums[:-length]
    power = squares[length:] - squares[:-length] - total**2 / length
    norms: NDArray[np.float64] = np.sqrt(np.maximum(power, (energy * 1e-3) ** 2))
    return norms


def best_piece(
    recording: NDArray[np.int16],
    reference: NDArray[np.int16],
    *,
    piece_seconds: float = 1.0,
    rate: int = SAMPLE_RATE,
) -> Match:
    """The best match of any piece of the reference.

    For a voice that was being spoken in a loop when the line was connected, or was cut
    off by a hang-up: whoever heard one clear second of it has heard it. Pieces that are
    much quieter than the whole (pauses between words) prove nothing and are left out.
    """
    length = int(piece_seconds * rate)
    if reference.size <= length:
        return correlate(recording, reference, rate=rate)
    loudness = _rms(reference)
    matches = [
        correlate(recording, piece, rate=rate)
        for start in range(0, reference.size - length + 1, length // 2)
        if _rms(piece := reference[start : start + length]) >= loudness / 2
    ]
    return max(matches, key=lambda match: match.peak, default=Match(0.0, 0.0))


def _rms(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
