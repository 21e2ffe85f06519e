"""A report for spreadsheets: CSV by RFC 4180, in UTF-8.

`parts` has a row for each part and one for the whole, a column for each figure of the
JSON report, named by its way there (`categories.ghost.percent`); `slots` a row for each
quarter of an hour in which a call was offered.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pbx.model.report import Report
from pbx.model.service_level import LIMITS, SLOT_SECONDS
from pbx.reports.plain import MOST_HOURS, MOST_TYPES, part_of, plain_operators

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SLOT_HEADS = ("begin", "calls", "answered", "gave_up", "lost", "longest_seconds")


def parts(report: Report) -> str:
    """Everything that is counted for each part, and for the whole."""
    told = [part_of(part) for part in (*report.parts, report.total())]
    rows = [dict(_flat(part)) for part in told]
    return _csv(rows[0], [row.values() for row in rows])


def types(report: Report) -> str:
    """Kinds of report, of the whole."""
    return _csv(("type", "calls"), report.total().evaluation.top_types(MOST_TYPES))


def hours(report: Report) -> str:
    """Busiest hours, local time."""
    rows = [(h.begin.isoformat(), h.calls) for h in report.workload.busiest(MOST_HOURS)]
    return _csv(("begin", "calls"), rows)


def operators(report: Report) -> str:
    """A row each."""
    rows = plain_operators(report)
    return _csv(rows[0] if rows else ("operator",), [row.values() for row in rows])


def slots(report: Report) -> str:
    """Quarters of an hour, local time: answered within each limit, and its share.

    `within_5_s` counts; `within_5_s_percent` leaves out who gave up earlier than that.
    """
    heads = list(_SLOT_HEADS)
    for limit in LIMITS:
        heads += [f"within_{limit}_s", f"within_{limit}_s_percent"]
    return _csv(heads, _slot_rows(report))


def _slot_rows(report: Report) -> Iterator[Sequence[Any]]:
    for number, slot in sorted(report.total().service.slots.items()):
        begin = datetime.fromtimestamp(number * SLOT_SECONDS, UTC)
        row: list[Any] = [
            begin.astimezone(report.period.zone).isoformat(),
            slot.calls,
            slot.answered,
            slot.gave_up,
            slot.lost,
            round(slot.longest_seconds, 3),
        ]
        for i, met in enumerate(slot.met):
            share = slot.level(i).share
            row += [met, None if share is None else round(100 * share, 2)]
        yield row


def _flat(told: Mapping[str, Any], way: str = "") -> Iterator[tuple[str, Any]]:
    """Every single figure, with its way; lists have tables of their own."""
    for key, value in told.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{way}{key}.")
        elif not isinstance(value, list):
            yield f"{way}{key}", value


def _csv(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)  # RFC 4180: commas, CRLF, doubled quotes
    writer.writerow(heads)
    for row in rows:
        writer.writerow(_cell(value) for value in row)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Text a spreadsheet would take for a formula gets an apostrophe."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
