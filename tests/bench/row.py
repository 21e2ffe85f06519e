"""What a row of the report is: a question, a way to measure it, figures.

A new row is a new module in `tests/bench/rows/` with a `ROW`, listed in its package.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure

Tell = Callable[[str, float], None]
"""Hears what is being done, and how much of the row is done (0…1)."""


class BenchError(Exception):
    """A row could not be measured; the text says why and the cure."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a row gets: where it may write, whom it tells, and how thorough to be."""

    scratch: Path
    tell: Tell
    quick: bool = False
    """A trial of the row itself: too short for figures worth keeping."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a row found."""

    figures: tuple[Figure, ...]
    conditions: tuple[str, ...] = ()
    """What must be known to judge them: load, counts, what was not as wished."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question of the report."""

    name: str
    title: str
    method: str
    """A paragraph: what was done, where each clock started and stopped."""
    measure: Callable[[Bench], Awaitable[Result]]
