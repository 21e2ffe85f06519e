"""Reports on every kind of paper: what they say, and that nothing in them misleads."""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pbx.model.call import Disposition
from pbx.model.category import Category
from pbx.model.report import Report
from pbx.model.service_level import YARDSTICKS
from pbx.reports import files, tables
from pbx.reports.contents import Letterhead, document
from pbx.reports.drawing import Box, Drawing, Stroke, Words, svg
from pbx.reports.html import page
from pbx.reports.language import LANGUAGES, Language
from pbx.reports.pdf import pdf
from pbx.reports.plain import plain
from pbx.reports.text import lines
from pbx.reports.words import TEXTS
from pbx.settings import PROJECT
from tests.unit.reports.made import BEGIN, HEAD, JAKARTA, ghost, october, report, talked


def text(told: Report, language: str = "en", head: Letterhead = HEAD) -> str:
    return "\n".join(lines(document(told, head, language)))


def written_in(paper: bytes) -> str:
    """The words of a PDF: its text strings, page after page."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", paper, re.DOTALL):
        try:
            content = zlib.decompressobj().decompress(stream)
        except zlib.error:
            continue
        found += re.findall(rb"\((.*?)(?<!\\)\) ?Tj", content)
    return re.sub(r"\\(.)", r"\1", b"\n".join(found).decode("cp1252"))


# ---- text ---------------------------------------------------------------------------


def test_the_headline_adds_up() -> None:
    told = text(october())
    assert (
        "47 calls = 31 ghost (65.96 %) + 6 prank (12.77 %) + 1 information (2.13 %) +"
    ) in told
    assert "1 October 2025 to 31 October 2025, Asia/Jakarta time" in told
    assert re.search(r"^Total +47 +31 +65.96 +6 +12.77 +1 +2.13 +7 +14.89", told, re.M)


def test_the_citys_own_language_writes_its_own_numbers() -> None:
    told = text(october(), "id")
    assert "47 panggilan = 31 ghost (65,96 %)" in told
    assert "Laporan 112 Kediri" in told
    assert "permintaan ambulans" in told


def test_a_word_of_one_operator_stays_out_of_sight() -> None:
    for language in LANGUAGES:
        assert "Budi" not in text(october(), language).title()
    assert re.search(r"ambulance requests +6 +85.71", text(october()))
    assert re.search(r"other +1 +14.29", text(october()))


def test_a_lost_call_is_pointed_at() -> None:
    told = text(october())
    assert re.search(r"lost by us +1 +2.13 !", told)
    assert "gerbang calls" in told


def test_a_period_without_calls_says_so() -> None:
    told = text(report("2025-10"))
    assert "No calls are recorded in this period." in told
    assert "EVALUATION" not in told


def test_a_day_is_told_by_hours() -> None:
    told = report("2025-10-01")
    told.add(talked(7.2, Category.VALID))
    shown = text(told)
    assert "1 October 2025 (Asia/Jakarta)" in shown
    assert re.search(r"^07:00 +1 ", shown, re.M)
    assert "Nobody has rated the service." in shown


def test_years_are_told_by_months() -> None:
    assert re.search(r"^February 2025 +0 ", text(_one_call("2025")), re.M)


def _one_call(period: str) -> Report:
    told = report(period)
    told.add(talked(0, Category.PRANK, operator=None, rings=()))
    return told


def test_nothing_to_tell_is_told() -> None:
    shown = text(_one_call("2025-10"))
    assert "There is no valid call." in shown
    assert "No phone rang." in shown
    assert re.search(r"so people among the dropped +unknown", shown)


def test_a_period_that_goes_on_says_so() -> None:
    early = Letterhead("", datetime(2025, 10, 12, tzinfo=UTC))
    shown = text(_one_call("2025-10"), head=early)
    assert "The period is not over: figures up to 12 Oct 2025 07:00." in shown
    assert shown.startswith("112\n")


def test_where_no_wait_counts_no_24_hours_are_judged() -> None:
    assert "any 24 hours" not in text(report_with_no_day())


def report_with_no_day() -> Report:
    """Calls that asked for nobody: no wait counts."""
    told = report("2025-10")
    told.add(ghost(1))
    return told


# ---- languages ----------------------------------------------------------------------


def test_every_text_is_there_in_both_languages() -> None:
    for key, texts in TEXTS.items():
        holes = [set(re.findall(r"\{(\w+)\}", one)) for one in texts]
        assert all(texts), key
        assert holes[0] == holes[1], key


def test_every_text_is_used() -> None:
    code = "".join(p.read_text() for p in (PROJECT / "pbx/reports").rglob("*.py"))
    code = code.replace((PROJECT / "pbx/reports/words.py").read_text(), "")
    computed = {"month", "day", "hour"}  # a period's unit
    computed |= {d.value for d in Disposition} | {c.value for c in Category}
    computed |= {y.name for y in YARDSTICKS}
    said = set(re.findall(r"[\"']([a-z0-9-]+)[\"']", code))
    assert set(TEXTS) - said - computed == set()


@pytest.mark.parametrize(
    ("code", "count", "percent", "missing"),
    [("en", "86,161", "75.47\u00a0%", "–"), ("id", "86.161", "75,47\u00a0%", "–")],
)
def test_numbers(code: str, count: str, percent: str, missing: str) -> None:
    lang = Language(code)
    assert lang.count(86_161) == count
    assert lang.percent(65_024 / 86_161) == percent
    assert (lang.percent(None), lang.decimal(None), lang.seconds(None)) == (
        missing,
        missing,
        missing,
    )
    assert lang.duration(3_661.4) == "1:01:01"


# ---- HTML ---------------------------------------------------------------------------


class _Page(HTMLParser):
    """Complains about tags that do not close each other, and notes what is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.met: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.met.add(tag)
        self.loaded += [v or "" for k, v in attrs if k in ("src", "href", "srcset")]
        if tag not in ("meta", "br", "html", "rect", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("html", "rect", "polyline"):
            return
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_stands_alone(language: str) -> None:
    shown = page(document(october(), HEAD, language))
    read = _Page()
    read.feed(shown)
    assert read.open == []
    assert read.loaded == []
    assert "script" not in read.met
    assert {"svg", "table", "section"} <= read.met
    assert f'<html lang="{language}">' in shown
    assert "@import" not in shown
    assert "url(" not in shown


def test_an_empty_page() -> None:
    shown = page(document(report("2025-10"), HEAD, "id"))
    assert "Tidak ada panggilan yang tercatat" in shown
    assert "<svg" not in shown


def test_what_operators_and_cities_write_cannot_break_the_page() -> None:
    told = report("2025-10")
    for _ in range(3):
        told.add(talked(1, Category.VALID, type="ular & biawak"))
    head = Letterhead("<b>Kediri</b>", HEAD.made_at)
    shown = page(document(told, head, "en"))
    assert "ular &amp; biawak" in shown
    assert "<b>Kediri" not in shown


def test_a_drawing_is_well_formed_and_tells_itself() -> None:
    drawing = Drawing(
        "A",
        'says "x" & <y>',
        100,
        50,
        [
            Box(0, 0, 5, 5, "#fff", "<tip>"),
            Box(0, 0, 5, 5, "#fff"),
            Stroke([(0, 0), (1, 2)], is_dashed=True),
            Words(1, 1, "a < b", is_bold=True),
        ],
    )
    root = ElementTree.fromstring(svg(drawing))
    assert root.get("aria-label") == 'says "x" & <y>'
    assert [child.tag.rpartition("}")[2] for child in root] == [
        "rect",
        "rect",
        "polyline",
        "text",
    ]


# ---- PDF ----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pdf_says_what_the_page_says(language: str) -> None:
    told = document(october(), HEAD, language)
    paper = pdf(told)
    assert paper.startswith(b"%PDF-")
    shown = written_in(paper)
    assert told.title in shown
    for section in told.sections:
        assert section.title in shown
    assert "101" in shown


def test_a_quarter_of_days_breaks_over_pages_and_repeats_its_head() -> None:
    told = report("2025-09-01..2025-11-30")
    told.add(talked(1, Category.VALID))
    paper = pdf(document(told, HEAD, "en"))
    assert paper.count(b"/Type /Page\n") > 5
    assert written_in(paper).count("put through") > 1


def test_letters_the_font_lacks_lose_their_accents() -> None:
    head = Letterhead("Kędzierzyn 北", HEAD.made_at)
    assert "112 Kedzierzyn ?: report" in written_in(
        pdf(document(report("2025-10"), head, "en"))
    )


# ---- JSON and CSV -------------------------------------------------------------------


def test_json_has_the_figures_of_the_text() -> None:
    told = json.loads(json.dumps(plain(october(), HEAD)))
    assert told["version"] == 1
    assert (told["period"], told["unit"]) == ("2025-10", "day")
    assert (told["begin"], told["end"]) == (
        "2025-09-30T17:00:00Z",
        "2025-10-31T17:00:00Z",
    )
    total = told["total"]
    assert total["calls"] == 47
    assert total["categories"]["ghost"] == {"calls": 31, "percent": 65.96}
    assert total["rating"]["mean"] == 4.86
    assert total["rating"]["scores"]["5"] == 6
    assert total["report_types"][0] == {"type": "ambulance", "calls": 6}
    assert total["dispositions"]["lost"] == 1
    assert total["yardsticks"]["nena-15"]["percent"] == 88.24
    assert total["yardsticks"]["nena-15"]["kept"] is False
    assert total["drops"]["reviewed"] == 4
    assert total["holdout"]["people_dropped"]["estimate"] == 0.0
    assert sum(part["calls"] for part in told["parts"]) == 47
    assert len(told["hours"]["week"]) == 7
    assert [o["operator"] for o in told["operators"]] == ["101", "102"]


def test_an_empty_report_has_every_key() -> None:
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        return None

    full, empty = plain(october(), HEAD), plain(report("2025-10"), HEAD)
    people = empty["total"]["holdout"].pop("people_dropped")
    full["total"]["holdout"].pop("people_dropped")
    assert people is None
    assert shape(empty["total"]) == shape(full["total"])
    assert shape(empty) == shape(full)


def test_every_key_is_documented() -> None:
    documented = (PROJECT / "docs" / "reports.md").read_text()

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            value.pop("scores", None)  # 1 to 5
            return set(value).union(*map(keys, value.values()))
        if isinstance(value, list):
            return set().union(*map(keys, value))
        return set()

    told = keys(plain(october(), HEAD))
    assert sorted(key for key in told if f"`{key}`" not in documented) == []


def read_csv(told: str) -> list[dict[str, str]]:
    assert "\r\n" in told
    assert "\n" not in told.replace("\r\n", "")
    return list(csv.DictReader(io.StringIO(told, newline=""), strict=True))


def test_parts_have_a_row_each_and_one_for_all() -> None:
    rows = read_csv(tables.parts(october()))
    assert len(rows) == 32
    assert rows[0]["name"] == "2025-10-01"
    assert rows[-1]["name"] == "2025-10"
    assert sum(int(row["calls"]) for row in rows[:-1]) == int(rows[-1]["calls"]) == 47
    assert rows[-1]["categories.ghost.percent"] == "65.96"
    assert rows[-1]["yardsticks.nena-15.kept"] == "no"


def test_quarters_of_an_hour() -> None:
    told = report("2025-10")
    for minutes, seconds in ((0, 4.0), (14.99, 16.0), (15, 12.0)):
        start = BEGIN + timedelta(minutes=minutes)
        told.add(
            talked(
                minutes / 60,
                Category.VALID,
                connected_at=start + timedelta(seconds=seconds),
            )
        )
    first, second = read_csv(tables.slots(told))
    assert first["begin"] == "2025-10-01T00:00:00+07:00"
    assert (first["calls"], first["within_5_s"], first["within_15_s"]) == (
        "2",
        "1",
        "1",
    )
    assert (first["within_5_s_percent"], first["within_20_s_percent"]) == (
        "50.0",
        "100.0",
    )
    assert second["begin"] == "2025-10-01T00:15:00+07:00"
    assert second["longest_seconds"] == "12.0"
    released = read_csv(tables.slots(report_with_no_day()))
    assert released[0]["within_5_s_percent"] == ""


def test_other_tables() -> None:
    told = october()
    assert read_csv(tables.types(told))[0] == {"type": "ambulance", "calls": "6"}
    assert len(read_csv(tables.hours(told))) == 24
    assert [row["operator"] for row in read_csv(tables.operators(told))] == [
        "101",
        "102",
    ]
    assert tables.operators(report("2025-10")) == "operator\r\n"


def test_a_spreadsheet_finds_no_formula() -> None:
    told = tables._csv(
        ("a", "b"),
        [["=1+1", "+62"], [-3, 'a "b", c'], [None, True], ["@x", "\tx"]],
    )
    assert told.split("\r\n") == [
        "a,b",
        "'=1+1,'+62",
        '-3,"a ""b"", c"',
        ",yes",
        "'@x,'\tx",
        "",
    ]


# ---- files --------------------------------------------------------------------------


@pytest.mark.parametrize("name", files.NAMES)
def test_each_file_is_whole_or_not_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / "deep" / name
    files.write(path, name, october(), HEAD, "id")
    assert path.stat().st_size > 20
    assert path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_what_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.txt").mkdir()
    with pytest.raises(OSError, match="irectory"):
        files.write(tmp_path / "report.txt", "report.txt", october(), HEAD, "en")
    assert [p.name for p in tmp_path.iterdir()] == ["report.txt"]


def test_the_zone_is_the_periods() -> None:
    assert october().period.zone == JAKARTA
