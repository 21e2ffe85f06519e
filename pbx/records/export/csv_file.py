"""An export as CSV (RFC 4180, UTF-8), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from pbx.records.export.columns import COLUMNS, Value

# The last four are the full-width forms some spreadsheets take for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""A cell that begins so may be run as a formula: a caller chooses his display name and
headers, and `=HYPERLINK(…)` in a report is his program on the duty officer's desk."""


class CsvFile:
    """Rows go in, batch by batch; `close` when all are."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(column.name for column in COLUMNS)

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        """Times as ISO 8601 in UTC, yes and no as true and false, null as nothing."""
        self._rows.writerows([_cell(value) for value in row] for row in rows)

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def _cell(value: Value) -> str | int | float:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            text = value.isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")
        case str():
            return guarded(value)
        case _:
            return value


def guarded(text: str) -> str:
    """With an apostrophe before what a spreadsheet would run, `+62…` too."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
