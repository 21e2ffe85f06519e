"""What a report consists of, whatever it is printed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pbx.reports.drawing import Drawing


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure that everybody looks for first."""

    label: str
    value: str
    note: str = ""
    is_good: bool | None = None
    """Promise kept or not; None where nothing was promised."""


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column."""

    head: str
    is_number: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row; as many cells as columns."""

    cells: Sequence[str]
    is_total: bool = False
    is_good: bool | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph in small print."""

    text: str


Block = Table | Note | Drawing


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report in one language."""

    language: str
    title: str
    subtitle: str
    made: str
    headline: str
    tiles: Sequence[Tile] = ()
    sections: Sequence[Section] = field(default_factory=list)
