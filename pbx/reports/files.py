"""A report in each form it is written in, by the name of its file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pbx.model.report import Report
from pbx.reports import tables
from pbx.reports.contents import Letterhead, document
from pbx.reports.html import page
from pbx.reports.plain import plain
from pbx.reports.text import lines

_Make = Callable[[Report, Letterhead, str], bytes]


def text(report: Report, head: Letterhead, language: str) -> Iterator[str]:
    """The lines of the text report."""
    return lines(document(report, head, language))


def _json(report: Report, head: Letterhead, _language: str) -> bytes:
    told = json.dumps(plain(report, head), ensure_ascii=False, indent=1)
    return told.encode() + b"\n"


def _pdf(report: Report, head: Letterhead, language: str) -> bytes:
    from pbx.reports.pdf import pdf  # loads fonts' and pictures' libraries

    return pdf(document(report, head, language))


def _csv(table: Callable[[Report], str]) -> _Make:
    return lambda report, _head, _language: table(report).encode()


_MAKERS: Mapping[str, _Make] = {
    "report.txt": lambda *given: "".join(f"{line}\n" for line in text(*given)).encode(),
    "report.html": lambda *given: page(document(*given)).encode(),
    "report.pdf": _pdf,
    "report.json": _json,
    "parts.csv": _csv(tables.parts),
    "slots.csv": _csv(tables.slots),
    "types.csv": _csv(tables.types),
    "hours.csv": _csv(tables.hours),
    "operators.csv": _csv(tables.operators),
}
NAMES = tuple(_MAKERS)
"""What `--out` writes."""


def write(
    path: Path, name: str, report: Report, head: Letterhead, language: str
) -> None:
    """Make the form of that name, whole or not at all. Raises OSError."""
    made = _MAKERS[name](report, head, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(made)
        os.chmod(draft, 0o644)  # noqa: PTH101, S103 - no personal data in it
        os.replace(draft, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)  # noqa: PTH108
        raise


__all__ = ["NAMES", "plain", "tables", "text", "write"]
