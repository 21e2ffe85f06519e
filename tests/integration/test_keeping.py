"""What is over its time goes, what is not stays, and nothing brings it back."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pbx.model.masking import ERASED
from pbx.model.numbers import normalised
from pbx.model.retention import Retention
from pbx.model.review import Review
from pbx.records import audit, certificates, erased_calls, erasures, reviews
from pbx.records import person as persons
from pbx.records.certificates import Certificate, hash_of
from pbx.records.database import migrate
from pbx.records.feed import entries_after
from pbx.records.from_journal import build_store
from pbx.records.journal import Journal
from pbx.records.journal_files import JournalFiles
from pbx.records.keeping import carry_out
from pbx.records.privacy_tables import erasures as erased_table
from pbx.records.privacy_tables import legal_holds
from pbx.records.rebuild import Looked, compare
from pbx.records.store import RecordStore, StalePositionError, is_poison
from pbx.records.tables import (
    call_members,
    calls,
    journal_lines,
    journal_offsets,
    outbox,
    witnessed_calls,
)
from tests.fakes.journal_lines import line

pytestmark = pytest.mark.postgres

REPLAY = Path(__file__).parent.parent / "replay"
ALL = sorted(path.parent.name for path in REPLAY.glob("*/journal.jsonl"))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


async def feed(store: RecordStore, folder: str) -> None:
    journal = Journal(REPLAY / folder / "journal.jsonl", await store.positions())
    while (batch := journal.read()) is not None:
        await store.record(batch)
        journal.advance(batch)
    journal.close()


async def rows(store: RecordStore, query: Any) -> list[Any]:
    async with store.engine.connect() as connection:
        return list((await connection.execute(query)).all())


async def first(store: RecordStore) -> Any:
    (row,) = await rows(store, sa.select(calls).where(calls.c.joined_into.is_(None)))
    return row


async def after(
    store: RecordStore, secrets: Path, days: int, declared: Retention | None = None
) -> list[Certificate]:
    """What a run does so many whole days after the newest call."""
    newest = max(row.started_at for row in await rows(store, sa.select(calls)))
    midnight = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + timedelta(days=days + 1)
    return await carry_out(store.engine, declared or Retention(), at, secrets=secrets)


async def count(store: RecordStore, table: sa.Table) -> int:
    return len(await rows(store, sa.select(table)))


# ---- each class in its time ----------------------------------------------------------


async def test_each_class_goes_when_its_days_are_over(
    store: RecordStore, secrets: Path
) -> None:
    await feed(store, "key-connected")
    before = await first(store)
    ani = before.ani
    assert len(ani) > 6
    assert await after(store, secrets, 89) == []

    (lines,) = await after(store, secrets, 90)
    assert (lines.what, lines.rule, lines.count) == (
        "raw lines",
        "raw_line_days = 90",
        1,
    )
    assert lines.ids_sha256 == hash_of([before.call_id])
    assert await count(store, journal_lines) == 0
    assert await first(store) == before  # the record itself did not change

    assert await after(store, secrets, 364) == []
    (numbers,) = await after(store, secrets, 365)
    assert numbers.what == "numbers"
    row = await first(store)
    assert (row.ani, row.record["ani"], row.revision) == (
        None,
        ERASED,
        before.revision + 1,
    )
    assert row.record["erased_at"] is not None
    assert row.record["revision"] == row.revision
    assert ani not in json.dumps(row.record)
    assert row.record["disposition"] == before.record["disposition"]
    (told,) = (await entries_after(store.engine, 0, most=10))[-1:]
    assert (told.revision, told.record) == (row.revision, row.record)

    assert await after(store, secrets, 1824) == []
    (whole,) = await after(store, secrets, 1825)
    assert whole.what == "whole records"
    for table in (calls, call_members, journal_lines):
        assert await count(store, table) == 0
    (gone,) = await entries_after(store.engine, told.cursor, most=10)
    assert (gone.revision, gone.record) == (row.revision + 1, None)
    found = await audit.verify(store.engine, secrets=secrets)
    assert (found.entries, found.faults) == (3, ())


async def test_ghosts_go_earlier(store: RecordStore, secrets: Path) -> None:
    await feed(store, "released")
    await after(store, secrets, 700)
    assert await count(store, calls) == 1
    made = await after(store, secrets, 730)
    assert [done.what for done in made] == ["records of ghosts"]
    assert await count(store, calls) == 0


async def test_a_run_after_a_run_finds_nothing(
    store: RecordStore, secrets: Path
) -> None:
    for folder in ALL:
        await feed(store, folder)
    assert await after(store, secrets, 400)
    assert await after(store, secrets, 400) == []


async def test_no_number_is_left_of_all_the_real_calls(
    store: RecordStore, secrets: Path
) -> None:
    for folder in ALL:
        await feed(store, folder)
    numbers = {row.ani for row in await rows(store, sa.select(calls.c.ani))} - {None}
    longs = {number for number in numbers if len(number) > 6}
    assert longs
    await after(store, secrets, 400)
    left = json.dumps([row.record for row in await rows(store, sa.select(calls))])
    assert not [number for number in longs if number in left]
    assert await count(store, journal_lines) == 0


async def test_how_far_was_read_tells_nothing_of_what_was_read(
    url: str, tmp_path: Path
) -> None:
    """Up from a store that kept the last bytes, down and up: none is read again."""
    store = await RecordStore.open(url)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line("USER_DEFINED", fact="ani=081234567890"))
    journal = Journal(path, {})
    batch = journal.read()
    assert batch is not None
    await store.record(batch)
    (row,) = await rows(store, sa.select(journal_offsets))
    assert len(row.tail) == 3
    await migrate(store.engine, "0006")
    raw = path.read_bytes()
    assert b"081234567890" in raw[-64:]
    async with store.engine.begin() as connection:
        await connection.execute(sa.update(journal_offsets).values(tail=raw[-64:]))
    await migrate(store.engine)
    assert await rows(store, sa.select(journal_offsets)) == [row]
    await migrate(store.engine, "0006")
    await migrate(store.engine)
    journal.reset(await store.positions())
    assert journal.read() is None
    with path.open("ab") as file:
        file.write(line("CHAN_END"))
    more = journal.read()
    assert more is not None
    assert more.lines[0].offset == len(raw)
    await store.record(more)
    path.write_bytes(raw + raw)  # another text where we had read
    journal.reset(await store.positions())
    again = journal.read()
    assert again is not None
    assert again.before is None
    journal.close()
    await store.close()


# ---- nothing brings it back ----------------------------------------------------------


@pytest.mark.parametrize("days", [90, 365, 1825])
async def test_a_journal_read_again_brings_nothing_back(
    store: RecordStore, secrets: Path, days: int, tmp_path: Path
) -> None:
    """A restored file under another name, a late note, a rebuild."""
    folder = "two-calls-joined"
    await feed(store, folder)
    await after(store, secrets, days)
    tables = (calls, journal_lines, outbox)
    before = [await rows(store, sa.select(table)) for table in tables]
    again = tmp_path / "again" / "journal.jsonl"
    again.parent.mkdir()
    text = (REPLAY / folder / "journal.jsonl").read_bytes()
    again.write_bytes(text[text.index(b"\n") + 1 :])  # another first record: unknown
    journal = Journal(again, await store.positions())
    while (batch := journal.read()) is not None:
        await store.record(batch)
        journal.advance(batch)
    journal.close()
    looked = Looked()
    found = compare(store.engine, mends=True, looked=looked)
    assert [i async for i in found] == []
    assert looked.compared == 0
    assert looked.sealed > 0
    assert [await rows(store, sa.select(table)) for table in tables] == before


async def test_a_line_that_comes_during_an_erasure_waits_and_stays_out(
    postgres_url: str, secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await RecordStore.open(postgres_url)
    lines = (REPLAY / "key-connected" / "journal.jsonl").read_bytes().splitlines(True)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(lines[:-4]))
    journal = Journal(path, {})
    while (batch := journal.read()) is not None:
        await store.record(batch)
        journal.advance(batch)
    before = await first(store)
    is_erasing, may_commit = asyncio.Event(), asyncio.Event()

    async def certify_late(*told: Any, **more: Any) -> Any:
        is_erasing.set()
        await may_commit.wait()
        return await certificates.certify(*told, **more)

    monkeypatch.setattr(persons, "certify", certify_late)
    number = normalised(before.ani)
    # A day later: a call of today that is open goes on, and is left.
    later = datetime.now(UTC) + timedelta(days=2)
    found = await persons.find(store.engine, number, now=later)
    erasing = asyncio.create_task(
        persons.erase(store.engine, found, actor="a", reason="r", secrets=secrets)
    )
    async with asyncio.timeout(20):
        await is_erasing.wait()
        with path.open("ab") as file:
            file.write(b"".join(lines[-4:]))
        late = journal.read()
        assert late is not None
        recording = asyncio.create_task(store.record(late))
        waiting = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        while (await rows(store, waiting))[0][0] != 1:
            await asyncio.sleep(0.02)
        may_commit.set()
        await erasing
        await recording
    journal.close()
    assert await count(store, journal_lines) == 0
    row = await first(store)
    assert (row.record["ani"], row.revision) == (ERASED, before.revision + 1)
    await store.close()


async def test_a_record_somebody_else_wrote_meanwhile_is_not_written_over(
    store: RecordStore,
) -> None:
    """Neither by a revision that is gone, nor as if there were none."""
    await feed(store, "key-connected")
    was = await first(store)
    async with store.engine.begin() as connection:
        (folded,) = await store.fold_stored(connection, [was.call_id])
        await store.rewrite(connection, folded.call, was)
    for stale in (was, None):
        with pytest.raises(StalePositionError):
            async with store.engine.begin() as connection:
                await store.rewrite(connection, folded.call, stale)
    assert not is_poison(StalePositionError())
    assert (await first(store)).revision == was.revision + 1


async def test_a_store_made_anew_from_journal_files_leaves_it_out(
    store: RecordStore, secrets: Path, tmp_path: Path
) -> None:
    """The database is lost; the journal files and the list beside the key are not."""
    for folder in ("two-calls-joined", "key-connected"):
        await feed(store, folder)
    lost = (await rows(store, sa.select(calls).order_by(calls.c.started_at)))[-2:]
    async with store.engine.begin() as connection:
        family = await erasures.family_of(connection, [lost[0].call_id])
    erased_calls.remember(secrets, family)
    journals = tmp_path / "journals"
    journals.mkdir()
    for n, folder in enumerate(("two-calls-joined", "key-connected")):
        shutil.copy(REPLAY / folder / "journal.jsonl", journals / f"journal.jsonl.{n}")
    url = f"sqlite+aiosqlite:///{tmp_path / 'anew.sqlite3'}"
    erased = erased_calls.remembered(secrets)
    assert erased == family
    files = JournalFiles.below(journals)
    await build_store(files, url, workers=0, erased=erased)
    anew = await RecordStore.open(url)
    there = {row.call_id for row in await rows(anew, sa.select(calls.c.call_id))}
    assert there
    assert there.isdisjoint(family)
    lines = await rows(anew, sa.select(journal_lines.c.call_id).distinct())
    assert {row.call_id for row in lines}.isdisjoint(family)
    for folder in ("two-calls-joined", "key-connected"):
        await feed(anew, folder)
    assert {r.call_id for r in await rows(anew, sa.select(calls.c.call_id))} == there
    await anew.close()
    assert erased_calls.remembered(tmp_path / "none") == frozenset()


async def test_a_later_call_is_recorded_all_the_same(
    store: RecordStore, secrets: Path
) -> None:
    await feed(store, "released")
    await after(store, secrets, 90)
    await feed(store, "key-connected")
    assert await count(store, calls) == 2
    assert await count(store, journal_lines) > 5


# ---- what may not go -----------------------------------------------------------------


async def test_a_legal_hold_stops_everything(store: RecordStore, secrets: Path) -> None:
    await feed(store, "two-calls-joined")
    (younger,) = await rows(
        store, sa.select(calls).where(calls.c.joined_into.is_not(None))
    )
    held = {
        "call_id": younger.call_id,
        "reason": "court",
        "held_by": "Sari",
        "at": datetime.now(UTC),
    }
    async with store.engine.begin() as connection:
        await connection.execute(sa.insert(legal_holds).values(**held))
    before = await rows(store, sa.select(calls))
    assert await after(store, secrets, 4000) == []
    assert await rows(store, sa.select(calls)) == before
    await feed(store, "released")
    assert {done.count for done in await after(store, secrets, 4000)} == {1}
    assert await rows(store, sa.select(calls)) == before


async def test_a_person_nobody_answered_for_stays_on_the_list(
    store: RecordStore, secrets: Path
) -> None:
    await feed(store, "released")
    row = await first(store)
    await reviews.mark(
        store.engine, row.call_id, Review.PERSON, by="Sari", note="a child, 0812",
        at=row.started_at,
    )  # fmt: skip
    short = Retention(review_row_days=30, ghost_record_days=30)
    young = Retention(
        review_row_days=30, ghost_record_days=3000, record_days=3000, number_days=3000,
        note_days=3000,
    )  # fmt: skip
    made = await after(store, secrets, 100, young)
    assert [done.what for done in made] == ["raw lines"]
    await reviews.acknowledge(store.engine, row.call_id, by="Sari", at=row.started_at)
    made = await after(store, secrets, 100, young)
    assert [done.what for done in made] == ["review rows"]
    assert await count(store, reviews.reviews) == 0
    assert [d.what for d in await after(store, secrets, 100, short)] == [
        "records of ghosts"
    ]


async def test_notes_go_before_numbers(store: RecordStore, secrets: Path) -> None:
    await feed(store, "released")
    row = await first(store)
    await reviews.mark(
        store.engine,
        row.call_id,
        Review.NOBODY,
        by="Sari",
        note="0812",
        at=row.started_at,
    )
    async with store.engine.begin() as connection:
        await connection.execute(
            sa.insert(witnessed_calls).values(
                call_id=row.call_id, channel="x", trunk="carrier", number="112",
                ani=row.ani, seen_at=row.started_at,
            )
        )  # fmt: skip
    declared = Retention(note_days=100)
    made = await after(store, secrets, 100, declared)
    assert [done.what for done in made] == ["notes"]
    assert (await reviews.find(store.engine, row.call_id)).note is None
    (mark,) = await reviews.marks_of(store.engine, row.call_id)
    assert mark["note"] is None
    assert (await first(store)).record["ani"] == row.ani
    made = await after(store, secrets, 365, declared)
    assert [done.what for done in made] == ["numbers"]
    assert [w.ani for w in await rows(store, sa.select(witnessed_calls))] == [""]
    (note,) = await rows(store, sa.select(erased_table))
    assert None not in (note.notes_at, note.personal_at)
    assert (note.record_at, note.rule) == (None, "number_days = 365")


async def test_lines_of_no_call_go_with_their_neighbours(
    store: RecordStore, secrets: Path
) -> None:
    folder = REPLAY / "released"
    await feed(store, "released")
    async with store.engine.begin() as connection:
        for n in range(3):
            await connection.execute(
                sa.insert(journal_lines).values(
                    journal="j", offset=n, raw=line("NOISE")[:20], call_id=None
                )
            )
    await feed(store, "key-connected")
    assert folder.exists()
    one = await rows(store, sa.select(calls).order_by(calls.c.started_at))
    async with store.engine.begin() as connection:
        await erasures.seal(connection, [one[0].call_id], rule="test")
    declared = Retention(
        raw_line_days=3000, note_days=3000, number_days=3000, record_days=3000
    )
    (done,) = await after(store, secrets, 1, declared)
    assert (done.what, done.count) == ("stray lines", 3)
    assert await after(store, secrets, 1, declared) == []


async def test_certificates_are_listed(store: RecordStore, secrets: Path) -> None:
    await feed(store, "released")
    await after(store, secrets, 90)
    await after(store, secrets, 365)
    told = await certificates.listed(store.engine)
    assert [details["what"] for _, details in told] == ["raw lines", "numbers"]
    assert told[0][1]["until"].endswith("T00:00:00+00:00")
    assert [e.actor for e, _ in told] == ["retention", "retention"]
    (last,) = await certificates.listed(store.engine, most=1)
    assert last[1]["what"] == "numbers"


def test_the_hash_is_the_shells() -> None:
    """`printf 'a\\nb\\n' | sha256sum`."""
    told = "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2"
    assert hash_of(["b", "a", "b"]) == told
