"""Reports from real stores: Kediri's mix in small, from journals of real shapes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from pbx.commands import report as report_command
from pbx.laboratory.journals.mix import MIXES, Mix
from pbx.laboratory.journals.months import synthesize
from pbx.model.call import Call, Direction, Disposition, RingOutcome, State
from pbx.model.category import Category, category_of
from pbx.model.masking import erased, masked
from pbx.model.period import read_period
from pbx.model.report import Report
from pbx.model.reported import Rang, ReportedCall
from pbx.model.review import DROPS, Kind, Review
from pbx.records.base import now
from pbx.records.database import open_engine
from pbx.records.folding import columns_of, record_of
from pbx.records.from_journal import build_store
from pbx.records.journal_files import JournalFiles
from pbx.records.queries import Wanted, last_calls
from pbx.records.reporting import _FIELDS, count_calls
from pbx.records.reviews import WantedReviews, listed, mark
from pbx.records.tables import calls
from pbx.reports.gather import gather

pytestmark = pytest.mark.postgres

JAKARTA = ZoneInfo("Asia/Jakarta")
MONTHS = [date(2025, 9, 1), date(2025, 10, 1)]
SMALL = Mix(
    months=2,
    counts={
        Category.GHOST: 325,
        Category.PRANK: 93,
        Category.INFORMATION: 21,
        Category.VALID: 12,
    },
    scores={5: 13, 4: 2},
)


@pytest_asyncio.fixture
async def engine(url: str, tmp_path: Path) -> Any:
    synthesize(SMALL, MONTHS, tmp_path / "journals", seed=7)
    await build_store(JournalFiles.below(tmp_path / "journals"), url, lambda *_: None)
    opened = open_engine(url)
    yield opened
    await opened.dispose()


async def over(engine: AsyncEngine, period: str) -> Report:
    return await gather(engine, read_period(period, JAKARTA), lambda *_: None)


async def test_the_report_prints_what_was_called(engine: AsyncEngine) -> None:
    told = (await over(engine, "2025-09..2025-10")).total()
    assert told.evaluation.categories == SMALL.counts
    assert told.evaluation.scores == SMALL.scores
    assert told.evaluation.calls == 451
    assert told.evaluation.incomplete == 0
    assert told.service.open_ended == 0
    assert told.spared.drops == told.service.released > 200


async def test_months_and_days_add_up(engine: AsyncEngine) -> None:
    both = await over(engine, "2025-09..2025-10")
    days = await over(engine, "2025-10-01..2025-10-31")
    [_, october] = both.parts
    assert october.evaluation == days.total().evaluation
    assert october.service == days.total().service
    assert sum(p.evaluation.calls for p in both.parts) == 451


async def test_the_stream_says_what_the_whole_records_say(engine: AsyncEngine) -> None:
    for row in await listed(engine, WantedReviews(kinds=DROPS, most=5)):
        await mark(engine, row.call_id, Review.PERSON, by="Sari", note=None, at=now())
    records = await last_calls(engine, Wanted(most=10_000))
    reviews = {r.call_id: r for r in await listed(engine, WantedReviews(most=10_000))}
    slow = Report.of(read_period("2025-09..2025-10", JAKARTA))
    for record in records:
        slow.add(as_reported(record, reviews.get(record["call_id"])))
    fast = await over(engine, "2025-09..2025-10")
    assert fast == slow
    assert fast.total().spared.people_reviewed.k == 5


def as_reported(record: dict[str, Any], row: Any) -> ReportedCall:
    """By hand, from the whole record."""

    def time(name: str) -> datetime | None:
        return datetime.fromisoformat(record[name]) if record[name] else None

    said = record["classified"] or {}
    return ReportedCall(
        started_at=datetime.fromisoformat(record["started_at"]),
        disposition=Disposition(record["disposition"]),
        category=category_of(record),
        is_classified=bool(said),
        type=said.get("type"),
        score=record["survey"]["score"] if record["survey"] else None,
        is_incomplete=record["incomplete"],
        queued_at=time("queued_at"),
        connected_at=time("connected_at"),
        ended_at=time("ended_at"),
        wait_seconds=record["wait_seconds"],
        talk_seconds=record["talk_seconds"],
        hold_seconds=record["hold_seconds"],
        wrap_up_seconds=record["wrap_up_seconds"],
        operator=record["operator"],
        rings=tuple(
            Rang(r["operator"], r["ring_seconds"], RingOutcome(r["outcome"]))
            for r in record["rings"]
        ),
        is_low_priority=(record["verdict"] or {}).get("verdict") == "low-priority",
        kind=Kind(row.kind) if row else None,
        review=row.review if row else Review.UNREVIEWED,
    )


async def test_erased_records_count_as_before(engine: AsyncEngine) -> None:
    before = await over(engine, "2025-09..2025-10")
    async with engine.begin() as connection:
        for row in (await connection.execute(sa.select(calls))).all():
            await connection.execute(
                sa.update(calls)
                .where(calls.c.call_id == row.call_id)
                .values(record=erased(row.record))
            )
    after = await over(engine, "2025-09..2025-10")
    assert after == before


async def test_borders_are_the_citys_and_only_what_is_over_counts(
    engine: AsyncEngine,
) -> None:
    begin = datetime(2024, 1, 31, 17, tzinfo=UTC)
    last = datetime(2024, 2, 29, 16, 59, 59, 999000, tzinfo=UTC)
    kinds: Sequence[tuple[datetime, dict[str, Any]]] = [
        (begin, {}),
        (last, {}),
        (begin - timedelta(milliseconds=1), {}),
        (last + timedelta(milliseconds=1), {}),
        (begin, {"state": State.OPEN}),
        (begin, {"direction": Direction.OUTGOING}),
        (begin, {"joined_into": "another"}),
    ]
    async with engine.begin() as connection:
        for i, (at, told) in enumerate(kinds):
            joined = told.pop("joined_into", None)
            call = Call(
                **{
                    "call_id": f"border-{i}",
                    "state": State.CLOSED,
                    "disposition": Disposition.LEFT,
                    "started_at": at,
                    "last_event_at": at,
                }
                | told
            )
            record = {"revision": 1} | record_of(call, joined)
            row = columns_of(call, joined) | {"record": record, "revision": 1}
            await connection.execute(sa.insert(calls).values(**row, written_at=now()))
    february = await over(engine, "2024-02")
    assert [p.evaluation.calls for p in february.parts] == [1, *[0] * 27, 1]
    assert await count_calls(engine, begin, begin + timedelta(days=29)) == 2


async def test_nothing_a_stranger_may_not_see_is_read(engine: AsyncEngine) -> None:
    """Every field that a report picks passes the mask unchanged."""
    personal = {"ani": "081234567890", "keys": [{"digit": "7", "at_ms": 5}]}
    for record in await last_calls(engine, Wanted(most=10_000)):
        whole = record | personal
        shown = masked(whole)
        for path in _FIELDS:
            assert _at(shown, path) == _at(whole, path), path


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        if not value:
            return None
        value = value[step]
    return value


# ---- the command --------------------------------------------------------------------

PERSON = "081299887766"
app = typer.Typer()
report_command.register(app)


@pytest.fixture
def told(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a call that is all personal data, for the command to read."""
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    monkeypatch.setenv("GERBANG_DATABASE_URL", url)
    synthesize(SMALL, MONTHS, tmp_path / "journals", seed=7)
    asyncio.run(_fill(url, tmp_path / "journals"))
    return tmp_path


async def _fill(url: str, journals: Path) -> None:
    await build_store(JournalFiles.below(journals), url, lambda *_: None)
    opened = open_engine(url)
    async with opened.begin() as connection:
        row = (
            await connection.execute(
                sa.select(calls).where(calls.c.disposition == "connected").limit(1)
            )
        ).one()
        record = dict(row.record)
        record |= {"ani": PERSON, "caller": {"asserted": f"sip:{PERSON}@x"}}
        record["classified"] = {
            "category": "valid",
            "type": f"Bu Siti {PERSON}",
            "note": f"Bu Siti, {PERSON}",
        }
        await connection.execute(
            sa.update(calls)
            .where(calls.c.call_id == row.call_id)
            .values(record=record, ani=PERSON)
        )
    await opened.dispose()


def say(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == status, done.output
    return done.output


def test_every_form_and_nobody_in_it(told: Path) -> None:
    shown = say("2025-09..2025-10")
    assert "451 calls = 325 ghost" in shown
    assert "112 Kediri: report" in shown
    out = told / "out"
    shown += say("2025-10", "--out", str(out), "--language", "en")
    shown += (as_json := say("2025-09..2025-10", "--json"))
    parts = json.loads(as_json)["parts"]
    assert [part["name"] for part in parts] == ["2025-09", "2025-10"]
    assert sum(part["calls"] for part in parts) == 451
    shown += say("2025-09", "--csv")
    shown += say(
        "2025-10", "--html", str(told / "r.html"), "--pdf", str(told / "r.pdf")
    )
    assert (told / "r.pdf").read_bytes().startswith(b"%PDF")
    assert "Laporan 112 Kediri" in (told / "r.html").read_text()
    assert "112 Kediri: report" in (out / "report.txt").read_text()
    for path in out.glob("*.*"):
        shown += path.read_bytes().decode("utf-8", "ignore")
    assert PERSON not in shown
    assert PERSON[1:] not in shown
    assert "Siti" not in shown.title()
    assert "0812" not in shown


@pytest.mark.campaign
@pytest.mark.timeout(1800)
async def test_kediris_seven_months(tmp_path: Path) -> None:
    months = [date(2025, month, 1) for month in range(4, 11)]
    synthesize(MIXES["kediri"], months, tmp_path / "journals", seed=112)
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    await build_store(JournalFiles.below(tmp_path / "journals"), url, lambda *_: None)
    engine = open_engine(url)
    told = (await over(engine, "2025-04..2025-10")).total().evaluation
    await engine.dispose()
    assert told.categories == MIXES["kediri"].counts
    assert f"{told.rating:.2f} of {told.answers:,}" == "4.86 of 1,185"
