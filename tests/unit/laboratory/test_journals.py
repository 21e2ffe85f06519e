"""Synthetic months: the mix comes out exactly, and every call folds whole."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner

from pbx.commands import records
from pbx.laboratory.journals.mix import MIXES, WAYS, Mix
from pbx.laboratory.journals.months import synthesize
from pbx.laboratory.journals.shapes import load
from pbx.model.call import State, as_record
from pbx.model.category import Category, category_of
from pbx.model.channels import group
from pbx.model.events import read_event
from pbx.model.fold import fold
from pbx.records.journal_files import JournalFiles
from pbx.settings import PROJECT

SMALL = Mix(
    months=2,
    counts={
        Category.GHOST: 300,
        Category.PRANK: 90,
        Category.INFORMATION: 30,
        Category.VALID: 20,
    },
    scores={5: 11, 1: 1},
)
MONTHS = [date(2025, 9, 1), date(2025, 10, 1)]


def test_the_mix_is_kediris() -> None:
    kediri = MIXES["kediri"]
    assert sum(kediri.counts.values()) == 86_161
    assert sum(kediri.scores.values()) == 1_185
    mean = sum(score * n for score, n in kediri.scores.items()) / 1_185
    assert round(mean, 2) == 4.86
    assert kediri.scaled(7) == kediri
    assert kediri.scaled(14).counts[Category.VALID] == 992


@pytest.mark.parametrize("name", sorted({w.shape for ws in WAYS.values() for w in ws}))
def test_shapes_are_the_recorded_calls(name: str) -> None:
    shipped = PROJECT / "pbx/laboratory/journals/shapes" / f"{name}.jsonl"
    recorded = PROJECT / "tests/replay" / name / "journal.jsonl"
    assert shipped.read_bytes() == recorded.read_bytes()
    shape = load(name)
    assert len(shape.at_ms) == shape.form.count("\n")
    assert "081234567890" not in shape.form


def test_every_call_is_there_and_folds_whole(tmp_path: Path) -> None:
    written = synthesize(SMALL, MONTHS, tmp_path, seed=1)
    assert written.calls == SMALL.counts
    lines = list(JournalFiles.below(tmp_path).read())
    assert written.lines == len(lines)
    times = [read_event(line.raw).at for line in lines]
    assert all(one <= two for one, two in pairwise(times))
    calls = [fold(some) for some in group(read_event(line.raw) for line in lines)]
    assert len(calls) == 440
    assert Counter(category_of(call) for call in calls) == SMALL.counts
    assert not [call.call_id for call in calls if call.incomplete]
    assert {call.state for call in calls} == {State.CLOSED}
    told = [as_record(call) for call in calls]
    scores = Counter(r["survey"]["score"] for r in told if r["survey"])
    assert scores == SMALL.scores
    valid = [r for r in told if category_of(r) is Category.VALID]
    assert all(r["classified"]["type"] for r in valid)
    assert any(r["hold_seconds"] for r in valid)
    assert any(r["wrap_up_seconds"] for r in told)


def test_months_are_the_citys(tmp_path: Path) -> None:
    synthesize(SMALL, MONTHS, tmp_path, seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "journal.jsonl-2025-09",
        "journal.jsonl-2025-10",
        "notes.jsonl-2025-09",
        "notes.jsonl-2025-10",
    ]
    zone = ZoneInfo("Asia/Jakarta")
    first = datetime(2025, 10, 1, tzinfo=zone).astimezone(UTC)
    for month, is_before in (("2025-09", True), ("2025-10", False)):
        raws = (tmp_path / f"journal.jsonl-{month}").read_bytes().splitlines()
        assert {read_event(raw).at < first for raw in raws} == {is_before}


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthesize(SMALL, MONTHS, tmp_path / name, seed=seed)
    read = [
        [path.read_bytes() for path in sorted((tmp_path / name).iterdir())]
        for name in "abc"
    ]
    assert read[0] == read[1]
    assert read[0] != read[2]


def test_an_operator_has_one_conversation_at_a_time(tmp_path: Path) -> None:
    synthesize(SMALL, MONTHS[:1], tmp_path, seed=3)
    lines = JournalFiles.below(tmp_path).read()
    calls = [fold(some) for some in group(read_event(line.raw) for line in lines)]
    talks = sorted(
        (call.operator, call.connected_at, call.ended_at)
        for call in calls
        if call.operator and call.connected_at and call.ended_at
    )
    overlapping = [
        one for one, two in pairwise(talks) if one[0] == two[0] and one[2] > two[1]
    ]
    assert len(overlapping) <= len(talks) // 20  # shapes with two phones keep theirs


def test_the_command(tmp_path: Path) -> None:
    app = typer.Typer()
    records.register(app)

    def run(*words: str) -> tuple[int, str]:
        out = ["--out", str(tmp_path / "out")]
        done = CliRunner().invoke(app, ["records", "synthesize", *out, *words])
        return done.exit_code, done.output

    assert run("--mix", "nowhere")[0] == 2
    assert run("--from", "2025-05", "--to", "2025-04")[0] == 2
    assert run("--from", "May")[0] == 2
    code, told = run("--from", "2025-05", "--to", "2025-05")
    assert code == 0
    assert "9,289 ghost" in told
    code, told = run("--from", "2025-05", "--to", "2025-05")
    assert (code, "already" in told) == (1, True)
