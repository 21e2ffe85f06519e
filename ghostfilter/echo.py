"""Our own prompt, coming back from a speakerphone, taken out of what was heard.

We know what we send; we do not know how late, how loud and how coloured it returns, nor
through which codec, so wave forms need not match. Spectra do. For each delay and mel
band there is a *bound*: the echo cannot be louder than what the line had when that
piece of the prompt was due. Whoever speaks only adds to the line, so voices do not
disturb the bounds, and no bound waits for the delay to be known; rooms that ring, lost
packets that shift the delay, and gaps that a decoder fills are other delays with bounds
of their own. What the prompt may explain is taken out of the bands, and what stands
above it remains: somebody who speaks over the prompt.

The delay itself is the one at which the bands of line and prompt rise and fall
together. Once it is known, only its neighbours and a tail behind it are believed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ghostfilter.features import BANDS, EPSILON, FLOOR_BLOCKS, mel_power
from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.spectra import BLOCK_FRAMES, Blocks, Floats
from ghostfilter.vad import FRAME_BYTES


def _db(db: float) -> np.float32:
    """As a natural logarithm of power."""
    return np.float32(db * np.log(10.0) / 10.0)


EARLIEST = -12
"""Frames: lost packets make the line run ahead of our own count, 5 % of a prompt."""
LATEST = 32
"""0.64 s: a satellite's, or a bad mobile network's, way there and back."""
PLACES = LATEST - EARLIEST
"""Delays looked at, the latest first: a *place* is where in the prompt we look."""
SURE = 0.36
"""Correlation from which on the delay is believed. On the development corpus echoes
reach it within 0.3…0.8 s; lines without echo mostly stay below."""
LOST = 0.2
FORGET = np.float32(0.97)
"""Of the correlation, a block: about 5 s."""
FORGET_FAST = np.float32(0.7)
"""The same of the delay's next neighbours, about 0.5 s: each lost packet shifts it."""
NEAR = 3
AGAIN = np.float32(0.2)
"""What counts of the correlation so far when a prompt begins: lost packets shifted the
delay, and a new prompt starts with the old one."""
EARLIER, TAIL = 4, 12
"""Frames before and after a known delay at which echo is believed: a burst of lost
packets, and a room that rings for 0.24 s."""
MOST = _db(-10.0)
"""No echo is believed to be louder than this …"""
RISE = _db(2.0 * BLOCK_FRAMES * FRAME_SECONDS)
"""… and it may become louder by 2 dB a second."""
UNSURE = _db(3.0)
"""So much less is believed while no delay is known: many delays, one of them true …"""
FADES, LEAST = _db(6.0 * BLOCK_FRAMES * FRAME_SECONDS), _db(30.0)
"""… and 6 dB less each second in which no echo shows itself, down to this."""
MARGIN = _db(2.0)
"""A bound is the lowest of many, and so a little too low."""
DRIFT, FADE = _db(1.5), _db(4.0)
"""One frame earlier, after a lost packet, or later, where a decoder repeats the last
frame in place of a lost one, the echo is at least so loud (GSM fades by 4 dB)."""
DROPPED = np.float32(0.1)
"""A frame with so little of the echo that was due was lost on the way and filled …"""
FALL = _db(1.0)
"""… and such a block lowers no bound by more than this."""
NOISE = np.float32(3.0)
LEFT = np.float32(0.05)
"""What the line's own noise, so many times the lowest frame of 2 s, has no part in; at
least this share of it. Echo below the noise does not matter."""
OVER = np.float32(1.6)
"""Taken out is so much more power than expected: codecs add to it."""
KEPT = np.float32(0.02)
OVER_LOWEST = np.float32(4.0)
"""A noise's mean over the lowest of its frames in 2 s: about 6 dB."""
QUIET = np.float32(-2.5)
"""Silence before and after the prompt must not outweigh its words."""

SLOW, QUICK = 0, 1
ALIKE, ENERGY = 0, 1
FORGETS = np.array([FORGET, FORGET_FAST], np.float32)[:, None, None]
# As large as the bounds they change: a lone number costs 0.4 µs more each time.
_DRIFTS, _FADES = (np.full((PLACES - 1, BANDS), lost) for lost in (DRIFT, FADE))
_RISES, _MOSTS = (np.full((PLACES, BANDS), gain) for gain in (RISE, MOST))
_PAD = PLACES + BLOCK_FRAMES
_SPAN = PLACES + BLOCK_FRAMES - 1


@dataclass(frozen=True, slots=True)
class Sent:
    """A prompt as the line would see it; silence around it. One row a frame."""

    windows: Floats
    """(…, 8, 24) log of mel power of eight frames from each on."""
    sums: Floats
    """(…, 24) log of their summed power."""
    shape: Floats
    """(…, 24) the log over its own mean, from QUIET upwards: what is correlated."""
    energy: Floats
    """(…,) its sum of squares in eight frames from each on."""
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
    silence = np.zeros((_PAD, BANDS), np.float32)
    power = np.concatenate((silence, *found, silence))
    log = np.log(power + EPSILON)
    mean = log[_PAD:-_PAD].mean(axis=0) if found else np.float32(0.0)
    shape = np.maximum(log - mean, QUIET)
    return Sent(
        sliding_window_view(log, BLOCK_FRAMES, axis=0).swapaxes(1, 2),
        np.log(_in_eight(power) + EPSILON),
        shape,
        _in_eight((shape * shape).sum(axis=1)),
        len(pcm) // FRAME_BYTES,
    )


def _in_eight(rows: Floats) -> Floats:
    """Sums over eight rows, from each on."""
    sums: Floats = sliding_window_view(rows, BLOCK_FRAMES, axis=0).sum(axis=-1)
    return sums


_NOTHING = sent(b"")
_NONE = np.zeros(BLOCK_FRAMES, np.float32)
_NONE.setflags(write=False)
# Sums and means as products with these: a quarter of what numpy's own take.
_BANDS_ONCE = np.ones(BANDS, np.float32)
_FRAMES_ONCE = np.ones(BLOCK_FRAMES, np.float32)
_MEAN = _FRAMES_ONCE / np.float32(BLOCK_FRAMES)


class Echo:
    """One call's echo. `started` and `stopped` tell what we send and when."""

    __slots__ = (
        "_blocks",
        "_bounds",
        "_from",
        "_line_energy",
        "_line_mean",
        "_lowest",
        "_most",
        "_place",
        "_sent",
        "_sums",
        "_unread",
        "_unsure",
        "_until",
        "correlation",
        "explained",
        "is_due",
    )

    def __init__(self) -> None:
        self._sent = _NOTHING
        self._from = 0
        self._until = -LATEST
        self._lowest = np.full((FLOOR_BLOCKS, BANDS), np.inf, np.float32)
        self._blocks = 0
        self._unread: deque[Floats] = deque(maxlen=FLOOR_BLOCKS)
        """Blocks that `_lowest` does not know: nobody asks while no prompt is due."""
        self._most = np.empty((PLACES, BLOCK_FRAMES, BANDS), np.float32)
        self._sums = np.zeros((2, 2, PLACES), np.float32)
        """(SLOW or QUICK, ALIKE or ENERGY, places)"""
        self._sums[:, ENERGY] = 1e-3
        self._line_energy = np.float32(1e-3)
        self._line_mean: Floats | None = None
        self._place: int | None = None
        self._unsure = UNSURE
        self._bounds = np.full((PLACES, BANDS), MOST, np.float32)
        """Log of the echo's highest possible gain, in each band and at each place."""
        self.correlation = 0.0
        """How well the prompt explains the line at the best delay, 0…1."""
        self.explained = _NONE
        """(8,) the share of each frame's power in the last block that was taken out."""
        self.is_due = False
        """Whether our prompt may have been in the last block at all."""

    @property
    def delay_seconds(self) -> float | None:
        """How late our prompt comes back; None while that is unknown."""
        if self._place is None:
            return None
        return (LATEST - 1 - self._place) * FRAME_SECONDS

    def started(self, pcm: bytes, frame: int) -> None:
        """We begin to send this prompt at the line's frame of that number."""
        self._sent, self._from = sent(pcm), frame
        self._until = frame + self._sent.frames
        self._place = None
        self._unsure = UNSURE
        self._line_energy *= AGAIN
        self._sums *= AGAIN
        # The packets lost so far do not count for this prompt: it may be that much
        # later than the last one seemed to be.
        bounds = self._bounds
        for _ in range(-EARLIEST):
            np.maximum(bounds[:-1], bounds[1:], out=bounds[:-1])

    def stopped(self, frame: int) -> None:
        """We stopped sending before the line's frame of that number."""
        self._until = min(self._until, frame)

    def without(self, bands: Floats, first_frame: int) -> Floats:
        """(8, 24) mel power of a block → the same without what our prompt explains."""
        self._unread.append(bands)
        self.is_due = first_frame - LATEST < self._until
        if not self.is_due:
            self.explained = _NONE
            return bands
        start = max(0, first_frame - self._from - LATEST + 1 + _PAD)
        lowest = self._floor()
        frames = np.dot(bands, _BANDS_ONCE)
        self._correlate(np.log(bands + EPSILON), start)
        self._bound(bands, frames, lowest, start)
        left = self._take_out(bands, lowest, start)
        if self._place is None:
            self._unsure = min(self._unsure + FADES, LEAST)
        frames += EPSILON
        self.explained = 1.0 - np.dot(left, _BANDS_ONCE) / frames
        return left

    def without_half(self, bands: Floats, first_frame: int) -> tuple[Floats, Floats]:
        """The same of a block that will come again, whole, by what is known already;
        and what is `explained` of it."""
        if first_frame - LATEST >= self._until:
            return bands, _NONE
        start = max(0, first_frame - self._from - LATEST + 1 + _PAD)
        left = self._take_out(bands, self._floor(), start)
        frames = np.dot(bands, _BANDS_ONCE) + EPSILON
        return left, 1.0 - np.dot(left, _BANDS_ONCE) / frames

    def _take_out(self, bands: Floats, lowest: Floats, start: int) -> Floats:
        """(8, 24) what is left of the bands without the echo that may be in them."""
        expected = self._expected(start)
        expected *= OVER
        # Not below the line's own noise: a hole in it would sound like a voice.
        least = bands * KEPT
        np.maximum(least, OVER_LOWEST * lowest, out=least)
        np.minimum(least, bands, out=least)
        left: Floats = np.subtract(bands, expected, out=expected)
        np.maximum(left, least, out=left)
        return left

    def _floor(self) -> Floats:
        """(24,) the lowest frame of the last 2 s in each band."""
        while self._unread:
            place = self._blocks % FLOOR_BLOCKS
            self._lowest[place] = np.minimum.reduce(self._unread.popleft())
            self._blocks += 1
        lowest: Floats = np.minimum.reduce(self._lowest)
        return lowest

    def _expected(self, start: int) -> Floats:
        """(8, 24) the most power of our prompt that may be in the block."""
        first, end = 0, PLACES
        if self._place is not None:
            first = max(0, self._place - TAIL)
            end = min(self._place + EARLIER + 1, PLACES)
        windows = self._sent.windows[start + first : start + end]
        sums = self._most[first:end]
        np.add(windows, self._bounds[first:end, None], out=sums)
        most = np.maximum.reduce(sums)
        if self._place is None:
            most -= self._unsure
        return np.asarray(np.exp(most, out=most))

    def _bound(self, bands: Floats, frames: Floats, lowest: Floats, start: int) -> None:
        """Lower the bounds to what the block has over its noise."""
        total = np.dot(_FRAMES_ONCE, bands)
        noise = (NOISE * BLOCK_FRAMES) * lowest
        line = np.log(np.maximum(total - noise, LEFT * total) + EPSILON)
        line += MARGIN
        bounds = self._bounds
        np.maximum(bounds[1:], bounds[:-1] - _DRIFTS, out=bounds[1:])
        np.maximum(bounds[:-1], bounds[1:] - _FADES, out=bounds[:-1])
        bounds += _RISES
        highest = line - self._sent.sums[start : start + PLACES]
        if self._place is not None and self._has_dropped(frames, start, self._place):
            np.maximum(highest, bounds - FALL, out=highest)
        np.minimum(bounds, highest, out=bounds)
        np.minimum(bounds, _MOSTS, out=bounds)

    def _has_dropped(self, frames: Floats, start: int, place: int) -> bool:
        """Whether a frame lacks the echo that was due."""
        due = np.exp(self._sent.windows[start + place] + self._bounds[place])
        return bool((frames < DROPPED * np.dot(due, _BANDS_ONCE)).any())

    def _correlate(self, log: Floats, start: int) -> None:
        """Find the place at which line and prompt are most alike."""
        mean = np.dot(_MEAN, log)
        if self._line_mean is None:
            self._line_mean = mean
        else:
            self._line_mean += np.float32(0.12) * (mean - self._line_mean)
        line = log - self._line_mean
        products = np.dot(self._sent.shape[start : start + _SPAN], line.T)
        sums = self._sums
        sums *= FORGETS
        sums[:, ALIKE] += _diagonals(products)
        sums[:, ENERGY] += self._sent.energy[start : start + PLACES]
        self._line_energy = self._line_energy * FORGET + np.vdot(line, line)
        likeness = sums[SLOW, ALIKE] / np.sqrt(sums[SLOW, ENERGY] * self._line_energy)
        best = int(likeness.argmax())
        self.correlation = max(0.0, float(likeness[best]))
        if self.correlation >= SURE:
            self._follow(best)
        elif self.correlation < LOST:
            self._place = None

    def _follow(self, best: int) -> None:
        """Go to the best place, or from frame to frame as packets get lost."""
        if self._place is None or abs(best - self._place) > NEAR + 1:
            self._place = best
        first = max(0, self._place - NEAR)
        around = slice(first, self._place + NEAR + 1)
        now = self._sums[QUICK, ALIKE, around] / np.sqrt(
            self._sums[QUICK, ENERGY, around]
        )
        self._place = first + int(now.argmax())


def _diagonals(products: Floats) -> Floats:
    """(places + 7, 8) → (places,) the sums of eight along each falling diagonal."""
    row, column = products.strides
    steps = (row, row + column)
    falling = np.ndarray((PLACES, BLOCK_FRAMES), np.float32, products, 0, steps)
    return np.asarray(np.add.reduce(falling, 1))
