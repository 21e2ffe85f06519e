"""A caller's keys in the audio: DTMF whose RFC 4733 event got lost.

Limits follow ITU-T Q.24 and Bellcore GR-506: a tone of 40 ms counts, 23 ms does not;
frequencies within 1.8 %, and half a percent more for what GSM and AMR bend; the higher
tone at most 6 dB above and 10 dB below the lower (a caller's line may add 2 dB to the
limits of 4 and 8).
"""

from __future__ import annotations

import math

from ghostfilter.peaks import Lines
from ghostfilter.spectra import Floats

ROWS_HERTZ = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HERTZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = ("123A", "456B", "789C", "*0#D")

TOLERANCE = 0.023
TWIST_DB = (-10.0, 6.0)
"""Higher tone over lower."""
SHARE = 0.85
"""Of a frame's energy, in the two tones: clean 0.98, AMR 4.75 kbit/s 0.87 and more."""
LOWEST_DBFS = -50.0
PRESS_FRAMES = 3
"""Frames of one key in a row (gaps of one allowed) until it counts …"""
CLEAN_PRESS_FRAMES = 2
"""… or this many of them almost pure: what is left of 40 ms."""
CLEAN_SHARE = 0.95
GAP_FRAMES = 2
"""Shorter gaps are lost packets, not a second press."""


class Keys:
    """Follows the keys of one call, frame by frame."""

    __slots__ = ("_clean", "_gap", "_key", "pressed", "seen")

    def __init__(self) -> None:
        self._key = ""
        self.seen = 0
        """Frames of the key that is down."""
        self._clean = 0
        self._gap = 0
        self.pressed = ""
        """All keys so far, in order."""

    @property
    def is_idle(self) -> bool:
        """Whether no key is down: nothing is lost if silence is not told."""
        return not self._key

    def push(self, key: str, *, clean: bool) -> str:
        """Hear one frame ("" or its key); a key once it is certain, else ""."""
        if key != self._key:
            self._gap += 1
            if key or self._gap > GAP_FRAMES:
                self._key, self.seen, self._clean, self._gap = key, 0, 0, 0
            if not key:
                return ""
        self._gap = 0
        before = self._is_certain()
        self.seen += 1
        self._clean += clean
        if before or not self._is_certain():
            return ""
        self.pressed += key
        return key

    def _is_certain(self) -> bool:
        return self.seen >= PRESS_FRAMES or self._clean >= CLEAN_PRESS_FRAMES


def key_of(hertz: tuple[float, float], share: tuple[float, float]) -> str:
    """Which key these two lines are; "" for none."""
    low, high = hertz
    if share[0] + share[1] < SHARE or not 660.0 < low < 1000.0:
        return ""
    twist = 10.0 * math.log10(max(share[1], 1e-9) / max(share[0], 1e-9))
    if not TWIST_DB[0] <= twist <= TWIST_DB[1]:
        return ""
    row = _nearest(low, ROWS_HERTZ)
    column = _nearest(high, COLUMNS_HERTZ)
    return "" if row is None or column is None else KEYS[row][column]


def _nearest(hertz: float, places: tuple[float, ...]) -> int | None:
    for number, place in enumerate(places):
        if abs(hertz - place) <= TOLERANCE * place:
            return number
    return None


def keys_of(lines: Lines, dbfs: Floats) -> list[str]:
    """The key that each of eight frames holds."""
    return [
        key_of((f[0], f[1]), (s[0], s[1])) if level >= LOWEST_DBFS else ""
        for f, s, level in zip(
            lines.hertz.tolist(), lines.share.tolist(), dbfs.tolist(), strict=True
        )
    ]
