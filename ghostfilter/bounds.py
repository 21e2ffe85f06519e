"""How loud our own prompt can be at most where it comes back.

For each place (how late it may be) and mel band there is a bound: the echo cannot be
louder than what the line had when that piece of the prompt was due. Whoever speaks only
adds to the line, so voices do not disturb the bounds, and no bound waits for the delay
to be known; rooms that ring, lost packets that shift the delay, and gaps that a decoder
fills are other places with bounds of their own.
"""

from __future__ import annotations

import numpy as np

from ghostfilter.features import BANDS, EPSILON
from ghostfilter.sent import EARLIEST, PLACES, Sent
from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.spectra import BLOCK_FRAMES, Floats


def _db(db: float) -> np.float32:
    """As a natural logarithm of power."""
    return np.float32(db * np.log(10.0) / 10.0)


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

# As large as the bounds they change: a lone number costs 0.4 µs more each time.
_DRIFTS, _FADES = (np.full((PLACES - 1, BANDS), lost) for lost in (DRIFT, FADE))
_RISES, _MOSTS = (np.full((PLACES, BANDS), gain) for gain in (RISE, MOST))
# Sums as products with these: a quarter of what numpy's own take.
_BANDS_ONCE = np.ones(BANDS, np.float32)
_FRAMES_ONCE = np.ones(BLOCK_FRAMES, np.float32)


class Bounds:
    """One call's bounds. `lower` them by every block in which a prompt may be."""

    __slots__ = ("_gains", "_most", "_unsure")

    def __init__(self) -> None:
        self._gains = np.full((PLACES, BANDS), MOST, np.float32)
        """Log of the echo's highest possible gain, at each place and in each band."""
        self._unsure = UNSURE
        self._most = np.empty((PLACES, BLOCK_FRAMES, BANDS), np.float32)
        """Written anew for each block."""

    def started(self) -> None:
        """A prompt begins: the packets lost so far do not count for it, so it may be
        that much later than the last one seemed to be."""
        self._unsure = UNSURE
        gains = self._gains
        for _ in range(-EARLIEST):
            np.maximum(gains[:-1], gains[1:], out=gains[:-1])

    def lower(
        self,
        bands: Floats,
        frames: Floats,
        lowest: Floats,
        sent: Sent,
        start: int,
        place: int | None,
    ) -> None:
        """Lower them to what the block has over its noise.

        `bands` (8, 24): its mel power, `frames` (8,): their sums; `lowest` (24,): the
        lowest frame of 2 s; `start`: the first place's row; `place`: the delay's.
        """
        total = np.dot(_FRAMES_ONCE, bands)
        noise = (NOISE * BLOCK_FRAMES) * lowest
        line = np.log(np.maximum(total - noise, LEFT * total) + EPSILON)
        line += MARGIN
        gains = self._gains
        np.maximum(gains[1:], gains[:-1] - _DRIFTS, out=gains[1:])
        np.maximum(gains[:-1], gains[1:] - _FADES, out=gains[:-1])
        gains += _RISES
        highest = line - sent.sums[start : start + PLACES]
        if place is not None and self._has_dropped(frames, sent, start, place):
            np.maximum(highest, gains - FALL, out=highest)
        np.minimum(gains, highest, out=gains)
        np.minimum(gains, _MOSTS, out=gains)

    def doubt(self) -> None:
        """Believe less: one block more in which no echo showed itself."""
        self._unsure = min(self._unsure + FADES, LEAST)

    def expected(self, sent: Sent, start: int, place: int | None) -> Floats:
        """(8, 24) the most power of our prompt that may be in the block: only near its
        place, if that is known."""
        first, end = 0, PLACES
        if place is not None:
            first, end = max(0, place - TAIL), min(place + EARLIER + 1, PLACES)
        windows = sent.windows[start + first : start + end]
        sums = self._most[first:end]
        np.add(windows, self._gains[first:end, None], out=sums)
        most = np.maximum.reduce(sums)
        if place is None:
            most -= self._unsure
        return np.asarray(np.exp(most, out=most))

    def _has_dropped(self, frames: Floats, sent: Sent, start: int, place: int) -> bool:
        """Whether a frame lacks the echo that was due."""
        due = np.exp(sent.windows[start + place] + self._gains[place])
        return bool((frames < DROPPED * np.dot(due, _BANDS_ONCE)).any())
