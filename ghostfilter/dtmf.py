"""A caller's keys in the audio: DTMF whose RFC 4733 event got lost.

Limits follow ITU-T Q.24 and Bellcore GR-506: a tone of 40 ms counts, 23 ms does not;
frequencies within 1.8 %, and half a percent more for what GSM and AMR bend; the higher
tone at most 6 dB above and 10 dB below the lower (a caller's line may add 2 dB to the
limits of 4 and 8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ghostfilter.steady import Pair

ROWS_HERTZ = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HERTZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = ("123A", "456B", "789C", "*0#D")

LOWEST_DBFS = -50.0
PRESS_FRAMES = 3
"""So many frames of one key are a press …"""
CLEAN_SHARE = 0.98
"""… or one of them so pure, beside another frame that holds or borders on the key: that
is what is left of 40 ms."""
GAP_FRAMES = 2
"""Shorter gaps are lost packets, not a second press."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How near a frame must be to a key."""

    share: float
    """Of its energy, in the two tones: clean 0.98, AMR 4.75 kbit/s 0.87 and more."""
    tolerance: float
    lowest_twist_db: float
    """Higher tone over lower."""
    highest_twist_db: float


WHOLE = Limits(0.85, 0.023, -10.0, 6.0)
EDGE = Limits(0.7, 0.045, -13.0, 9.0)
"""Where a key begins or ends, half a window shows broad lines, a little off."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame says of keys."""

    key: str = ""
    """The key it holds, by the limits."""
    edge: str = ""
    """The key it may be the beginning or the end of."""
    is_clean: bool = False


NO_KEY = Frame()


class Keys:
    """Follows the keys of one call, frame by frame."""

    __slots__ = (
        "_before",
        "_edges",
        "_gap",
        "_is_clean",
        "_key",
        "frames",
        "pressed",
        "seen",
    )

    def __init__(self) -> None:
        self._key = ""
        self.seen = 0
        """Frames of the key that is down."""
        self._edges = 0
        self._is_clean = False
        self._gap = 0
        self._before = NO_KEY
        self.pressed = ""
        """All keys so far, in order …"""
        self.frames = 0
        """… and how long they were held in all."""

    @property
    def is_idle(self) -> bool:
        """Whether no key is down: nothing is lost if silence is not told."""
        return not self._key

    def push(self, frame: Frame) -> str:
        """Hear one frame; a key once it is certain, else ""."""
        before, self._before = self._before, frame
        was_certain = self._is_certain()
        if frame.key and frame.key != self._key:
            self._key, self.seen, self._is_clean, was_certain = (
                frame.key,
                0,
                False,
                False,
            )
            self._edges = int(before.edge == frame.key)
        if frame.key:
            self._gap = 0
            self.seen += 1
            self._is_clean |= frame.is_clean
        elif self._key:
            self._edges += int(frame.edge == self._key and self._gap == 0)
            self._gap += 1
        pressed = "" if was_certain or not self._is_certain() else self._key
        self.pressed += pressed
        if pressed:
            self.frames += self.seen
        elif was_certain and frame.key:
            self.frames += 1
        self._rest()
        return pressed

    def none_down(self, last: Frame = NO_KEY) -> None:
        """Some frames without any key, while none is down; with the last one's edge."""
        self._before = last

    def _rest(self) -> None:
        if self._gap > GAP_FRAMES:
            self._key, self.seen, self._edges, self._is_clean = "", 0, 0, False
            self._gap = 0

    def _is_certain(self) -> bool:
        return self.seen >= PRESS_FRAMES or (
            self._is_clean and self.seen + self._edges >= 2
        )


def frames_of(frames: list[Pair], levels: list[float]) -> list[Frame]:
    """What each of eight frames says of keys."""
    return [
        _frame(hertz, share)
        if level >= LOWEST_DBFS and share[0] + share[1] >= EDGE.share
        else NO_KEY
        for (hertz, share), level in zip(frames, levels, strict=True)
    ]


def _frame(hertz: list[float], share: list[float]) -> Frame:
    edge = key_of(hertz, share, EDGE)
    if not edge:
        return NO_KEY
    key = key_of(hertz, share, WHOLE)
    return Frame(key, edge, bool(key) and share[0] + share[1] >= CLEAN_SHARE)


def key_of(hertz: list[float], share: list[float], limits: Limits) -> str:
    """Which key these two lines are, the lower first; "" for none."""
    if share[0] + share[1] < limits.share or not 650.0 < hertz[0] < 1000.0:
        return ""
    twist = 10.0 * math.log10(max(share[1], 1e-9) / max(share[0], 1e-9))
    if not limits.lowest_twist_db <= twist <= limits.highest_twist_db:
        return ""
    row = _nearest(hertz[0], ROWS_HERTZ, limits.tolerance)
    column = _nearest(hertz[1], COLUMNS_HERTZ, limits.tolerance)
    return "" if row is None or column is None else KEYS[row][column]


def _nearest(hertz: float, places: tuple[float, ...], tolerance: float) -> int | None:
    nearest = min(range(len(places)), key=lambda number: abs(hertz - places[number]))
    is_near = abs(hertz - places[nearest]) <= tolerance * places[nearest]
    return nearest if is_near else None
