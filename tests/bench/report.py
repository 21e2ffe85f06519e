"""The report: Markdown for `docs/bench.md`, one JSON object for machines. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from tests.bench.figures import shown
from tests.bench.row import Result, Row


@dataclass(frozen=True, slots=True)
class Measured:
    """A row and what came of it: a result, or the reason why there is none."""

    row: Row
    seconds: float
    """How long measuring took."""
    result: Result | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One run of `make bench`."""

    at: datetime
    machine: Mapping[str, str]
    rows: Sequence[Measured]
    quick: bool = False


def as_markdown(report: Report) -> str:
    """The whole report for people; lines of prose no longer than 88."""
    parts = [
        "# What it costs, how fast it is",
        _prose(
            "Written by `make bench`; the last report is kept, do not edit it. Figures "
            "are of one run on one machine: compare ratios, which were measured side "
            "by side in that run, rather than numbers of different machines."
        ),
    ]
    if report.quick:
        parts.append("**A quick trial: too short for figures worth keeping.**")
    facts = {"at": report.at.isoformat(timespec="seconds"), **report.machine}
    parts.append("\n".join(f"- {name}: {value}" for name, value in facts.items()))
    for measured in report.rows:
        parts += _row(measured)
    return "\n\n".join(parts) + "\n"


def as_json(report: Report) -> str:
    """The same as one JSON object; figures are not rounded."""
    return json.dumps(
        {
            "at": report.at.isoformat(),
            "machine": dict(report.machine),
            "quick": report.quick,
            "rows": [
                {
                    "name": measured.row.name,
                    "title": measured.row.title,
                    "seconds": round(measured.seconds, 1),
                    "failure": measured.failure or None,
                    "figures": _figures(measured),
                    "conditions": (
                        list(measured.result.conditions) if measured.result else []
                    ),
                }
                for measured in report.rows
            ],
        },
        ensure_ascii=False,
    )


def _figures(measured: Measured) -> list[dict[str, object]]:
    if measured.result is None:
        return []
    return [asdict(figure) for figure in measured.result.figures]


def _row(measured: Measured) -> list[str]:
    parts = [f"## {measured.row.title}", _prose(measured.row.method)]
    if measured.result is None:
        return [*parts, f"**Not measured:** {measured.failure}"]
    lines = ["| figure | value | |", "|---|---:|---|"]
    lines += [
        f"| {f.name} | {shown(f.value)} {f.unit} | {f.note} |"
        for f in measured.result.figures
    ]
    parts.append("\n".join(lines))
    conditions = [
        *measured.result.conditions,
        f"measured in {measured.seconds:.0f} s: `python -m tests.bench --only "
        f"{measured.row.name}`",
    ]
    parts.append("\n".join(_item(condition) for condition in conditions))
    return parts


def _prose(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 88, break_on_hyphens=False)


def _item(text: str) -> str:
    return textwrap.fill(
        text, 88, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
    )
