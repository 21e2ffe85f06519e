"""Our own prompt, coming back from a speakerphone, taken out of what was heard.

We know what we send (`sent.py`); we do not know how late, how loud and how coloured it
returns, nor through which codec, so wave forms need not match. Spectra do: how loud it
can be at most (`bounds.py`) is taken out of the bands, and what stands above that
remains: somebody who speaks over the prompt. Once the delay is known (`delay.py`), only
its neighbours and a tail behind it are believed.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ghostfilter.bounds import Bounds
from ghostfilter.delay import Delay
from ghostfilter.features import BANDS, EPSILON, FLOOR_BLOCKS
from ghostfilter.sent import LATEST, first_row, sent
from ghostfilter.spectra import BLOCK_FRAMES, Floats

OVER = np.float32(1.6)
"""Taken out is so much more power than expected: codecs add to it …"""
KEPT = np.float32(0.02)
"""… but this share of a band is left, and as much as the line's noise has:"""
OVER_LOWEST = np.float32(4.0)
"""a noise's mean over the lowest of its frames in 2 s, about 6 dB."""

_NOTHING = sent(b"")
_NONE = np.zeros(BLOCK_FRAMES, np.float32)
_NONE.setflags(write=False)
# Sums as products with this: a quarter of what numpy's own take.
_BANDS_ONCE = np.ones(BANDS, np.float32)


class Echo:
    """One call's echo. `started` and `stopped` tell what we send and when."""

    __slots__ = (
        "_blocks",
        "_bounds",
        "_delay",
        "_from",
        "_lowest",
        "_sent",
        "_unread",
        "_until",
        "explained",
        "is_due",
    )

    def __init__(self) -> None:
        self._sent = _NOTHING
        self._from = 0
        self._until = -LATEST
        self._delay = Delay()
        self._bounds = Bounds()
        self._lowest = np.full((FLOOR_BLOCKS, BANDS), np.inf, np.float32)
        """The lowest frame of each of the last blocks, in each band."""
        self._blocks = 0
        """So many blocks `_lowest` has known."""
        self._unread: deque[Floats] = deque(maxlen=FLOOR_BLOCKS)
        """Blocks that it does not know yet: nobody asks while no prompt is due."""
        self.explained = _NONE
        """(8,) the share of each frame's power in the last block that was taken out."""
        self.is_due = False
        """Whether our prompt may have been in the last block at all."""

    @property
    def correlation(self) -> float:
        """How well the prompt explains the line at the best delay, 0…1."""
        return self._delay.correlation

    @property
    def delay_seconds(self) -> float | None:
        """How late our prompt comes back; None while that is unknown."""
        return self._delay.seconds

    def started(self, pcm: bytes, frame: int) -> None:
        """We begin to send this prompt at the line's frame of that number."""
        self._sent, self._from = sent(pcm), frame
        self._until = frame + self._sent.frames
        self._delay.started()
        self._bounds.started()

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
        prompt, delay, bounds = self._sent, self._delay, self._bounds
        start = first_row(first_frame - self._from)
        lowest = self._floor()
        frames = np.dot(bands, _BANDS_ONCE)
        delay.push(np.log(bands + EPSILON), prompt, start)
        bounds.lower(bands, frames, lowest, prompt, start, delay.place)
        left = self._take_out(bands, lowest, start)
        if delay.place is None:
            bounds.doubt()
        frames += EPSILON
        self.explained = 1.0 - np.dot(left, _BANDS_ONCE) / frames
        return left

    def without_half(self, bands: Floats, first_frame: int) -> tuple[Floats, Floats]:
        """The same of a block that will come again, whole, by what is known already;
        and what is `explained` of it."""
        if first_frame - LATEST >= self._until:
            return bands, _NONE
        start = first_row(first_frame - self._from)
        left = self._take_out(bands, self._floor(), start)
        frames = np.dot(bands, _BANDS_ONCE) + EPSILON
        return left, 1.0 - np.dot(left, _BANDS_ONCE) / frames

    def _take_out(self, bands: Floats, lowest: Floats, start: int) -> Floats:
        """(8, 24) what is left of the bands without the echo that may be in them."""
        expected = self._bounds.expected(self._sent, start, self._delay.place)
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
