"""Who calls, how often, when: what a synthetic journal is made to say.

Kediri's figures are the city's own (April to October 2025, "Lapor Mbak Wali 112"):
86,161 calls, of them 65,024 ghost, 18,557 prank, 2,084 information, 496 valid; 1,185
answers to the survey, 4.86 of 5. What the city did not publish is assumed here, and
said so: months, hours, durations, how many ghosts reach an operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pbx.model.category import Category

HOURS = (
    14, 10, 8, 7, 8, 12, 22, 34, 44, 50, 54, 56,
    58, 56, 54, 52, 52, 54, 60, 62, 56, 46, 34, 22,
)  # fmt: skip
"""Weights of the city's hours: few callers at 3, most in the early evening. Assumed."""

MONTHS = (100, 108, 112, 116, 110, 104, 102)
"""Weights of months, over and over. Assumed: it became known, then came Filter 0."""

TYPES: Mapping[str, int] = {
    "dangerous-animal": 118,
    "ambulance": 96,
    "traffic-accident": 81,
    "mental-illness-or-homeless": 57,
    "fire": 38,
    "fallen-tree": 31,
    "public-order": 22,
    "street-light": 17,
    "power-line": 14,
    "flood": 9,
    "crime": 8,
    "rubbish": 5,
}
"""Weights of valid reports' types: the order of the first four is Kediri's."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way through the switch, and how many of a class go it."""

    shape: str
    weight: int
    nobody: bool = False
    """Put through at low priority, since the filter found nobody: no key is pressed,
    and the verdict is another one than was recorded."""
    talk_seconds: tuple[float, float] | None = None
    """Shortest and usual; None: as recorded."""


GHOST = (
    Way("silent-released", 82),
    Way("left-in-greeting", 8),
    Way("key-connected", 7, True, (3.0, 7.0)),
    Way("abandoned-while-first-phone-rings", 3, True),
)
"""Nine of ten never ring a phone. Those put through at low priority are called ghosts
by the operator, or left before one had time."""


def _people(usual_seconds: float, least: float) -> tuple[Way, ...]:
    talk = (least, usual_seconds)
    return (
        Way("key-connected", 62, talk_seconds=talk),
        Way("voice-connected-operator-hangs-up", 28, talk_seconds=talk),
        Way("refused-then-answered", 4, talk_seconds=talk),
        Way("connected-by-the-second-phone", 6, talk_seconds=talk),
    )


WAYS: Mapping[Category, Sequence[Way]] = {
    Category.GHOST: GHOST,
    Category.PRANK: _people(18.0, 4.0),
    Category.INFORMATION: _people(70.0, 15.0),
    Category.VALID: _people(140.0, 35.0),
}


@dataclass(frozen=True, slots=True)
class Mix:
    """The counts of `months` months."""

    months: int
    counts: Mapping[Category, int]
    scores: Mapping[int, int]
    """Answers to the survey by score."""

    def scaled(self, months: int) -> Mix:
        """The same mix over another number of months."""
        share = months / self.months
        return Mix(
            months,
            {name: round(count * share) for name, count in self.counts.items()},
            {score: round(count * share) for score, count in self.scores.items()},
        )


MIXES: Mapping[str, Mix] = {
    "kediri": Mix(
        months=7,
        counts={
            Category.GHOST: 65_024,
            Category.PRANK: 18_557,
            Category.INFORMATION: 2_084,
            Category.VALID: 496,
        },
        scores={5: 1061, 4: 94, 3: 22, 2: 4, 1: 4},  # 1,185 answers, mean 4.860
    )
}
