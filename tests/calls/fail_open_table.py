"""The rows of the fail-open table, gathered while the tests run, printed at their end.

A pytest plugin, also where xdist's workers run the tests: they hand their rows to the
one who reports. With `--fail-open-report FILE` the table is kept there too
(`make campaign` does, for docs/fail-open.md).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, and when each caller's operator rang."""

    fault: str
    pressing_later_seconds: float | None
    """The caller who presses: later than without the fault by (less: earlier)."""
    silent_after_seconds: float | None
    """The caller who never makes a sound: ringing so long after the fault. None: the
    fault left his call with the filter, which decided by the city's policy."""
    limit_seconds: float
    invites: int
    records: int
    incomplete: int
    note: str = ""


ROWS: list[Row] = []
_HANDED_OVER = "fail-open-rows"


def add(row: Row) -> None:
    """Keep a row for the table."""
    ROWS.append(row)


def as_markdown() -> str:
    """The table, for people; empty when no row was made."""
    if not ROWS:
        return ""
    lines = [
        "| what broke | presses: operator rings later by | silent: operator rings after"
        " the fault | allowed | INVITEs | records | of them incomplete | note |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {row.fault} | {_seconds(row.pressing_later_seconds)} "
        f"| {_seconds(row.silent_after_seconds)} | {row.limit_seconds:g} s "
        f"| {row.invites} | {row.records} | {row.incomplete} | {row.note} |"
        for row in ROWS
    ]
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return (
        "–" if value is None else f"{value:+.2f} s" if value < 0 else f"{value:.2f} s"
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-open-report",
        metavar="FILE",
        help="write the fail-open table into FILE, below its line `<!-- table -->`",
    )
    parser.addoption(
        "--campaign-report",
        metavar="FILE",
        help="write the campaign's report into FILE, below its line `<!-- report -->`",
    )
    parser.addoption(
        "--live-report",
        metavar="FILE",
        help="write how sixty live verdicts at once compare with the offline ones into "
        "FILE, below its line `<!-- report -->`",
    )
    parser.addoption(
        "--storm-report",
        metavar="FILE",
        help="write what records came to while all broke into FILE, below its line "
        "`<!-- report -->`",
    )
    parser.addoption(
        "--dialogue-report",
        metavar="FILE",
        help="write what the ghost filter made of thousands of whole calls into FILE, "
        "below its line `<!-- report -->`",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker: what it gathered goes along with its last word."""
    handed_over = getattr(session.config, "workeroutput", None)
    if handed_over is not None:
        handed_over[_HANDED_OVER] = [asdict(row) for row in ROWS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended; one that crashed has handed over nothing."""
    for row in getattr(node, "workeroutput", {}).get(_HANDED_OVER, []):
        add(Row(**row))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    table = as_markdown()
    if not table:
        return
    terminalreporter.section("whatever breaks, the caller reaches an operator")
    terminalreporter.write_line(table)
    if name := config.getoption("--fail-open-report"):
        path = Path(name)
        head = path.read_text().partition("<!-- table -->")[0]
        path.write_text(f"{head}<!-- table -->\n\n{table}\n")
