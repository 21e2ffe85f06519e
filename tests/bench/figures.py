"""From samples to figures: median, percentile, ratio. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the report."""

    name: str
    value: float
    unit: str
    note: str = ""
    """How many samples, how far they spread."""


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that was really measured.

    With n samples the 95th is the ceil(0.95 n)-th smallest. Raises ValueError without
    samples.
    """
    if not samples:
        raise ValueError("no samples: nothing was measured")
    rank = max(1, math.ceil(percent / 100 * len(samples)))
    return sorted(samples)[rank - 1]


def median_and_p95(name: str, samples: Sequence[float], unit: str) -> list[Figure]:
    """Two figures: the middle, and what one in twenty exceeds. Empty if no samples."""
    if not samples:
        return []
    note = f"n = {len(samples)}, {shown(min(samples))} … {shown(max(samples))}"
    return [
        Figure(f"{name}, median", statistics.median(samples), unit, note),
        Figure(f"{name}, p95", percentile(samples, 95), unit),
    ]


def median_of(name: str, samples: Sequence[float], unit: str) -> Figure:
    """The middle of repeated measurements, with their spread as the note."""
    return Figure(
        name,
        statistics.median(samples),
        unit,
        f"{len(samples)} rounds, {shown(min(samples))} … {shown(max(samples))}",
    )


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Median of ours over median of theirs; the note has every round's own ratio.

    Both were measured in turn, so the ratio of one round compares neighbours in time.
    """
    rounds = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Figure(
        name,
        statistics.median(ours) / statistics.median(theirs),
        "×",
        f"round by round {', '.join(shown(r) for r in rounds)}",
    )


def shown(value: float) -> str:
    """A number with three digits that matter, and no more."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(digits, 0)}f}"
