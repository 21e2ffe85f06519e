"""A report as text for a terminal: tables, no plots."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from pbx.reports.document import Document, Note, Row, Table
from pbx.reports.drawing import Drawing

WIDTH = 88
GAP = "  "


def lines(document: Document) -> Iterator[str]:
    """The report, line by line."""
    for line in _lines(document):
        yield line.replace("\u00a0", " ")


def _lines(document: Document) -> Iterator[str]:
    yield document.title
    yield document.subtitle
    yield ""
    yield from textwrap.wrap(document.headline, WIDTH)
    for section in document.sections:
        yield ""
        if section.title:
            yield section.title.upper()
        for block in section.blocks:
            match block:
                case Note():
                    yield from textwrap.wrap(block.text, WIDTH)
                case Table():
                    yield from _table(block)
                case Drawing():
                    continue
    yield ""
    yield document.made


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield ""
        yield table.title
    heads = [column.head for column in table.columns]
    every = [heads, *(row.cells for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    rule = "-" * (sum(widths) + len(GAP) * (len(widths) - 1))
    yield _line(heads, widths, table)
    yield rule
    for row in table.rows:
        if row.is_total:
            yield rule
        yield _line(row.cells, widths, table) + _mark(row)


def _mark(row: Row) -> str:
    return " !" if row.is_good is False else ""


def _line(cells: Sequence[str], widths: Sequence[int], table: Table) -> str:
    padded = (
        cell.rjust(width) if column.is_number else cell.ljust(width)
        for cell, width, column in zip(cells, widths, table.columns, strict=True)
    )
    return GAP.join(padded).rstrip()
