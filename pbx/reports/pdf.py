"""A report as PDF, on A4: head and foot, tiles, sections, drawings."""

from __future__ import annotations

from collections.abc import Sequence

from pbx.reports.document import Document, Note, Section, Table, Tile
from pbx.reports.drawing import Box, Drawing, Stroke, Words
from pbx.reports.sheet import (
    BAD,
    DEEP,
    FONT,
    GOOD,
    INK,
    LINE,
    MARGIN,
    POINT,
    QUIET,
    WIDTH,
    Sheet,
    plain,
    row_height,
)


def pdf(document: Document) -> bytes:
    """The report as the bytes of a PDF file."""
    paper = _Paper(document)
    paper.add_page()
    paper.opening()
    for section in document.sections:
        paper.section(section)
    return bytes(paper.output())


class _Paper(Sheet):
    """Sheets with our head, foot and drawings."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.alias_nb_pages("{pages}")
        self.set_title(plain(f"{document.title}, {document.subtitle}"))
        self.set_creator("Gerbang112")
        self.set_lang(document.language)

    def header(self) -> None:
        """From the second page on: what this is."""
        if self.page_no() == 1:
            return
        self.write_in(7.5, QUIET)
        told = f"{self.document.title} · {self.document.subtitle}"
        self.set_y(9)
        self.cell(0, 4, plain(told), new_x="LMARGIN", new_y="NEXT")
        self.set_y(16)

    def footer(self) -> None:
        """When it was made, and the page."""
        self.write_in(7.5, QUIET)
        self.set_y(-12)
        self.cell(WIDTH / 2, 4, plain(self.document.made))
        self.set_x(-MARGIN - 10)  # not align="R": the alias is wider than its number
        self.cell(10, 4, f"{self.page_no()} / {{pages}}")

    def opening(self) -> None:
        """Title, headline and tiles."""
        self.set_fill_color(*DEEP)
        self.rect(0, 0, 210, 34, style="F")
        self.set_y(11)
        self.write_in(19, (255, 255, 255), "B")
        self.cell(0, 8, plain(self.document.title), new_x="LMARGIN", new_y="NEXT")
        self.write_in(10.5, (214, 230, 232))
        self.cell(0, 6, plain(self.document.subtitle), new_x="LMARGIN", new_y="NEXT")
        self.set_y(40)
        self.write_in(11, INK, "B")
        headline = plain(self.document.headline)
        self.multi_cell(0, 5.4, headline, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(3)
        if self.document.tiles:
            self._tiles(self.document.tiles)

    def _tiles(self, tiles: Sequence[Tile]) -> None:
        gap, top = 2.5, self.get_y()
        width = (WIDTH - gap * (len(tiles) - 1)) / len(tiles)
        for i, tile in enumerate(tiles):
            x = MARGIN + (width + gap) * i
            colour = {None: LINE, True: GOOD, False: BAD}[tile.is_good]
            self.set_fill_color(246, 248, 249)
            self.rect(x, top, width, 21, style="F")
            self.set_fill_color(*colour)
            self.rect(x, top, width, 0.9, style="F")
            self.write_in(6.6, QUIET)
            self.set_xy(x + 1, top + 2)
            self.multi_cell(width - 2, 2.7, plain(tile.label), align="L")
            self.write_in(12.5, INK, "B")
            self.set_xy(x + 1, top + 8.5)
            self.cell(width - 2, 6, plain(tile.value))
            self.write_in(6.6, QUIET)
            self.set_xy(x + 1, top + 15)
            self.multi_cell(width - 2, 2.7, plain(tile.note), align="L")
        self.set_xy(MARGIN, top + 24)

    def section(self, section: Section) -> None:
        """Its title stays with what follows."""
        self.ln(3)
        if section.title:
            self._keep_together(section)
            self.write_in(12.5, DEEP, "B")
            self.cell(0, 7, plain(section.title), new_x="LMARGIN", new_y="NEXT")
        for block in section.blocks:
            match block:
                case Note():
                    self._note(block)
                case Table():
                    self.lay(block)
                case Drawing():
                    self._draw(block)

    def _keep_together(self, section: Section) -> None:
        match section.blocks[0]:
            case Drawing(height=height):
                self.need(13 + height * POINT)
            case Table(rows=rows):
                self.need(13 + row_height(6) * min(len(rows), 4))
            case Note():
                self.need(24)

    def _note(self, note: Note) -> None:
        self.ln(1)
        self.write_in(8, QUIET)
        told = plain(note.text)
        self.multi_cell(0, 3.7, told, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(1)

    def _draw(self, drawing: Drawing) -> None:
        scale = WIDTH / drawing.width
        self.need(9 + drawing.height * scale)
        self.caption(drawing.title)
        left, top = MARGIN, self.get_y()
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
        self.set_xy(MARGIN, top + drawing.height * scale + 1)

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
        self.set_font(FONT, "B" if words.is_bold else "", words.size * scale / POINT)
        self.set_text_color(words.colour)
        text = plain(words.text)
        shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[words.anchor]
        x = left + words.x * scale - shift * self.get_string_width(text)
        self.text(x, top + words.y * scale, text)
