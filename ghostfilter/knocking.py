"""Whether knocks are somebody's answer, or only a pocket that bumps.

Who is asked to knock does it two to four times in a row. A pocket bumped before as it
does now, and what it bumps against once in two seconds is nobody's series.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from ghostfilter.knocks import Knock, Knocks
from ghostfilter.signals import Heard
from ghostfilter.spectra import Block

APART_FRAMES = (7, 75)
"""Two knocks of one answer lie 0.15…1.5 s apart; what walking bumps, mostly more …"""
ALIKE_DB = 9.0
"""… and are about as loud."""
LOWEST_DBFS = -40.0
"""Who is asked knocks on the phone; what bumps through cloth is mostly softer."""
BEFORE_DB = 12.0
"""What bumped before the question counts, if not so much softer than the answer."""
RESTLESS = 2
"""So many series of bumps before the question: it goes on so all the time. A single one
may be somebody who knocked before he was asked."""
ANSWER_FRAMES = 75
"""Who knocks more than 1.5 s before the second prompt ends does not yet answer it."""
ANSWERED, UNASKED = 0.9, 0.4
"""How sure two knocks are of a person, when asked for and when not."""


class Knocking:
    """Listens to one call, block by block, and weighs its knocks.

    Those that are our own prompt's echo (`ours`: one byte a frame) do not count, and
    none does where a telephone's own beeps were heard.
    """

    __slots__ = ("_asked_at", "_knocks", "_told", "_weighed")

    def __init__(self) -> None:
        self._knocks = Knocks()
        self._asked_at = math.inf
        """The frame from which on the prompt that asks for any sign can be answered."""
        self._told = False
        self._weighed = 0
        """So many knocks there were when it was last asked whether they answer."""

    def asked(self, frame: int, prompt_frames: int) -> None:
        """The prompt that asks for any sign begins at that frame; so long it takes."""
        self._asked_at = frame + max(0, prompt_frames - ANSWER_FRAMES)

    def push(self, block: Block) -> None:
        """Hear eight frames."""
        self._knocks.push(block)

    @property
    def has_news(self) -> bool:
        """Whether a knock was not weighed yet, and no answer told."""
        return not self._told and self._weighed != len(self._knocks.knocks)

    def answer(self, ours: bytearray, *, is_beeping: bool) -> Heard | None:
        """KNOCKS once they answer the prompt."""
        self._weighed = len(self._knocks.knocks)
        knocks = self._callers(ours, is_beeping=is_beeping)
        self._told = is_answer(knocks, self._asked_at)
        return self.heard(ours, is_beeping=is_beeping)[0] if self._told else None

    def heard(self, ours: bytearray, *, is_beeping: bool) -> list[Heard]:
        """KNOCKS: sure as an answer, else only a hint, because pockets bump, too."""
        knocks = self._callers(ours, is_beeping=is_beeping)
        if len(knocks) < 2:
            return []
        sure = ANSWERED if is_answer(knocks, self._asked_at) else UNASKED
        return [replace(one, confidence=sure) for one in self._knocks.heard()]

    def _callers(self, ours: bytearray, *, is_beeping: bool) -> list[Knock]:
        """The knocks that are the caller's."""
        if is_beeping:
            return []
        return [knock for knock in self._knocks.knocks if not ours[knock.frame]]


def is_answer(knocks: Sequence[Knock], asked_at: float) -> bool:
    """Whether two of these, in the order of time, answer a question of that frame."""
    clear = [knock for knock in knocks if not knock.is_switched]
    before = [knock for knock in clear if knock.frame < asked_at]
    since = [
        knock
        for knock in clear
        if knock.frame >= asked_at and knock.dbfs >= LOWEST_DBFS
    ]
    return any(
        APART_FRAMES[0] <= other.frame - one.frame <= APART_FRAMES[1]
        and abs(one.dbfs - other.dbfs) <= ALIKE_DB
        and _series(before, max(one.dbfs, other.dbfs) - BEFORE_DB) < RESTLESS
        for one, other in combinations(since, 2)
    )


def _series(knocks: Sequence[Knock], lowest_dbfs: float) -> int:
    """How often a series began: knocks with a pause of 1.5 s before."""
    frames = [knock.frame for knock in knocks if knock.dbfs >= lowest_dbfs]
    pauses = sum(
        after - before > APART_FRAMES[1]
        for before, after in zip(frames, frames[1:], strict=False)
    )
    return pauses + bool(frames)
