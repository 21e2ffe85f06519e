"""A sound in a line that was still until we asked for one.

Pockets do not listen: they rustle before a question as much as after it. So whatever
is heard of a quiet line once the second prompt asks, though it be too short or too odd
for any other ear, may be somebody's answer. That is no proof, but it is doubt.
"""

from __future__ import annotations

from ghostfilter.evidence import LOWEST_DBFS
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import Block, Floats

RISE_DB = 15.0
"""A sound stands this far over the line's own floor …"""
AUDIBLE_DBFS = -50.0
"""… and is no softer than this."""
STILL_FRAMES = 5
"""A line is still that had at most 100 ms of such sounds before …"""
LOUDER_DB = 6.0
"""… or none that came so near the loudest since."""
ASKED = 2
"""The prompt that asks anybody for any sound is the second."""
OURS = 0.5
"""A frame of which our own prompt explains so much is no answer."""
CONFIDENCE = 0.6


class Answers:
    """Listens to one call, block by block."""

    __slots__ = ("_after", "_before", "_first", "_loudest", "_over_db", "_until_then")

    def __init__(self) -> None:
        self._before = 0
        self._after = 0
        self._first = 0
        self._loudest = self._until_then = LOWEST_DBFS
        self._over_db = 0.0

    def push(self, block: Block, explained: Floats, floor: float, asked: int) -> None:
        """Hear eight frames; `asked` prompts have begun so far."""
        audible = max(AUDIBLE_DBFS, floor + RISE_DB)
        if block.loudest < audible:
            return
        loud = (block.dbfs >= audible) & (explained < OURS)
        count = int(loud.sum())
        if not count:
            return
        loudest = float(block.dbfs[loud].max())
        if asked < ASKED:
            self._before += count
            self._until_then = max(self._until_then, loudest)
            return
        if not self._after:
            self._first = block.first_frame + int(loud.argmax())
        self._after += count
        if loudest > self._loudest:
            self._loudest, self._over_db = loudest, loudest - floor

    def heard(self) -> list[Heard]:
        """ANSWER, if the line was still before."""
        was_still = self._before <= STILL_FRAMES
        was_softer = self._loudest >= self._until_then + LOUDER_DB
        if not self._after or not (was_still or was_softer):
            return []
        return [
            Heard(
                Sound.ANSWER,
                self._first,
                self._after,
                self._loudest,
                self._over_db,
                CONFIDENCE,
            )
        ]
