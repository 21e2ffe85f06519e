"""Results of many calls → shares with their bounds, and how long people waited."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pbx.laboratory.dialogue.pockets import OWN_ECHO, POCKET_MIX
from pbx.laboratory.dialogue.run import Result
from pbx.model.intervals import clopper_pearson
from pbx.model.verdict import Ruling

OVER_ECHO = "speaks over the prompt, echo −20 dB"
"""The behaviour whose delay the requirement names."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How long people waited for their pass, in seconds."""

    n: int
    median: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Calls that have something in common."""

    name: str
    n: int
    passed: int
    low_priority: int
    released: int
    own_released: int
    """Released under the city's own policy."""
    own_low_priority: int
    """At low priority under the city's own policy."""
    asked_twice: int
    unsigned: int
    """Passed before the person had given a sign: something else was taken for one."""
    delay: Delay
    """From the first sign of life."""

    @property
    def released_upper95(self) -> float:
        """Upper end of the 95 % Clopper-Pearson interval of the share released."""
        return clopper_pearson(self.released, self.n)[1]

    @property
    def kept(self) -> float:
        """Share kept from operators or at low priority, under the strictest policy;
        0 of nobody."""
        return (self.released + self.low_priority) / self.n if self.n else 0.0

    @property
    def own_kept(self) -> float:
        """The same under the city's own policy, while no operator is idle."""
        kept = self.own_released + self.own_low_priority
        return kept / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run of calls shows."""

    calls: int
    people: Group
    behaviours: tuple[Group, ...]
    """Of people."""
    kinds: tuple[Group, ...]
    """Of people, by the class of their clip."""
    words: Delay
    """Of people whose voice let them pass: from the words that did."""
    over_echo: Delay
    """The same of those who spoke while our prompt came back at −20 dB."""
    heard_later: int
    """How many of those people had said something before that did not …"""
    past_words: int
    """… and how many passed only by what came long after their words."""
    pocket: Group
    stress: Group
    ghosts: tuple[Group, ...]
    """By class."""
    distant: Group
    distant_without_second: int
    """Released without having been asked twice: must be none."""
    ambiguous: Group
    faults: Group
    reasons: dict[str, int]
    lost: tuple[Result, ...]
    """Everybody released whom nobody may release."""

    @property
    def is_safe(self) -> bool:
        """Whether no release broke a rule."""
        return not self.lost and not self.distant_without_second


def figures(results: Sequence[Result]) -> Figures:
    """Count."""
    people = [r for r in results if r.is_person]
    ghosts = [r for r in results if r.label == "ghost"]
    distant = _labelled(results, "distant")
    clips = [r for r in ghosts if r.kind != OWN_ECHO]
    return Figures(
        calls=len(results),
        people=group("people", people),
        behaviours=groups(people, lambda r: r.behaviour),
        kinds=groups(people, lambda r: r.kind),
        words=words(people),
        over_echo=words(r for r in people if r.behaviour == OVER_ECHO),
        heard_later=sum(r.is_heard_later for r in people),
        past_words=sum(r.is_past_words and r.ruling is Ruling.PASS for r in people),
        pocket=group("pocket mix", [r for r in clips if r.kind in POCKET_MIX]),
        stress=group("stress mix", clips),
        ghosts=groups(ghosts, lambda r: r.kind),
        distant=group("distant voices", distant),
        distant_without_second=sum(
            r.ruling is Ruling.RELEASE and r.asked < 2 for r in distant
        ),
        ambiguous=group("unclear", _labelled(results, "ambiguous")),
        faults=group("failing media", _labelled(results, "fault")),
        reasons=dict(Counter(r.reason.value for r in results).most_common()),
        lost=tuple(
            r
            for r in results
            if r.ruling is Ruling.RELEASE and r.label in ("speech", "fault")
        ),
    )


def groups(results: Iterable[Result], of: Callable[[Result], str]) -> tuple[Group, ...]:
    """One group for each name, by name."""
    sorted_out: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        sorted_out[of(result)].append(result)
    return tuple(group(name, found) for name, found in sorted(sorted_out.items()))


def group(name: str, results: Sequence[Result]) -> Group:
    """Count one group."""
    rulings = Counter(r.ruling for r in results)
    own = Counter(r.own_ruling for r in results)
    return Group(
        name=name,
        n=len(results),
        passed=rulings[Ruling.PASS],
        low_priority=rulings[Ruling.LOW_PRIORITY],
        released=rulings[Ruling.RELEASE],
        own_released=own[Ruling.RELEASE],
        own_low_priority=own[Ruling.LOW_PRIORITY],
        asked_twice=sum(r.asked >= 2 for r in results),
        unsigned=sum(_is_unsigned(r) for r in results),
        delay=delay(results),
    )


def delay(results: Iterable[Result]) -> Delay:
    """How long these people waited after their first sign of life."""
    return _delay(r.to_pass_seconds for r in results)


def words(results: Iterable[Result]) -> Delay:
    """How long these people waited after the words that let them pass."""
    return _delay(r.words_to_pass_seconds for r in results)


def _delay(seconds: Iterable[float | None]) -> Delay:
    waits = [one for one in seconds if one is not None]
    if not waits:
        return Delay(0, None, None)
    median, p95 = np.quantile(waits, [0.5, 0.95])
    return Delay(len(waits), round(float(median), 3), round(float(p95), 3))


def _is_unsigned(result: Result) -> bool:
    return (
        result.sign_seconds is not None
        and result.ruling is Ruling.PASS
        and result.ended_seconds < result.sign_seconds
    )


def _labelled(results: Iterable[Result], label: str) -> list[Result]:
    return [r for r in results if r.label == label]
