"""What the storms came to, as a page: nobody copies a figure by hand.

Each storm adds its row whether or not it was weathered, and the page is written anew
after each, so that one that breaks everything still leaves the others'.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "<!-- report -->"
FULL_SECONDS = 60.0
"""`make campaign` has storms as long; a report of shorter ones says so first."""


@dataclass(frozen=True, slots=True)
class Storm:
    """One storm that is over, and what was left of it."""

    name: str
    callers: int
    missing: int
    """Callers without a closed record."""
    twice: int
    strangers: int
    gaps: int
    """Calls whose revisions were not told once each and in order."""
    went_back: int
    incomplete: int
    revisions: int
    has_last_word: bool
    """Whether the consumer has every call's last revision, and no other."""
    looks: int
    blind: int
    harm: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Calm:
    """The same crowd and no fault: how soon a record could be read by API."""

    name: str
    calls: int
    median_seconds: float
    ninety_ninth_seconds: float
    last_seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """How long it was, and on what."""

    seconds: float
    per_second: float
    seed: int
    at: str
    cores: int
    load: float
    """Of the last minute when it began: what else the machine had to do."""


def this_machine() -> tuple[int, float]:
    """Cores, and the load of the last minute."""
    return os.cpu_count() or 1, os.getloadavg()[0]


def as_markdown(run: Run, storms: Sequence[Storm], calms: Sequence[Calm]) -> str:
    """The page below its mark."""
    lines = []
    if run.seconds < FULL_SECONDS:
        lines += [
            f"**A short trial of {run.seconds:g} s a storm**, to see that it works; "
            f"`make campaign` has {FULL_SECONDS:g} s.",
            "",
        ]
    lines += [
        f"{run.seconds:g} s of {run.per_second:g} calls a second, seed {run.seed}, "
        f"{run.at}, {run.cores} cores, load {run.load:.1f} when it began.",
        "",
    ]
    if storms:
        lines += [*_storms(storms), ""]
    if calms:
        lines += [*_calms(calms), ""]
    return "\n".join(lines)


def write(path: Path, told: str) -> None:
    """Put the report into the page, below its mark, in place of the last one."""
    head, mark, _ = path.read_text().partition(MARK)
    if not mark:
        raise ValueError(f"{path}: no line {MARK}; write one where the report goes")
    path.write_text(f"{head}{MARK}\n\n{told}")


def _storms(storms: Sequence[Storm]) -> list[str]:
    return [
        "| storm | callers | without a record | twice | of nobody | told out of order "
        "| went back | incomplete | revisions | consumer has the last word |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        *(
            f"| {s.name} | {s.callers} | {s.missing} | {s.twice} | {s.strangers} | "
            f"{s.gaps} | {s.went_back} | {s.incomplete} | {s.revisions} | "
            f"{'yes' if s.has_last_word else '**no**'} |"
            for s in storms
        ),
        "",
        *(
            f"- {s.name}: {_harm(s.harm)}; looked at {s.looks} times, {s.blind} of "
            "them without a database."
            for s in storms
        ),
    ]


def _harm(harm: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(harm.items()))


def _calms(calms: Sequence[Calm]) -> list[str]:
    return [
        "| no fault | calls | read by API after the hang-up: median | 99th percentile "
        "| last |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {c.name} | {c.calls} | {c.median_seconds:.2f} s | "
            f"{c.ninety_ninth_seconds:.2f} s | {c.last_seconds:.2f} s |"
            for c in calms
        ),
    ]
