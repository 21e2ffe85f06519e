"""The monthly evaluation as a city prints it: classes, kinds of report, the rating.

A sum over calls: `add` one after the other, in any order; `merge` sums of parts. It
grows with the number of different words, never with the number of calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pbx.model.call import Disposition
from pbx.model.category import Category
from pbx.model.report_types import OTHER, is_known, key_of
from pbx.model.reported import ReportedCall

MOST_TYPES = 2000
"""Different free words that are counted apart; what comes after is `other`."""
FEWEST_ALIKE = 3
"""A free word fewer reports share is not printed: it may be somebody's name."""
SCORES = range(1, 6)


@dataclass(slots=True)
class Evaluation:
    """How many calls, what they were, and how callers rate the service."""

    calls: int = 0
    categories: Counter[Category] = field(default_factory=Counter)
    dispositions: Counter[Disposition] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    """Of valid calls: `key_of` what the operator wrote."""
    scores: Counter[int] = field(default_factory=Counter)
    classified: int = 0
    """Calls an operator gave a class to."""
    incomplete: int = 0
    """Records known to lack something."""

    def add(self, call: ReportedCall) -> None:
        """Count one call."""
        self.calls += 1
        self.categories[call.category] += 1
        self.dispositions[call.disposition] += 1
        self.classified += call.is_classified
        self.incomplete += call.is_incomplete
        if call.category is Category.VALID:
            self._count_type(key_of(call.type), 1)
        if call.score is not None and call.score in SCORES:
            self.scores[call.score] += 1

    def merge(self, other: Evaluation) -> None:
        """Add what another one counted."""
        self.calls += other.calls
        self.categories += other.categories
        self.dispositions += other.dispositions
        self.scores += other.scores
        self.classified += other.classified
        self.incomplete += other.incomplete
        for key, n in other.types.items():
            self._count_type(key, n)

    def _count_type(self, key: str, n: int) -> None:
        is_one_more = key not in self.types and not is_known(key)
        is_too_many = is_one_more and len(self.types) >= MOST_TYPES
        self.types[OTHER if is_too_many else key] += n

    def share(self, category: Category) -> float | None:
        """0…1 of all calls; None without any."""
        return self.categories[category] / self.calls if self.calls else None

    @property
    def answers(self) -> int:
        """Callers who rated the service."""
        return self.scores.total()

    @property
    def rating(self) -> float | None:
        """The mean score, 1 to 5; None without an answer."""
        if not self.answers:
            return None
        return sum(score * n for score, n in self.scores.items()) / self.answers

    def top_types(self, most: int) -> Sequence[tuple[str, int]]:
        """The most frequent kinds of report, and what is left as `other`.

        Words that are not in our list and that fewer than `FEWEST_ALIKE` reports share
        are among the others.
        """
        shown = [
            (key, n)
            for key, n in self.types.items()
            if key != OTHER and (n >= FEWEST_ALIKE or is_known(key))
        ]
        shown.sort(key=lambda one: (-one[1], one[0]))
        shown = shown[:most]
        rest = self.types.total() - sum(n for _, n in shown)
        return [*shown, (OTHER, rest)] if rest else shown
