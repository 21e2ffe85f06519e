"""A sheet of A4 with the fonts every reader has: words and tables on it.

Those fonts know the letters of western Europe (Windows-1252), which both languages of
our reports are written in; what lies beyond in a city's name or a kind of report loses
its accents, or becomes a question mark.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from fpdf import FPDF

from pbx.reports.document import Table

MARGIN = 14.0
WIDTH = 210.0 - 2 * MARGIN
POINT = 25.4 / 72
"""Millimetres."""
FONT = "helvetica"
INK, QUIET, DEEP = (31, 41, 51), (102, 113, 125), (11, 90, 99)
LINE, GOOD, BAD = (217, 222, 227), (29, 122, 79), (166, 58, 36)
_INSTEAD = str.maketrans({"≤": "<=", "≥": ">=", "\u202f": " "})
_ENCODING = "cp1252"
_GAP = 2.4
"""Between two columns, millimetres."""
_LONGEST_TABLE_KEPT_WHOLE = 14
"""Rows; longer tables may begin at the foot of a page."""


class Sheet(FPDF):
    """Sheets that text, captions and tables are set on, from the top down."""

    def __init__(self) -> None:
        super().__init__(format="A4")
        self.core_fonts_encoding = _ENCODING
        self.c_margin = 0.0  # text begins where boxes do
        self.set_margins(MARGIN, 16, MARGIN)
        self.set_auto_page_break(True, margin=17)

    def write_in(
        self, size: float, colour: tuple[int, int, int], style: str = ""
    ) -> None:
        """What follows is written so; `size` in points."""
        self.set_font(FONT, style, size)
        self.set_text_color(*colour)

    def need(self, millimetres: float) -> None:
        """A new page, unless so much room is left on this one."""
        if self.will_page_break(millimetres):
            self.add_page()

    def caption(self, text: str) -> None:
        """A line above a table or a drawing."""
        self.ln(2)
        self.write_in(9, INK, "B")
        self.cell(0, 5.5, plain(text), new_x="LMARGIN", new_y="NEXT")

    def lay(self, table: Table) -> None:
        """A table, its heads again on each page it goes on."""
        size = (
            8.0 if len(table.columns) < 8 else 7.0 if len(table.columns) < 12 else 6.3
        )
        if len(table.rows) <= _LONGEST_TABLE_KEPT_WHOLE:
            self.need(12 + row_height(size) * (len(table.rows) + 2))
        if table.title:
            self.caption(table.title)
        widths = _widths(self, table, size)
        self._heads(table, widths, size)
        for row in table.rows:
            bold = "B" if row.is_total else ""
            colour = {None: INK, True: GOOD, False: BAD}[row.is_good]
            self.write_in(size, colour, bold)
            cells = self._broken(row.cells, widths)
            if self.will_page_break(row_height(size) * max(map(len, cells))):
                self.add_page()
                self._heads(table, widths, size)
                self.write_in(size, colour, bold)
            self._row(table, cells, widths, size)
        self.ln(1)

    def _heads(self, table: Table, widths: Sequence[float], size: float) -> None:
        self.write_in(size, QUIET)
        heads = self._broken([column.head for column in table.columns], widths)
        self._row(table, heads, widths, size)

    def _broken(self, cells: Sequence[str], widths: Sequence[float]) -> list[list[str]]:
        """Each cell's lines, broken between words where it is too long."""
        return [
            self._lines_of(plain(cell), width - _GAP)
            for cell, width in zip(cells, widths, strict=True)
        ]

    def _lines_of(self, text: str, room: float) -> list[str]:
        if self.get_string_width(text) <= room:
            return [text]
        found = [""]
        for word in text.split(" "):
            longer = f"{found[-1]} {word}".strip()
            if found[-1] and self.get_string_width(longer) > room:
                found.append(word)
            else:
                found[-1] = longer
        return found

    def _row(
        self,
        table: Table,
        cells: Sequence[Sequence[str]],
        widths: Sequence[float],
        size: float,
    ) -> None:
        """One row and the line below it."""
        top, x, tall = self.get_y(), MARGIN, row_height(size)
        most = max(map(len, cells))
        for column, parts, width in zip(table.columns, cells, widths, strict=True):
            for i, part in enumerate(parts):
                place = top + tall * (i + most - len(parts)) + tall * 0.68
                room = width - _GAP - self.get_string_width(part)
                self.text(x + (room if column.is_number else 0), place, part)
            x += width
        bottom = top + tall * most
        self.set_draw_color(*LINE)
        self.set_line_width(0.2)
        self.line(MARGIN, bottom, x - _GAP, bottom)
        self.set_xy(MARGIN, bottom)


def row_height(size: float) -> float:
    """Of one line of that many points, millimetres."""
    return size * 0.6


def _widths(paper: FPDF, table: Table, size: float) -> list[float]:
    """Each column as wide as its longest word; narrow tables do not stretch."""
    paper.set_font(FONT, "B", size)
    widest = [
        max(paper.get_string_width(plain(text)) for text in (*parts, "0000"))
        for parts in zip(
            *(row.cells for row in table.rows),
            strict=True,
        )
    ]
    heads = [
        max(
            (paper.get_string_width(plain(word)) for word in column.head.split(" ")),
            default=0.0,
        )
        for column in table.columns
    ]
    wanted = [max(a, b) + _GAP for a, b in zip(widest, heads, strict=True)]
    room = WIDTH
    if sum(wanted) <= room:
        spread = min(1.6, room / sum(wanted))
        return [width * spread for width in wanted]
    # The first column is text and may break; figures may not.
    return [max(20.0, wanted[0] - (sum(wanted) - room)), *wanted[1:]]


def plain(text: str) -> str:
    """The text in letters the font has."""
    found = []
    for letter in text.translate(_INSTEAD):
        try:
            letter.encode(_ENCODING)
            found.append(letter)
        except UnicodeEncodeError:
            bare = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore")
            found.append(bare.decode() or "?")
    return "".join(found)
