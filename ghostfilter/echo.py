"""Our own prompt, coming back from a speakerphone, taken out of what was heard.

We know what we send; we do not know how late, how loud and how coloured it returns, nor
through which codec, so wave forms need not match. Spectra do: the delay is the one at
which the mel bands of line and prompt rise and fall together; the gain of each band is
what the line shows over the prompt there. What the prompt explains is taken out of the
bands, and what stands above it remains: somebody who speaks over the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ghostfilter.features import BANDS, EPSILON, FLOOR_BLOCKS, mel_power
from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.spectra import BLOCK_FRAMES, Blocks, Floats
from ghostfilter.vad import FRAME_BYTES

EARLIEST = -4
"""Frames: lost packets make the line run ahead of our own count."""
LATEST = 32
"""0.64 s: a satellite's, or a bad mobile network's, way there and back."""
LAGS = LATEST - EARLIEST
SURE = 0.36
"""Correlation from which on the delay is believed. On the development corpus echoes
reach it within 0.3…0.8 s; lines without echo mostly stay below."""
LOST = 0.2
FORGET = np.float32(0.97)
"""Of the correlation, a block: about 5 s."""
UNKNOWN_GAIN = np.float32(np.log(10.0 ** (-14 / 10)))
"""Believed of the echo's gain before anything is known: at most −14 dB …"""
DOUBT_FADES = np.float32(np.log(10.0 ** (-12 / 10)) * BLOCK_FRAMES * FRAME_SECONDS)
"""… and 12 dB less each second in which no echo shows itself …"""
LEAST_GAIN = np.float32(np.log(10.0 ** (-46 / 10)))
"""… down to this."""
OVER = np.float32(2.5)
"""Taken out is so much more power than expected: codecs add to it."""
KEPT = np.float32(0.02)
OVER_LOWEST = np.float32(4.0)
"""A noise's mean over the lowest of its frames in 2 s: about 6 dB."""
FORGET_FAST = np.float32(0.7)
"""The same of the delay's next neighbours, about 0.5 s: each lost packet shifts it."""
NEAR = 3
LOUD = np.float32(np.log(1e-2))
"""A band of the prompt shows the gain where it is above this."""
QUIET = np.float32(-2.5)
"""Silence before and after the prompt must not outweigh its words."""

_PAD = LAGS + BLOCK_FRAMES
_SPAN = LAGS + BLOCK_FRAMES - 1
_DIAGONAL = (
    np.arange(BLOCK_FRAMES)[:, None] - np.arange(EARLIEST, LATEST)[None] + LATEST - 1
)
_COLUMN = np.arange(BLOCK_FRAMES)[:, None]


@dataclass(frozen=True, slots=True)
class Sent:
    """A prompt as the line would see it; silence around it."""

    power: Floats
    """(pad + frames + pad, 24) mel power."""
    log: Floats
    shape: Floats
    """The log over its own mean, from QUIET upwards: what is correlated."""
    energy: Floats
    """(…,) its sum of squares."""
    frames: int


@lru_cache(maxsize=64)
def sent(pcm: bytes) -> Sent:
    """A prompt (8 kHz 16-bit), prepared. Remembered: every call plays the same few."""
    whole = BLOCK_FRAMES * FRAME_BYTES
    padded = pcm + bytes(-len(pcm) % whole)
    blocks = Blocks()
    found = [
        mel_power(block.power)
        for at in range(0, len(padded), FRAME_BYTES)
        if (block := blocks.push(padded[at : at + FRAME_BYTES])) is not None
    ]
    frames = len(pcm) // FRAME_BYTES
    silence = np.zeros((_PAD, BANDS), np.float32)
    power = np.concatenate((silence, *found, silence))
    log = np.log(power + EPSILON)
    mean = log[_PAD:-_PAD].mean(axis=0) if found else np.float32(0.0)
    shape = np.maximum(log - mean, QUIET)
    return Sent(power, log, shape, (shape * shape).sum(axis=1), frames)


_NOTHING = sent(b"")


class Echo:
    """One call's echo. `started` and `stopped` tell what we send and when."""

    __slots__ = (
        "_alike",
        "_alike_now",
        "_blocks",
        "_energy",
        "_energy_now",
        "_from",
        "_gain",
        "_lag",
        "_line_energy",
        "_line_mean",
        "_lowest",
        "_sent",
        "_until",
        "correlation",
        "explained",
    )

    def __init__(self) -> None:
        self._sent = _NOTHING
        self._from = 0
        self._until = -LATEST
        self._lowest = np.full((FLOOR_BLOCKS, BANDS), np.inf, np.float32)
        self._blocks = 0
        self._alike = np.zeros(LAGS, np.float32)
        self._alike_now = np.zeros(LAGS, np.float32)
        self._energy_now = np.full(LAGS, 1e-3, np.float32)
        self._energy = np.full(LAGS, 1e-3, np.float32)
        self._line_energy = np.float32(1e-3)
        self._line_mean: Floats | None = None
        self._lag: int | None = None
        self._gain = np.full(BANDS, UNKNOWN_GAIN, np.float32)
        self.correlation = 0.0
        """How well the prompt explains the line at the best delay, 0…1."""
        self.explained = np.zeros(BLOCK_FRAMES, np.float32)
        """(8,) the share of each frame's power in the last block that was taken out."""

    @property
    def delay_seconds(self) -> float | None:
        """How late our prompt comes back; None while that is unknown."""
        return None if self._lag is None else (self._lag + EARLIEST) * FRAME_SECONDS

    def started(self, pcm: bytes, frame: int) -> None:
        """We begin to send this prompt at the line's frame of that number."""
        self._sent, self._from = sent(pcm), frame
        self._until = frame + self._sent.frames

    def stopped(self, frame: int) -> None:
        """We stopped sending before the line's frame of that number."""
        self._until = min(self._until, frame)

    def without(self, bands: Floats, first_frame: int) -> Floats:
        """(8, 24) mel power of a block → the same without what our prompt explains."""
        self._lowest[self._blocks % FLOOR_BLOCKS] = np.minimum.reduce(bands)
        self._blocks += 1
        if first_frame - LATEST >= self._until:
            self.explained = np.zeros(BLOCK_FRAMES, np.float32)
            return bands
        start = first_frame - self._from - LATEST + 1 + _PAD
        span = slice(max(0, start), start + _SPAN)
        log = np.log(bands + EPSILON)
        self._correlate(log, span)
        if self._lag is None:
            self._gain = np.maximum(self._gain + DOUBT_FADES, LEAST_GAIN)
            expected = self._sent.power[span].max(axis=0) * np.exp(self._gain)
        else:
            at = start + LATEST - 1 - (self._lag + EARLIEST)
            self._learn_gain(log, self._sent.log[at : at + BLOCK_FRAMES])
            power = self._sent.power
            around = np.maximum(
                np.maximum(power[at - 1 : at + 7], power[at : at + 8]),
                power[at + 1 : at + 9],
            )
            expected = around * np.exp(self._gain)
        # Not below the line's own noise: a hole in it would sound like a voice.
        least = np.maximum(KEPT * bands, OVER_LOWEST * np.minimum.reduce(self._lowest))
        left: Floats = np.maximum(bands - OVER * expected, np.minimum(least, bands))
        self.explained = 1.0 - left.sum(axis=1) / (bands.sum(axis=1) + EPSILON)
        return left

    def _correlate(self, log: Floats, span: slice) -> None:
        """Find the delay at which line and prompt are most alike."""
        mean = log.sum(axis=0) * np.float32(1.0 / BLOCK_FRAMES)
        if self._line_mean is None:
            self._line_mean = mean
        else:
            self._line_mean += np.float32(0.12) * (mean - self._line_mean)
        line = log - self._line_mean
        products = self._sent.shape[span] @ line.T
        alike = products[_DIAGONAL, _COLUMN].sum(axis=0)
        energy = self._sent.energy[span][_DIAGONAL].sum(axis=0)
        self._alike *= FORGET
        self._alike += alike
        self._energy *= FORGET
        self._energy += energy
        self._alike_now *= FORGET_FAST
        self._alike_now += alike
        self._energy_now *= FORGET_FAST
        self._energy_now += energy
        self._line_energy = self._line_energy * FORGET + np.vdot(line, line)
        likeness = self._alike / np.sqrt(self._energy * self._line_energy)
        best = int(likeness.argmax())
        self.correlation = max(0.0, float(likeness[best]))
        if self.correlation >= SURE:
            if self._lag is None:
                at = (span.start or 0) + LATEST - 1 - (best + EARLIEST)
                self._gain = _first_gain(log, self._sent.log[at : at + BLOCK_FRAMES])
                self._lag = best
            if abs(best - self._lag) > NEAR + 1:
                self._lag = best
            first = max(0, self._lag - NEAR)
            around = slice(first, self._lag + NEAR + 1)
            now = self._alike_now[around] / np.sqrt(self._energy_now[around])
            self._lag = first + int(now.argmax())
        elif self.correlation < LOST:
            self._lag = None

    def _learn_gain(self, log: Floats, sent_log: Floats) -> None:
        """Follow each band's gain: its median over the prompt's loud frames."""
        away = np.clip(log - sent_log - self._gain, -1.0, 1.0) * (sent_log > LOUD)
        self._gain += np.float32(0.08) * away.sum(axis=0)
        np.minimum(self._gain, np.float32(0.0), out=self._gain)


def _first_gain(log: Floats, sent_log: Floats) -> Floats:
    """One gain for all bands, from the block in which the delay was found."""
    loud = sent_log > LOUD
    gain = np.median((log - sent_log)[loud]) if loud.any() else UNKNOWN_GAIN
    return np.full(BANDS, min(gain, 0.0), np.float32)
