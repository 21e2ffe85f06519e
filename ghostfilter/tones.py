"""Tones: a caller's keys and text telephone, and the machines that call by mistake.

Keys are somebody; ring-back, busy, fax and modem are not. Since "a machine" may lead to
a release, a machine is only what no mouth and no siren does (`bursts.py`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ghostfilter.bursts import NETWORK_HERTZ, Burst, Machine, machines
from ghostfilter.dtmf import CLEAN_SHARE, Keys, keys_of
from ghostfilter.peaks import Lines, two_lines
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, Block

QUIET_DBFS = -55.0
"""Nothing quieter is looked at: networks send their tones at −10…−35 dBFS."""
TONAL_SHARE = 0.85
"""One line that holds this share of a frame is a tone."""
EXPLAINED_SHARE = 0.9
_LOWEST_TONE_HERTZ = 330.0
_ALIKE_DB = 2.5
_GAP_FRAMES = 3
"""Shorter holes are lost packets, not cadence (shortest pause in E.180: 100 ms)."""
_SAME_HERTZ = 12.0
_BEATING_HERTZ = 60.0
"""Two close tones (400 + 450 Hz) beat: the line wanders between them."""
_NOTHING = np.zeros(BLOCK_FRAMES, np.bool_)


class Tones:
    """Listens to one call, block by block."""

    __slots__ = (
        "_bursts",
        "_explains",
        "_first_key",
        "_floor",
        "_gap",
        "_key_dbfs",
        "_key_frames",
        "_keys",
        "_levels",
        "_machines",
        "_run",
    )

    def __init__(self) -> None:
        self._keys = Keys()
        self._bursts: list[Burst] = []
        self._machines: list[Machine] = []
        self._run: list[tuple[int, float, float]] = []
        self._gap = 0
        self._floor = 0.0
        self._explains = _NOTHING
        self._first_key = 0
        self._key_frames = 0
        self._key_dbfs = 0.0

    def push(self, block: Block) -> Heard | None:
        """Hear eight frames; a KEY_TONE, with the key, as soon as one is certain."""
        self._floor = min(self._floor, float(block.dbfs.min()))
        self._explains = _NOTHING
        if block.dbfs.max() < QUIET_DBFS and self._keys.is_idle and not self._run:
            return None
        lines = two_lines(block.power)
        self._explains = _explained(block, lines)
        self._follow(block, lines)
        return self._press(block, lines)

    def explains(self) -> NDArray[np.bool_]:
        """Of each frame of the last block: whether it is nothing but steady tone.

        At least 90 % of it are one or two lines above 330 Hz that its neighbour has
        as well, as loud; a thump in a pocket has lines, too, but below.
        """
        return self._explains

    def heard(self) -> list[Heard]:
        """Every kind of tone that is certain, in no order."""
        found = [
            Heard(
                Sound.FAX if machine.is_fax else Sound.NETWORK_TONE,
                machine.first_frame,
                machine.frames,
                machine.dbfs,
                machine.dbfs - self._floor,
                machine.confidence,
                machine.name,
            )
            for machine in machines([*self._bursts, *self._open_burst()])
        ]
        if self._keys.pressed:
            found.append(self._key_heard(self._keys.pressed))
        return found

    def _press(self, block: Block, lines: Lines) -> Heard | None:
        keys = keys_of(lines, block.dbfs)
        if not any(keys) and self._keys.is_idle:
            return None
        clean = (lines.share.sum(1) >= CLEAN_SHARE).tolist()
        heard = None
        for number, key in enumerate(keys):
            is_first = not self._keys.pressed
            pressed = self._keys.push(key, clean=clean[number])
            if key:
                self._key_frames += 1
                self._key_dbfs = float(block.dbfs[number])
            if pressed and is_first:
                self._first_key = max(block.first_frame + number - 2, 0)
            if pressed and heard is None:
                heard = self._key_heard(pressed)
        return heard

    def _key_heard(self, keys: str) -> Heard:
        return Heard(
            Sound.KEY_TONE,
            self._first_key,
            self._key_frames,
            self._key_dbfs,
            self._key_dbfs - self._floor,
            0.99,
            keys,
        )

    def _follow(self, block: Block, lines: Lines) -> None:
        """Gather frames of one tone into bursts."""
        levels = block.dbfs.tolist()
        pairs = zip(lines.hertz.tolist(), lines.share.tolist(), strict=True)
        for number, (hertz, share) in enumerate(pairs):
            tone = _tone(hertz, share) if levels[number] >= QUIET_DBFS else None
            if tone is not None and self._continues(tone):
                self._gap = 0
            elif self._run:
                self._gap += 1
                if tone is None and self._gap < _GAP_FRAMES:
                    continue
                self._bursts += self._open_burst()
                self._run.clear()
                self._gap = 0
            if tone is not None:
                self._run.append((block.first_frame + number, tone, levels[number]))

    def _continues(self, hertz: float) -> bool:
        if not self._run:
            return True
        before = self._run[-1][1]
        near = NETWORK_HERTZ[0] <= before <= NETWORK_HERTZ[1]
        return abs(hertz - before) <= (_BEATING_HERTZ if near else _SAME_HERTZ)

    def _open_burst(self) -> list[Burst]:
        """What is heard now, as if it ended here."""
        if len(self._run) < 3:
            return []
        inner = self._run[1:-1]
        hertz, spread_hertz = _mean_and_spread([tone for _, tone, _ in inner])
        dbfs, spread_db = _mean_and_spread([level for _, _, level in inner])
        first, last = self._run[0][0], self._run[-1][0]
        return [Burst(first, last - first + 1, hertz, spread_hertz, dbfs, spread_db)]


def _explained(block: Block, lines: Lines) -> NDArray[np.bool_]:
    pure = lines.share.sum(1) >= EXPLAINED_SHARE
    if not pure.any():
        return _NOTHING
    strongest = np.where(
        lines.share[:, 0] >= lines.share[:, 1], lines.hertz[:, 0], lines.hertz[:, 1]
    )
    pure &= strongest >= _LOWEST_TONE_HERTZ
    near = NETWORK_HERTZ[1] >= strongest
    alike = np.abs(np.diff(strongest)) <= np.where(near[1:], 60.0, 10.0)
    alike &= np.abs(np.diff(block.dbfs)) <= _ALIKE_DB
    alike &= pure[1:] & pure[:-1]
    explained = np.zeros(BLOCK_FRAMES, np.bool_)
    explained[1:] |= alike
    explained[:-1] |= alike
    explained[1:] |= explained[:-1] & pure[1:]
    explained[:-1] |= explained[1:] & pure[:-1]
    return explained


def _tone(hertz: list[float], share: list[float]) -> float | None:
    """Where a frame's tone lies; None if it has none."""
    strongest = 0 if share[0] >= share[1] else 1
    if share[strongest] >= TONAL_SHARE:
        return hertz[strongest]
    return None


def _mean_and_spread(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
