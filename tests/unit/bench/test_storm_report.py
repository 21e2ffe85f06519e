"""The storms' page: figures as they were, a short trial said to be one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.calls.storm_report import MARK, Calm, Run, Storm, as_markdown, write

RUN = Run(60.0, 10.0, 112, "2026-11-22 07:00 UTC", 2, 0.4)
SOUND = Storm(
    "SQLite", 600, 0, 0, 0, 0, 0, 195, 2410, True, 300, 12, {"recorder killed": 9}
)
CALM = Calm("PostgreSQL", 600, 0.06, 0.12, 0.3)


def test_a_full_run_says_what_it_found() -> None:
    told = as_markdown(RUN, [SOUND], [CALM])
    assert told.startswith("60 s of 10 calls a second, seed 112, 2026-11-22 07:00 UTC")
    assert "| SQLite | 600 | 0 | 0 | 0 | 0 | 0 | 195 | 2410 | yes |" in told
    assert "recorder killed 9; looked at 300 times, 12 of them" in told
    assert "| PostgreSQL | 600 | 0.06 s | 0.12 s | 0.30 s |" in told
    columns = {line.count("|") for line in told.splitlines() if "SQLite |" in line}
    assert columns == {told.splitlines()[2].count("|")}


def test_a_short_one_says_so_first_and_a_lost_one_hides_nothing() -> None:
    lost = replace(SOUND, missing=3, has_last_word=False)
    told = as_markdown(replace(RUN, seconds=10.0), [lost], [])
    assert told.startswith("**A short trial of 10 s a storm**")
    assert "| SQLite | 600 | 3 |" in told
    assert "**no**" in told


def test_the_page_keeps_what_stands_above_its_mark(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Head\n\n{MARK}\n\nthe last one\n")
    write(page, "this one\n")
    assert page.read_text() == f"# Head\n\n{MARK}\n\nthis one\n"
    page.write_text("# Head\n")
    with pytest.raises(ValueError, match="no line"):
        write(page, "this one\n")
