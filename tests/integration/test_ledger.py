"""INVITEs = records, and the nightly comparison of everything with everything."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner, Result

from pbx.commands import records
from pbx.records import proofs as proofs_module
from pbx.records import sweep as sweep_module
from pbx.records.journal import NOTES, Journal
from pbx.records.ledger import HOUR, bring_up_to_date, ledger_of
from pbx.records.ledger_tables import invites, ledger, sweeps
from pbx.records.proofs import Proofs
from pbx.records.queue_log import read_queue_log
from pbx.records.store import RecordStore
from pbx.records.sweep import Places, sweep
from pbx.records.tables import calls, journal_lines, witnessed_calls
from pbx.settings import PROJECT
from pbx.status import Status
from tests.fakes.journal_lines import START, line
from tests.fakes.journal_writer import call_id, whole_call

pytestmark = pytest.mark.postgres

ZONE = ZoneInfo("Asia/Jakarta")
DAY = START.astimezone(ZONE).date()
LATER = START + timedelta(hours=2)
EPOCH = int(START.timestamp())


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path / "cel-custom", tmp_path / "notes", tmp_path / "log")
    for directory in (found.journals, found.notes, found.queue_log):
        directory.mkdir()
    return found


async def record_all(store: RecordStore, places: Places, count: int = 3) -> None:
    """Calls of one hour, with their journal, our own and a queue log on disk."""
    path = places.journals / "journal.jsonl"
    path.write_bytes(b"".join(raw for n in range(count) for raw in whole_call(n)))
    key = line("KEY", fact="digit=5&at_ms=1", at=9, linkedid=call_id(0))
    (places.notes / "notes.jsonl").write_bytes(key)
    (places.queue_log / "queue_log").write_text(
        f"{EPOCH}|NONE|NONE|NONE|QUEUESTART|\n"
        + "".join(
            f"{EPOCH + 1}|{call_id(n)}|darurat|NONE|ENTERQUEUE||0812|1\n"
            f"{EPOCH + 7}|{call_id(n)}|darurat|Operator 1|CONNECT|6|x|2\n"
            for n in range(count)
        )
    )
    for journal in (
        Journal(path, {}),
        Journal(places.notes / "notes.jsonl", {}, NOTES),
    ):
        while batch := journal.read():
            await store.record(batch)
            journal.advance(batch)
        journal.close()


async def execute(store: RecordStore, *statements: sa.Executable) -> None:
    async with store.engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)


async def witness(store: RecordStore, called: str, at: datetime) -> None:
    await store.witness_seen(
        called, channel="PJSIP/carrier-00000000", trunk="carrier", seen_at=at
    )


# ---- the ledger ---------------------------------------------------------------------


async def test_an_even_hour(store: RecordStore, places: Places) -> None:
    await record_all(store, places)
    for n in (0, 1, 2):
        await witness(store, call_id(n), START + timedelta(seconds=1))
    assert await bring_up_to_date(store.engine, LATER) == []
    (hour,) = await ledger_of(store.engine, START, LATER, LATER)
    assert (hour.journal, hour.witness, hour.invites, hour.records) == (3, 3, 3, 3)
    async with store.engine.connect() as connection:
        rows = (await connection.execute(sa.select(ledger))).all()
    assert [(row.hour, row.is_final) for row in rows] == [
        (START, False),
        (START + HOUR, False),
        (START + 2 * HOUR, False),
    ]
    assert await bring_up_to_date(store.engine, LATER + HOUR) == []
    async with store.engine.connect() as connection:
        final = await connection.scalars(
            sa.select(ledger.c.hour).where(ledger.c.is_final.is_(sa.true()))
        )
        assert list(final) == [START]


async def test_an_hour_that_was_even_stays_so(
    store: RecordStore, places: Places
) -> None:
    """Retention deletes records; the book of their hour is closed."""
    await record_all(store, places)
    await bring_up_to_date(store.engine, LATER + HOUR)
    await execute(store, sa.delete(calls))
    assert await bring_up_to_date(store.engine, LATER + 2 * HOUR) == []
    (hour,) = await ledger_of(store.engine, START, LATER, LATER + 2 * HOUR)
    assert (hour.invites, hour.records) == (3, 3)


async def test_an_invite_without_a_record(store: RecordStore, places: Places) -> None:
    await record_all(store, places)
    await witness(store, "kediri-1-1.1", START + timedelta(seconds=9))
    await execute(store, sa.delete(calls).where(calls.c.call_id == call_id(1)))
    (hour,) = await bring_up_to_date(store.engine, LATER)
    assert (hour.journal, hour.witness, hour.invites, hour.records) == (3, 1, 4, 2)
    assert hour.missing == ("kediri-1-1.1", call_id(1))


async def test_a_record_nobody_saw_come_in(store: RecordStore, places: Places) -> None:
    """Its CHAN_START is lost, and the witness was away."""
    path = places.journals / "journal.jsonl"
    path.write_bytes(b"".join(whole_call(0)[1:]))
    journal = Journal(path, {})
    batch = journal.read()
    assert batch is not None
    await store.record(batch)
    journal.close()
    (hour,) = await bring_up_to_date(store.engine, LATER)
    assert (hour.invites, hour.records, hour.unseen) == (0, 1, (call_id(0),))
    await witness(store, call_id(0), START)
    assert await bring_up_to_date(store.engine, LATER) == []


async def test_what_has_just_begun_is_not_counted_yet(
    store: RecordStore, places: Places
) -> None:
    await witness(store, "kediri-1-1.1", START)
    assert await bring_up_to_date(store.engine, START + timedelta(seconds=10)) == []
    assert await bring_up_to_date(store.engine, START + timedelta(seconds=30)) != []


async def test_months_are_counted_in_pieces(store: RecordStore) -> None:
    hours = [START + n * HOUR for n in range(0, 200, 2)]
    await execute(
        store,
        *(sa.insert(invites).values(channel=f"{at}", at=at) for at in hours),
    )
    counted = []
    for _ in range(3):
        await bring_up_to_date(store.engine, START + timedelta(days=30))
        async with store.engine.connect() as connection:
            rows = await connection.execute(sa.select(ledger).order_by(ledger.c.hour))
            counted.append({row.hour: row.journal for row in rows})
    assert len(counted[0]) < 50 < len(counted[1]) < 100
    assert dict.fromkeys(hours, 1) == {
        at: count for at, count in counted[2].items() if count
    }
    # Long ago there was nothing to count in the hours between, nor afterwards.
    assert min(counted[2]) == START
    assert len(counted[2]) < 100 + 49


async def test_hours_of_a_clock_that_was_ahead_are_counted_again(
    store: RecordStore, places: Places
) -> None:
    """Seven hours ahead, an empty hour was settled before it had begun."""
    await witness(store, "kediri-1-1.1", START - HOUR)
    ahead = START + timedelta(hours=7)
    await bring_up_to_date(store.engine, ahead)
    await execute(store, sa.delete(witnessed_calls))
    await record_all(store, places)
    await execute(store, sa.delete(calls).where(calls.c.call_id == call_id(1)))
    (shown,) = await ledger_of(store.engine, START, LATER, LATER)
    (hour,) = await bring_up_to_date(store.engine, LATER)
    assert hour == shown
    assert (hour.hour, hour.missing) == (START, (call_id(1),))


async def test_a_line_of_1970_does_not_hold_up_the_ledger(
    store: RecordStore, places: Places
) -> None:
    """A machine whose clock's battery is empty wakes up there."""
    await witness(store, "kediri-1-1.1", datetime(1970, 1, 1, 3, tzinfo=UTC))
    await record_all(store, places)
    await execute(store, sa.delete(calls).where(calls.c.call_id == call_id(1)))
    (hour,) = await bring_up_to_date(store.engine, LATER)
    assert (hour.hour, hour.missing) == (START, (call_id(1),))


# ---- the sweep ----------------------------------------------------------------------


async def found_by(store: RecordStore, places: Places) -> list[tuple[str, str]]:
    found = await sweep(store.engine, DAY, ZONE, places)
    assert found.differences == len(found.told)
    return [(one.kind, one.what) for one in found.told]


async def test_nothing_differs(store: RecordStore, places: Places) -> None:
    await record_all(store, places)
    found = await sweep(store.engine, DAY, ZONE, places)
    assert found.told == []
    assert (found.files, found.calls, found.waited) == (2, 3, 3)
    assert found.lines == 3 * len(whole_call(0)) + 1


async def test_every_kind_of_difference(store: RecordStore, places: Places) -> None:
    await record_all(store, places, 5)
    log = places.queue_log / "queue_log"
    told = log.read_text().splitlines(keepends=True)
    log.write_text(
        "".join(row for row in told if call_id(2) not in row)
        + f"{EPOCH}|kediri-1-9.9|darurat|NONE|ENTERQUEUE||0812|1\n"
    )
    async with store.engine.connect() as connection:
        lines = (
            await connection.execute(
                sa.select(
                    journal_lines.c.id, journal_lines.c.journal, journal_lines.c.offset
                )
                .where(journal_lines.c.call_id == call_id(0))
                .order_by(journal_lines.c.id)
            )
        ).all()
        record = await connection.scalar(
            sa.select(calls.c.record).where(calls.c.call_id == call_id(3))
        )
    await execute(
        store,
        sa.delete(journal_lines).where(journal_lines.c.id == lines[4].id),
        sa.update(journal_lines)
        .where(journal_lines.c.id == lines[5].id)
        .values(raw=b"?"),
        sa.update(calls)
        .where(calls.c.call_id == call_id(3))
        .values(record=record | {"connected_at": None}),
        sa.delete(calls).where(calls.c.call_id == call_id(4)),
        sa.update(calls).where(calls.c.call_id == call_id(1)).values(state="open"),
    )
    found = await found_by(store, places)
    assert sorted(found) == sorted(
        [
            ("line-not-stored", f"{lines[4].journal}:{lines[4].offset}"),
            ("line-differs", f"{lines[5].journal}:{lines[5].offset}"),
            ("record-differs", call_id(0)),
            ("record-differs", call_id(1)),
            ("record-differs", call_id(3)),
            ("queue-log-differs", call_id(3)),
            ("queue-log-misses", call_id(2)),
            ("queue-log-without-record", "kediri-1-9.9"),
            ("queue-log-without-record", call_id(4)),
            ("invite-without-record", call_id(4)),
        ]
        + ([("call-still-open", call_id(1))] if is_long_ago() else [])
    )


def is_long_ago() -> bool:
    return datetime.now(UTC) - timedelta(hours=2) > START


async def test_without_files_the_tables_are_compared(
    store: RecordStore, places: Places
) -> None:
    await record_all(store, places)
    for path in (
        places.journals / "journal.jsonl",
        places.notes / "notes.jsonl",
        places.queue_log / "queue_log",
    ):
        path.unlink()
    found = await sweep(store.engine, DAY, ZONE, places)
    assert (found.told, found.lines, found.waited, found.calls) == ([], 0, None, 3)


async def test_files_that_cannot_be_read_are_told(
    store: RecordStore, places: Places
) -> None:
    """One of them ended every sweep from then on, with a line in the log."""
    await record_all(store, places)
    packed = gzip.compress(b"".join(whole_call(7)))
    bad = places.journals / "journal.jsonl.1.gz"
    bad.write_bytes(packed[:-30])
    unknown = places.journals / "journal.jsonl.2.zst"
    unknown.write_bytes(b"?")
    log = places.queue_log / "queue_log.1.gz"
    log.write_bytes(gzip.compress(b"1|2|3|4|5|\n" * 99)[:-9])
    assert sorted(await found_by(store, places)) == sorted(
        ("file-unreadable", str(path)) for path in (bad, unknown, places.queue_log)
    )


async def test_a_queue_log_that_begins_later_says_nothing_of_before(
    store: RecordStore, places: Places
) -> None:
    """Older ones are deleted when their days are over; every caller was missed."""
    await record_all(store, places)
    log = places.queue_log / "queue_log"
    log.write_text("")
    assert await found_by(store, places) == []
    log.write_text(f"{EPOCH + 86_400}|NONE|NONE|NONE|QUEUESTART|\n")
    assert await found_by(store, places) == []
    log.write_text(f"{EPOCH}|NONE|NONE|NONE|QUEUESTART|\n")
    missed = [("queue-log-misses", call_id(n)) for n in range(3)]
    assert sorted(await found_by(store, places)) == missed


async def test_who_waited_may_be_part_of_an_operators_older_call(
    store: RecordStore, places: Places
) -> None:
    older = {"channel": "kediri-1-1795000000.7", "linkedid": "kediri-1-1795000000.7"}
    await record_all(store, places, 1)
    path = places.journals / "journal.jsonl"
    path.write_bytes(
        line("CHAN_START", name="PJSIP/101-00000007", context="operators", **older)
        + path.read_bytes()
        + line("ANSWER", at=8, channel=call_id(0), linkedid=older["linkedid"])
    )
    journal = Journal(path, {})
    batch = journal.read()
    assert batch is not None
    await store.record(batch)
    journal.close()
    assert ("queue-log-misses", older["channel"]) not in await found_by(store, places)


async def test_a_caller_answered_after_the_queue_log_was_rotated(
    store: RecordStore, places: Places
) -> None:
    await record_all(store, places)
    log = places.queue_log / "queue_log"
    told = log.read_text().splitlines(keepends=True)
    log.write_text("".join(row for row in told if "CONNECT" in row))
    log.with_name("queue_log-20261122").write_text(
        "".join(row for row in told if "CONNECT" not in row)
    )
    waited = read_queue_log(places.queue_log, START, LATER)
    assert waited is not None
    assert [w.connected for w in waited.values()] == [True] * 3


async def test_a_file_that_lost_its_end_and_grew_again(
    store: RecordStore, places: Places
) -> None:
    """A power cut takes what was not on disk yet; the recorder had read it."""
    await record_all(store, places)
    path = places.journals / "journal.jsonl"
    journal = Journal(path, await store.positions())
    whole = path.read_bytes()
    lost = sum(map(len, whole_call(2)[-3:]))
    path.write_bytes(whole[:-lost] + b"".join(whole_call(3)))
    while batch := journal.read():
        await store.record(batch)
        journal.advance(batch)
    journal.close()
    log = places.queue_log / "queue_log"
    row = f"{EPOCH + 1}|{call_id(3)}|darurat|NONE|ENTERQUEUE||0812|1\n"
    log.write_text(log.read_text() + row)
    assert await found_by(store, places) == []


# ---- in the recorder ----------------------------------------------------------------


async def test_alarms_of_ledger_and_sweep(
    url: str,
    store: RecordStore,
    places: Places,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await record_all(store, places)
    await execute(store, sa.delete(calls).where(calls.c.call_id == call_id(1)))
    status = Status(tmp_path / "run", "recorder")
    morning = datetime.combine(DAY + timedelta(days=1), proofs_module.NIGHT, ZONE)
    monkeypatch.setattr(proofs_module, "now", lambda: morning.astimezone(UTC))
    night = Proofs(url, lambda: ZONE, places, status)
    await night.look(store.engine)
    assert "1 INVITE" not in status.alarms["ledger-difference"]["sentence"]
    assert "3 INVITEs and 2 records" in status.alarms["ledger-difference"]["sentence"]
    assert night._sweeping is not None
    await night._sweeping
    assert "invite-without-record" in json.dumps(await report(store, DAY))
    assert "sweep-difference" in status.alarms
    await night.look(store.engine)
    await night.close()


async def report(store: RecordStore, day: date) -> Any:
    async with store.engine.connect() as connection:
        return await connection.scalar(
            sa.select(sweeps.c.report).where(sweeps.c.day == day)
        )


async def test_a_day_is_swept_once_and_not_before_its_night(
    url: str,
    store: RecordStore,
    places: Places,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = Status(tmp_path / "run", "recorder")
    night = Proofs(url, lambda: ZONE, places, status)
    at = datetime.combine(DAY + timedelta(days=1), proofs_module.NIGHT, ZONE)
    moments = {"before": at - timedelta(seconds=1), "after": at}

    async def due(moment: str) -> date | None:
        for module in (proofs_module, sweep_module):
            monkeypatch.setattr(module, "now", lambda: moments[moment])
        return await night._due(store.engine)

    assert await due("after") is None  # there is not one call yet
    await record_all(store, places)
    assert await due("before") is None
    assert await due("after") == DAY
    await night.look(store.engine)
    assert night._sweeping is not None
    await night._sweeping
    assert status.alarms == {}
    assert await due("after") is None
    ahead = sa.update(sweeps).values(swept_at=at + timedelta(days=1))
    await execute(store, ahead)
    assert await due("after") == DAY


async def test_what_fails_there_does_not_reach_the_recorder(
    url: str, store: RecordStore, places: Places, tmp_path: Path
) -> None:
    night = Proofs(url, lambda: ZONE, places, Status(tmp_path / "run", "recorder"))
    await execute(store, sa.text("DROP TABLE ledger"))
    await night.look(store.engine)


# ---- the commands -------------------------------------------------------------------


async def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    places = Places(
        state / "asterisk/log/cel-custom", state / "notes", state / "asterisk/log"
    )
    for directory in (places.journals, places.notes):
        directory.mkdir(parents=True)
    opened = await RecordStore.open(f"sqlite+aiosqlite:///{state / 'records.sqlite3'}")
    await record_all(opened, places)
    monkeypatch.setenv("GERBANG_STATE", str(state))
    monkeypatch.setenv("GERBANG_CITY", str(PROJECT / "asterisk-config" / "city.toml"))
    monkeypatch.delenv("GERBANG_DATABASE_URL", raising=False)
    assert await run("ledger", f"{DAY}") == (0, True)
    assert await run("sweep", "--day", f"{DAY}") == (0, True)
    await execute(opened, sa.delete(calls).where(calls.c.call_id == call_id(1)))
    await opened.close()
    assert await run("ledger", f"{DAY}", "--json") == (1, True)
    assert await run("sweep", "--day", f"{DAY}", "--json") == (1, True)
    assert await run("sweep", "--day", f"{DAY}") == (1, True)
    assert await run("ledger") == (0, True)
    assert await run("ledger", "soon") == (2, True)
    assert await run("sweep", "--day", "soon") == (2, True)


async def run(*words: str) -> tuple[int, bool]:
    """Exit status, and whether something was said."""
    import asyncio

    app = typer.Typer()
    records.register(app)

    def invoke() -> Result:
        return CliRunner().invoke(app, ["records", *words])

    done = await asyncio.to_thread(invoke)
    return done.exit_code, bool(done.output)
