"""The report: every row is told, also the one that failed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tests.bench.figures import Figure
from tests.bench.report import Measured, Report, as_json, as_markdown
from tests.bench.row import Bench, Result, Row
from tests.bench.rows import ROWS, load


async def _nothing(_: Bench) -> Result:
    return Result(())


ROW = Row("ringing", "From a key to the phone", "Long   text\n on two lines.", _nothing)
FIGURE = Figure("key → ring, median", 0.1018, "s", "n = 32")
AT = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


def report(measured: Measured, *, quick: bool = False) -> Report:
    return Report(AT, {"asterisk": "22.10.1"}, [measured], quick)


def test_a_row_is_told_with_method_figures_and_conditions() -> None:
    result = Result((FIGURE,), ("all cores 40% busy",))
    text = as_markdown(report(Measured(ROW, 61.4, result)))
    assert "## From a key to the phone\n\nLong text on two lines.\n" in text
    assert "| key → ring, median | 0.102 s | n = 32 |" in text
    assert "- all cores 40% busy" in text
    assert "measured in 61 s" in text
    assert "- asterisk: 22.10.1" in text


def test_a_row_that_failed_says_why() -> None:
    text = as_markdown(report(Measured(ROW, 1.0, failure="nobody answered")))
    assert "**Not measured:** nobody answered" in text


def test_a_quick_trial_says_so() -> None:
    text = as_markdown(report(Measured(ROW, 1.0, Result(())), quick=True))
    assert "worth keeping" in text


def test_lines_fit() -> None:
    rows = [Measured(row, 1.0, Result((), ("word " * 40,))) for row in load()]
    text = as_markdown(Report(AT, {}, rows))
    assert max(map(len, text.splitlines())) <= 88


def test_json_keeps_every_digit() -> None:
    measured = Measured(ROW, 61.44, Result((FIGURE,), ("busy",)))
    told = json.loads(as_json(report(measured)))
    assert told["rows"][0]["figures"][0]["value"] == 0.1018
    assert told["rows"][0]["conditions"] == ["busy"]
    assert told["rows"][0]["failure"] is None
    failed = json.loads(as_json(report(Measured(ROW, 1.0, failure="no"))))
    assert failed["rows"][0]["failure"] == "no"
    assert failed["rows"][0]["figures"] == []


def test_each_row_is_named_as_its_module() -> None:
    assert tuple(row.name for row in load()) == ROWS
