"""Whether knocks are somebody's answer, or only a pocket that bumps.

Who is asked to knock does it two to four times in a row. A pocket bumped before as it
does now, and what it bumps against once in two seconds is nobody's series.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ghostfilter.knocks import Knock

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
