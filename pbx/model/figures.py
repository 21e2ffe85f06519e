"""What the ghost filter did in the field, counted from records and reviews. Pure.

Each figure says exactly what it counts; shares carry their 95 % interval, because a
city has a handful of holdouts a day and nothing else would be honest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pbx.model.call import Disposition
from pbx.model.intervals import clopper_pearson
from pbx.model.review import DROPS, Kind, Review

GENUINE_TALK_SECONDS = 20.0
"""An operator finds out within seconds that nobody is there; who is talked with for so
long wanted something. Where he says what it was, his word counts (`FieldCall.said`)."""
WANTED = frozenset({"information", "valid"})
"""An operator's words for somebody who wanted something …"""
ALIVE = WANTED | {"prank"}
"""… and for anybody at all."""
REPEAT_WINDOW = timedelta(minutes=10)
"""As the dialplan has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCall:
    """What the figures look at of one closed incoming call."""

    call_id: str
    at: datetime
    disposition: Disposition
    is_answered: bool
    """By us: greeted at least."""
    ani: str = ""
    ruling: str | None = None
    reason: str | None = None
    was_rescued: bool = False
    """Rescued or in degraded mode: the filter had no part in it."""
    was_greeted: bool = True
    """By the filter: neither switched off nor skipped by a repeat caller."""
    said: str | None = None
    """The operator's word: ghost, prank, information, valid."""
    talk_seconds: float | None = None
    kind: Kind | None = None
    review: Review = Review.UNREVIEWED


@dataclass(frozen=True, slots=True)
class Share:
    """`k` of `n`, and how sure that is."""

    k: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, Clopper-Pearson: (low, high)."""
        return clopper_pearson(self.k, self.n)


@dataclass(frozen=True, slots=True)
class FieldFigures:
    """The filter in the field, over some time."""

    calls: int
    """Incoming calls that ended."""
    genuine: int
    """Of these: see `is_genuine`."""
    kinds: Mapping[str, int]
    """released, left, saved, holdout, shadow → calls (`Kind`)."""
    passes: Mapping[str, int]
    """Reason → calls passed at the usual priority."""
    low_priority: Mapping[str, int]
    """Reason → calls passed at low priority."""
    left_in_prompt: Share
    """Hung up while the filter greeted and listened, of all it greeted."""
    tried: Share
    """People among would-be releases: of the holdout and shadow calls that were
    connected or reviewed, those talked with long enough to be genuine, or marked."""
    untried: int
    """Holdout and shadow calls nobody knows about: not connected, not reviewed."""
    reviewed: Share
    """People among drops that somebody listened to and was sure about."""
    unsure: int
    unreviewed: int
    called_again: Share
    """Of the drops with a number, those who called again within ten minutes."""
    called_again_genuine: int
    """Of these, who then were genuine: people we had dropped."""

    @property
    def drops(self) -> int:
        """Callers who reached nobody by the filter's doing."""
        return sum(self.kinds.get(kind.value, 0) for kind in DROPS)

    @property
    def people_dropped_at_most(self) -> float:
        """How many of the drops may have been people, at the interval's upper end."""
        return self.tried.interval[1] * self.drops

    @property
    def false_drop_rate(self) -> tuple[float, float, float] | None:
        """People dropped, of all people who called: estimate, low, high.

        From the holdout's share, times the drops; None while nothing was tried.
        """
        if self.tried.n == 0:
            return None
        shares = (self.tried.k / self.tried.n, *self.tried.interval)
        lost = [share * self.drops for share in shares]
        low, middle, high = (
            n / (n + self.genuine) if n else 0.0 for n in (lost[1], lost[0], lost[2])
        )
        return middle, low, high


def is_genuine(call: FieldCall) -> bool:
    """Whether somebody was there who wanted something: by the operator's word, without
    one by the length of the talk."""
    return talked_long(call) if call.said is None else call.said in WANTED


def talked_long(call: FieldCall) -> bool:
    """Whether an operator talked with the caller for `GENUINE_TALK_SECONDS` or longer.

    For comparing times with each other: the day on which operators begin to say what
    calls were changes nothing here.
    """
    return (
        call.disposition is Disposition.CONNECTED
        and (call.talk_seconds or 0.0) >= GENUINE_TALK_SECONDS
    )


@dataclass(slots=True)
class _Drops:
    """Whom we dropped, by number, and who of them came back."""

    last: dict[str, datetime] = field(default_factory=dict)
    with_number: int = 0
    again: int = 0
    genuine: int = 0

    def follow(self, call: FieldCall) -> None:
        if not call.ani:
            return
        dropped_at = self.last.pop(call.ani, None)
        if dropped_at is not None and call.at - dropped_at <= REPEAT_WINDOW:
            self.again += 1
            self.genuine += is_genuine(call)
        if call.kind in DROPS:
            self.with_number += 1
            self.last[call.ani] = call.at


def count(calls: Iterable[FieldCall]) -> FieldFigures:
    """The figures of these calls, given in the order in which they began."""
    every = list(calls)
    drops = _Drops()
    for call in every:
        drops.follow(call)
    dropped = [call for call in every if call.kind in DROPS]
    reviews = Counter(call.review for call in dropped)
    judged = reviews[Review.PERSON] + reviews[Review.NOBODY]
    tried = [c for c in every if c.kind in (Kind.HOLDOUT, Kind.SHADOW)]
    known = [c for c in tried if _is_known(c)]
    greeted = [
        c for c in every if c.is_answered and c.was_greeted and not c.was_rescued
    ]
    return FieldFigures(
        calls=len(every),
        genuine=sum(map(is_genuine, every)),
        kinds=_counted(call.kind.value for call in every if call.kind),
        passes=_counted(c.reason or "?" for c in every if c.ruling == "pass"),
        low_priority=_counted(
            c.reason or "?" for c in every if c.ruling == "low-priority"
        ),
        left_in_prompt=Share(sum(map(_left_in_prompt, greeted)), len(greeted)),
        tried=Share(sum(map(_was_a_person, known)), len(known)),
        untried=len(tried) - len(known),
        reviewed=Share(reviews[Review.PERSON], judged),
        unsure=reviews[Review.UNSURE],
        unreviewed=reviews[Review.UNREVIEWED],
        called_again=Share(drops.again, drops.with_number),
        called_again_genuine=drops.genuine,
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _left_in_prompt(call: FieldCall) -> bool:
    """Hung up before any verdict: the journal has none of such a call."""
    return call.disposition is Disposition.LEFT and call.ruling is None


def _is_known(call: FieldCall) -> bool:
    is_reviewed = call.review in (Review.PERSON, Review.NOBODY)
    return (
        is_reviewed
        or call.said is not None
        or call.disposition is Disposition.CONNECTED
    )


def _was_a_person(call: FieldCall) -> bool:
    """Towards people: a long talk counts, whatever the reviewer heard before it, and so
    does the word of either; who plays a prank lives as well."""
    return call.review is Review.PERSON or call.said in ALIVE or is_genuine(call)
