"""A report as PDF, A4, with the fonts every reader has.

Those fonts know the letters of western Europe (Windows-1252), which both languages of
our reports are written in; what lies beyond in a city's name or a kind of report loses
its accents, or becomes a question mark.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from fpdf import FPDF

from pbx.reports.document import Document, Note, Section, Table, Tile
from pbx.reports.drawing import Box, Drawing, Stroke, Words

_MARGIN = 14.0
_WIDTH = 210.0 - 2 * _MARGIN
_POINT = 25.4 / 72
"""Millimetres."""
_FONT = "helvetica"
_INK, _QUIET, _DEEP = (31, 41, 51), (102, 113, 125), (11, 90, 99)
_LINE, _GOOD, _BAD = (217, 222, 227), (29, 122, 79), (166, 58, 36)
_INSTEAD = str.maketrans({"≤": "<=", "≥": ">=", "\u202f": " "})
_ENCODING = "cp1252"
_GAP = 2.4
"""Between two columns, millimetres."""
_LONGEST_TABLE_KEPT_WHOLE = 14
"""Rows; longer tables may begin at the foot of a page."""


def pdf(document: Document) -> bytes:
    """The report as the bytes of a PDF file."""
    paper = _Paper(document)
    paper.add_page()
    paper.opening()
    for section in document.sections:
        paper.section(section)
    return bytes(paper.output())


class _Paper(FPDF):
    """A4 sheets with our head, foot, tables and drawings."""

    def __init__(self, document: Document) -> None:
        super().__init__(format="A4")
        self.core_fonts_encoding = _ENCODING
        self.c_margin = 0.0  # text begins where boxes do
        self.document = document
        self.set_margins(_MARGIN, 16, _MARGIN)
        self.set_auto_page_break(True, margin=17)
        self.alias_nb_pages("{pages}")
        self.set_title(_plain(f"{document.title}, {document.subtitle}"))
        self.set_creator("Gerbang112")
        self.set_lang(document.language)

    def header(self) -> None:
        """From the second page on: what this is."""
        if self.page_no() == 1:
            return
        self._write_in(7.5, _QUIET)
        told = f"{self.document.title} · {self.document.subtitle}"
        self.set_y(9)
        self.cell(0, 4, _plain(told), new_x="LMARGIN", new_y="NEXT")
        self.set_y(16)

    def footer(self) -> None:
        """When it was made, and the page."""
        self._write_in(7.5, _QUIET)
        self.set_y(-12)
        self.cell(_WIDTH / 2, 4, _plain(self.document.made))
        self.set_x(-_MARGIN - 10)  # not align="R": the alias is wider than its number
        self.cell(10, 4, f"{self.page_no()} / {{pages}}")

    def opening(self) -> None:
        """Title, headline and tiles."""
        self.set_fill_color(*_DEEP)
        self.rect(0, 0, 210, 34, style="F")
        self.set_y(11)
        self._write_in(19, (255, 255, 255), "B")
        self.cell(0, 8, _plain(self.document.title), new_x="LMARGIN", new_y="NEXT")
        self._write_in(10.5, (214, 230, 232))
        self.cell(0, 6, _plain(self.document.subtitle), new_x="LMARGIN", new_y="NEXT")
        self.set_y(40)
        self._write_in(11, _INK, "B")
        headline = _plain(self.document.headline)
        self.multi_cell(0, 5.4, headline, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(3)
        if self.document.tiles:
            self._tiles(self.document.tiles)

    def _tiles(self, tiles: Sequence[Tile]) -> None:
        gap, top = 2.5, self.get_y()
        width = (_WIDTH - gap * (len(tiles) - 1)) / len(tiles)
        for i, tile in enumerate(tiles):
            x = _MARGIN + (width + gap) * i
            colour = {None: _LINE, True: _GOOD, False: _BAD}[tile.is_good]
            self.set_fill_color(246, 248, 249)
            self.rect(x, top, width, 21, style="F")
            self.set_fill_color(*colour)
            self.rect(x, top, width, 0.9, style="F")
            self._write_in(6.6, _QUIET)
            self.set_xy(x + 1, top + 2)
            self.multi_cell(width - 2, 2.7, _plain(tile.label), align="L")
            self._write_in(12.5, _INK, "B")
            self.set_xy(x + 1, top + 8.5)
            self.cell(width - 2, 6, _plain(tile.value))
            self._write_in(6.6, _QUIET)
            self.set_xy(x + 1, top + 15)
            self.multi_cell(width - 2, 2.7, _plain(tile.note), align="L")
        self.set_xy(_MARGIN, top + 24)

    def section(self, section: Section) -> None:
        """Its title stays with what follows."""
        self.ln(3)
        if section.title:
            self._keep_together(section)
            self._write_in(12.5, _DEEP, "B")
            self.cell(0, 7, _plain(section.title), new_x="LMARGIN", new_y="NEXT")
        for block in section.blocks:
            match block:
                case Note():
                    self._note(block)
                case Table():
                    self._table(block)
                case Drawing():
                    self._draw(block)

    def _keep_together(self, section: Section) -> None:
        match section.blocks[0]:
            case Drawing(height=height):
                self._need(13 + height * _POINT)
            case Table(rows=rows):
                self._need(13 + _row_height(6) * min(len(rows), 4))
            case Note():
                self._need(24)

    def _need(self, millimetres: float) -> None:
        """A new page, unless so much room is left on this one."""
        if self.will_page_break(millimetres):
            self.add_page()

    def _note(self, note: Note) -> None:
        self.ln(1)
        self._write_in(8, _QUIET)
        told = _plain(note.text)
        self.multi_cell(0, 3.7, told, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(1)

    def _table(self, table: Table) -> None:
        size = (
            8.0 if len(table.columns) < 8 else 7.0 if len(table.columns) < 12 else 6.3
        )
        if len(table.rows) <= _LONGEST_TABLE_KEPT_WHOLE:
            self._need(12 + _row_height(size) * (len(table.rows) + 2))
        if table.title:
            self._caption(table.title)
        widths = _widths(self, table, size)
        self._heads(table, widths, size)
        for row in table.rows:
            bold = "B" if row.is_total else ""
            colour = {None: _INK, True: _GOOD, False: _BAD}[row.is_good]
            self._write_in(size, colour, bold)
            cells = self._broken(row.cells, widths)
            if self.will_page_break(_row_height(size) * max(map(len, cells))):
                self.add_page()
                self._heads(table, widths, size)
                self._write_in(size, colour, bold)
            self._row(table, cells, widths, size)
        self.ln(1)

    def _heads(self, table: Table, widths: Sequence[float], size: float) -> None:
        self._write_in(size, _QUIET)
        heads = self._broken([column.head for column in table.columns], widths)
        self._row(table, heads, widths, size)

    def _broken(self, cells: Sequence[str], widths: Sequence[float]) -> list[list[str]]:
        """Each cell's lines, broken between words where it is too long."""
        return [
            self._lines_of(_plain(cell), width - _GAP)
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
        top, x, tall = self.get_y(), _MARGIN, _row_height(size)
        most = max(map(len, cells))
        for column, parts, width in zip(table.columns, cells, widths, strict=True):
            for i, part in enumerate(parts):
                place = top + tall * (i + most - len(parts)) + tall * 0.68
                room = width - _GAP - self.get_string_width(part)
                self.text(x + (room if column.is_number else 0), place, part)
            x += width
        bottom = top + tall * most
        self.set_draw_color(*_LINE)
        self.set_line_width(0.2)
        self.line(_MARGIN, bottom, x - _GAP, bottom)
        self.set_xy(_MARGIN, bottom)

    def _caption(self, text: str) -> None:
        self.ln(2)
        self._write_in(9, _INK, "B")
        self.cell(0, 5.5, _plain(text), new_x="LMARGIN", new_y="NEXT")

    def _draw(self, drawing: Drawing) -> None:
        scale = _WIDTH / drawing.width
        self._need(9 + drawing.height * scale)
        self._caption(drawing.title)
        left, top = _MARGIN, self.get_y()
        for shape in drawing.shapes:
            match shape:
                case Box():
                    self.set_fill_color(shape.fill)
                    x, y = left + shape.x * scale, top + shape.y * scale
                    self.rect(x, y, shape.width * scale, shape.height * scale, "F")
                case Stroke():
                    self._stroke(shape, left, top, scale)
                case Words():
                    self._words(shape, left, top, scale)
        self.set_xy(_MARGIN, top + drawing.height * scale + 1)

    def _stroke(self, stroke: Stroke, left: float, top: float, scale: float) -> None:
        self.set_draw_color(stroke.colour)
        self.set_line_width(stroke.width * scale)
        if stroke.is_dashed:
            self.set_dash_pattern(dash=1, gap=1)
        points = [(left + x * scale, top + y * scale) for x, y in stroke.points]
        if points:
            self.polyline(points)
        self.set_dash_pattern()

    def _words(self, words: Words, left: float, top: float, scale: float) -> None:
        self.set_font(_FONT, "B" if words.is_bold else "", words.size * scale / _POINT)
        self.set_text_color(words.colour)
        text = _plain(words.text)
        shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[words.anchor]
        x = left + words.x * scale - shift * self.get_string_width(text)
        self.text(x, top + words.y * scale, text)

    def _write_in(
        self, size: float, colour: tuple[int, int, int], style: str = ""
    ) -> None:
        self.set_font(_FONT, style, size)
        self.set_text_color(*colour)


def _row_height(size: float) -> float:
    """Of one line of that many points, millimetres."""
    return size * 0.6


def _widths(paper: FPDF, table: Table, size: float) -> list[float]:
    """Each column as wide as its longest word; narrow tables do not stretch."""
    paper.set_font(_FONT, "B", size)
    widest = [
        max(paper.get_string_width(_plain(text)) for text in (*parts, "0000"))
        for parts in zip(
            *(row.cells for row in table.rows),
            strict=True,
        )
    ]
    heads = [
        max(
            (paper.get_string_width(_plain(word)) for word in column.head.split(" ")),
            default=0.0,
        )
        for column in table.columns
    ]
    wanted = [max(a, b) + _GAP for a, b in zip(widest, heads, strict=True)]
    room = _WIDTH
    if sum(wanted) <= room:
        spread = min(1.6, room / sum(wanted))
        return [width * spread for width in wanted]
    # The first column is text and may break; figures may not.
    return [max(20.0, wanted[0] - (sum(wanted) - room)), *wanted[1:]]


def _plain(text: str) -> str:
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
