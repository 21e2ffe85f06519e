"""The rows of the fail-open table, gathered while the tests run."""

from __future__ import annotations

from dataclasses import dataclass


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
