"""The store on both databases: the same schema, the same records."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from pbx.model.call import State
from pbx.records.database import (
    explain,
    is_current,
    is_missing,
    migrate,
    open_engine,
)
from pbx.records.journal import Batch, Journal, Position, RawLine
from pbx.records.ledger_tables import invites
from pbx.records.queries import Wanted, changed_calls, last_calls, newest_cursor
from pbx.records.reconcile import Findings, reconcile
from pbx.records.schema import metadata
from pbx.records.store import RecordStore, StalePositionError
from pbx.records.tables import (
    call_members,
    calls,
    journal_lines,
    outbox,
    witnessed_calls,
)
from pbx.settings import PROJECT
from tests.fakes.journal_lines import START, TRUNK, connected, greeted, hangup, line
from tests.postgres import Postgres

pytestmark = pytest.mark.postgres

REPLAY = Path(__file__).parent.parent / "replay"
ALL = Wanted(most=100, with_open=True)
OF_THE_STORE = {"revision", "joined_into", "erased_at"}


class Feeder:
    """Feeds lines to the store as the recorder would, batch after batch."""

    def __init__(self, store: RecordStore, journal: str = "j.0") -> None:
        self.store = store
        self.journal = journal
        self.position: Position | None = None

    async def feed(self, lines: list[bytes]) -> Batch:
        start = self.position.offset if self.position else 0
        raw = []
        for text in lines:
            raw.append(RawLine(start, text))
            start += len(text)
        after = Position(start, b"")
        batch = Batch(self.journal, tuple(raw), self.position, after)
        await self.store.record(batch)
        self.position = after
        return batch


async def rows(store: RecordStore, table: sa.Table) -> list[Any]:
    async with store.engine.begin() as connection:
        return list((await connection.execute(sa.select(table))).all())


async def one(store: RecordStore) -> dict[str, Any]:
    (record,) = await last_calls(store.engine, ALL)
    return record


# ---- schema -------------------------------------------------------------------------


async def test_migrations_make_the_tables_as_declared_up_and_down(url: str) -> None:
    engine = open_engine(url)
    for _ in range(2):
        await migrate(engine)
        async with engine.begin() as connection:
            difference = await connection.run_sync(
                lambda c: compare_metadata(MigrationContext.configure(c), metadata)
            )
        assert difference == []
        await migrate(engine, "base")
    async with engine.begin() as connection:
        left = await connection.run_sync(lambda c: sa.inspect(c).get_table_names())
    assert left == ["alembic_version"]
    await engine.dispose()


async def test_two_processes_may_start_at_once(url: str) -> None:
    stores = await asyncio.gather(*(RecordStore.open(url) for _ in range(4)))
    for opened in stores:
        assert await opened.positions() == {}
        await opened.close()


async def test_migrations_keep_what_is_there(url: str) -> None:
    """From every earlier revision up, and down to it, with real calls inside."""
    store = await RecordStore.open(url)
    await feed_replay(store, "released", "two-calls-joined", "key-connected")
    kept = [calls, journal_lines, call_members, outbox]
    before = [await rows(store, table) for table in kept]
    counted = await rows(store, invites)
    assert len(counted) == 4
    for revision in earlier():
        await migrate(store.engine, revision)
        assert [await rows(store, table) for table in kept] == before
        await migrate(store.engine)
        assert await is_current(store.engine)
        assert [await rows(store, table) for table in kept] == before
        assert sorted(await rows(store, invites)) == sorted(counted)
    await store.close()


async def test_what_postgresql_refuses_has_its_own_cure(
    postgres_server: Postgres, postgres_url: str
) -> None:
    """Its server speaks any language; the code of an error is the same in all."""
    engine = open_engine(postgres_url)
    with pytest.raises(DBAPIError) as nothing:
        await last_calls(engine, ALL)
    await engine.dispose()
    assert is_missing(nothing.value)
    postgres_server.sql("DROP ROLE IF EXISTS stranger")
    postgres_server.sql("CREATE ROLE stranger LOGIN")
    strangers = postgres_url.replace("postgres@", "stranger@")
    with pytest.raises(DBAPIError) as refused:
        await RecordStore.open(strangers)
    assert "make the role that GERBANG_DATABASE_URL names" in explain(refused.value)
    await (await RecordStore.open(postgres_url)).close()
    engine = open_engine(strangers)
    with pytest.raises(DBAPIError) as refused:
        await last_calls(engine, ALL)
    await engine.dispose()
    assert not is_missing(refused.value)
    assert "make the role that GERBANG_DATABASE_URL names" in explain(refused.value)


def earlier() -> list[str]:
    """Every revision there is, the oldest first."""
    found = (PROJECT / "pbx/records/migrations/versions").glob("v[0-9]*.py")
    return sorted(path.name[1:5] for path in found)


async def feed_replay(store: RecordStore, *folders: str) -> None:
    for folder in folders:
        journal = Journal(REPLAY / folder / "journal.jsonl", {})
        while (batch := journal.read()) is not None:
            await store.record(batch)
            journal.advance(batch)
        journal.close()


# ---- recording ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "folder", sorted(p.parent.name for p in REPLAY.glob("*/journal.jsonl"))
)
@pytest.mark.parametrize("at_a_time", [1, 7, 400])
async def test_real_calls(
    store: RecordStore, folder: str, at_a_time: int, tmp_path: Path
) -> None:
    """However the lines come in, the record is the same; notes first, or last."""
    files = sorted((REPLAY / folder).glob("*.jsonl"), reverse=at_a_time == 1)
    for file in files:
        journal = Journal(file, {})
        while (batch := journal.read(at_a_time)) is not None:
            await store.record(batch)
            journal.advance(batch)
        journal.close()
    expected = json.loads((REPLAY / folder / "expected.json").read_text())
    records = await last_calls(store.engine, ALL)
    kept = [{k: v for k, v in r.items() if k not in OF_THE_STORE} for r in records]
    assert kept == expected


async def test_a_record_grows_by_revisions_and_the_outbox_knows_each(
    store: RecordStore,
) -> None:
    feeder = Feeder(store)
    lines = connected()
    for i in range(0, len(lines), 5):
        await feeder.feed(lines[i : i + 5])
    record = await one(store)
    assert record["state"] == "closed"
    told = [(o.call_id, o.revision) for o in await rows(store, outbox)]
    assert told == [(TRUNK, n) for n in range(1, record["revision"] + 1)]
    (row,) = await rows(store, calls)
    assert (row.queue, row.operator, row.verdict) == ("darurat", "101", "pass")
    assert row.started_at == START


async def test_what_changes_nothing_makes_no_revision(store: RecordStore) -> None:
    feeder = Feeder(store)
    await feeder.feed(connected())
    before = await one(store)
    await feeder.feed(connected())  # the same lines again, as from a restored file
    assert await one(store) == before


async def test_a_batch_the_store_has_already_is_refused_whole(
    store: RecordStore,
) -> None:
    feeder = Feeder(store)
    batch = await feeder.feed(greeted())
    with pytest.raises(StalePositionError):
        await store.record(batch)
    assert len(await rows(store, journal_lines)) == len(greeted())


async def test_an_unreadable_line_is_kept_and_marks_its_call(
    store: RecordStore,
) -> None:
    feeder = Feeder(store)
    broken = line("KEY", fact="digit=1&at_ms=soon")
    await feeder.feed([*greeted(), broken, b"\x00garbage\xff\n"])
    await feeder.feed(hangup(9, source="PJSIP/carrier-00000000"))
    assert (await one(store))["incomplete"] is True
    raw = [r.raw for r in await rows(store, journal_lines)]
    assert broken in raw
    assert b"\x00garbage\xff\n" in raw


async def test_joined_calls_leave_one_record_and_a_pointer(store: RecordStore) -> None:
    a, b = "k-100.1", "k-100.2"
    feeder = Feeder(store)
    await feeder.feed([line("CHAN_START", channel=c, linkedid=c) for c in (a, b)])
    assert len(await last_calls(store.engine, ALL)) == 2
    await feeder.feed(
        [line("BRIDGE_ENTER", channel=b, linkedid=a, extra={"bridge_id": "x"})]
    )
    record = await one(store)
    assert (record["call_id"], record["joined"]) == (a, [b])
    by_id = {row.call_id: row for row in await rows(store, calls)}
    assert by_id[b].joined_into == a
    assert by_id[b].record["state"] == "closed"
    await feeder.feed([line("ANSWER", channel=b, linkedid=b, at=2)])
    assert (await one(store))["call_id"] == a


async def test_a_joined_call_has_its_row_however_the_lines_came(
    store: RecordStore,
) -> None:
    """Even if both began and were joined within one batch."""
    a, b = "k-100.1", "k-100.2"
    lines = [
        *(line("CHAN_START", channel=c, linkedid=c) for c in (a, b)),
        line("BRIDGE_ENTER", channel=b, linkedid=a, extra={"bridge_id": "x"}),
    ]
    for at_a_time in (3, 1):
        feeder = Feeder(store, f"{at_a_time}.0")
        for n in range(0, 3, at_a_time):
            await feeder.feed(lines[n : n + at_a_time])
        by_id = {row.call_id: row for row in await rows(store, calls)}
        assert by_id[b].joined_into == by_id[b].record["joined_into"] == a
        assert (by_id[b].state, by_id[b].revision) == ("closed", 1)
    assert sorted(i.channel for i in await rows(store, invites)) == [a, b]


async def test_which_journal_was_read_first_does_not_show(store: RecordStore) -> None:
    key = line("KEY", fact="digit=7&at_ms=9")
    records = []
    for n, order in enumerate((1, -1)):
        own_id = {"channel": f"k-{n}.1", "linkedid": f"k-{n}.1"}
        lines = [
            (f"{n}.0", line("CHAN_START", **own_id)),
            (f"notes.{n}.0", key.replace(TRUNK.encode(), own_id["channel"].encode())),
        ]
        for journal, raw in lines[::order]:
            await Feeder(store, journal).feed([raw])
    records = [r.record for r in await rows(store, calls)]
    for record in records:
        del record["call_id"], record["revision"]
        record["legs"][0]["channel"] = ""
    assert records[0] == records[1]
    assert records[0]["incomplete"] is False


async def test_text_a_database_may_refuse(store: RecordStore) -> None:
    feeder = Feeder(store)
    await feeder.feed([line("CHAN_START", num="08\x00\ud83d", exten="\x00" * 99)])
    assert (await one(store))["ani"] == "08?"


async def test_lines_kept_as_they_are(store: RecordStore) -> None:
    raw = RawLine(0, b"poison")
    await store.keep(Batch("j.0", (raw,), None, Position(6, b"")), why="it bites")
    assert await store.positions() == {"j.0": Position(6, b"")}
    (row,) = await rows(store, journal_lines)
    assert (row.raw, row.call_id) == (b"poison", None)


# ---- following ----------------------------------------------------------------------


async def test_followers_get_what_changed(store: RecordStore) -> None:
    cursor = await newest_cursor(store.engine)
    assert cursor == 0
    await Feeder(store).feed(connected())
    cursor, news = await changed_calls(store.engine, cursor, Wanted())
    assert [r["call_id"] for r in news] == [TRUNK]
    assert await changed_calls(store.engine, cursor, Wanted()) == (cursor, [])
    since = Wanted(since=START + timedelta(seconds=1))
    assert await last_calls(store.engine, since) == []


# ---- the second witness -------------------------------------------------------------

NOW = datetime.now(UTC)


async def witness(
    store: RecordStore, call_id: str, ended: float | None = None, **heard: str
) -> None:
    """Seen 30 s ago, perhaps ended since."""
    await store.witness_seen(
        call_id,
        channel="PJSIP/carrier-00000000",
        trunk="carrier",
        seen_at=NOW - timedelta(seconds=30),
        **heard,
    )
    if ended is not None:
        at = NOW - timedelta(seconds=ended)
        await store.witness_ended(call_id, ended_at=at, cause=16)


async def look(store: RecordStore, within: float | None = 86_400) -> Findings:
    return await reconcile(store, NOW, within_seconds=within)


async def test_witness_notes_may_come_twice_and_in_any_order(
    store: RecordStore,
) -> None:
    at = NOW - timedelta(seconds=9)
    for _ in range(2):
        await store.witness_ended("k-1.1", ended_at=at, cause=16)
        await witness(store, "k-1.1")
    await store.witness_ended("k-1.1", ended_at=NOW, cause=99)
    (row,) = await rows(store, witnessed_calls)
    assert (row.trunk, row.ended_at, row.cause) == ("carrier", at, 16)
    await witness(store, "k-1.2")
    assert await store.open_witnesses() == ["k-1.2"]


async def test_a_call_the_journal_does_not_know_gets_a_record_marked_incomplete(
    store: RecordStore,
) -> None:
    await witness(store, "k-1.1", ended=10)
    await witness(store, "k-1.2", ended=2)  # the journal may still tell
    await witness(store, "k-1.3")  # still goes on
    assert (await look(store)).marked == 1
    assert (await look(store)).marked == 0
    record = await one(store)
    assert (record["call_id"], record["incomplete"]) == ("k-1.1", True)
    assert (record["state"], record["hangup_cause"]) == ("closed", 16)


async def test_late_lines_replace_it(store: RecordStore) -> None:
    await witness(store, TRUNK, ended=10)
    await look(store)
    await Feeder(store).feed(connected())
    record = await one(store)
    assert (record["revision"], record["incomplete"]) == (2, False)
    assert record["disposition"] == "connected"


async def test_a_call_whose_end_the_journal_lost_is_closed(store: RecordStore) -> None:
    await Feeder(store).feed(greeted())
    await witness(store, TRUNK, ended=10)
    assert (await look(store, within=None)).closed == 1
    record = await one(store)
    assert (record["state"], record["incomplete"]) == ("closed", True)
    assert (await look(store)).closed == 0


@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
async def test_who_called_is_known_by_the_witness_alone(
    store: RecordStore, is_first: bool
) -> None:
    """The disk was full when the call began: CHAN_START and OFFERED are lost."""
    rest = [raw for raw in connected() if b"CHAN_START" not in raw]
    rest = [raw for raw in rest if b"OFFERED" not in raw]
    feeder = Feeder(store)
    if is_first:
        await witness(store, TRUNK, ended=10, number="112", ani="0811")
    await feeder.feed(rest)
    if not is_first:
        assert (await one(store))["ani"] is None
        await witness(store, TRUNK, ended=10, number="112", ani="0811")
        await look(store)
    record = await one(store)
    assert (record["ani"], record["number"], record["trunk"]) == (
        *("0811", "112"),
        "carrier",
    )
    assert record["incomplete"]
    assert record["revision"] == (1 if is_first else 2)
    await look(store)
    assert (await one(store))["revision"] == record["revision"]


async def test_old_witnesses_are_only_looked_at_whole(store: RecordStore) -> None:
    await witness(store, "k-1.1", ended=10)
    assert (await look(store, within=5)).marked == 0
    assert (await look(store, within=None)).marked == 1


async def test_a_channel_missing_in_the_journal_is_a_gap(store: RecordStore) -> None:
    await witness(store, TRUNK)
    assert (await look(store)).gaps == (TRUNK,)
    await Feeder(store).feed(greeted())
    assert (await look(store)).gaps == ()


async def test_asterisk_starting_anew_ends_what_it_left_open(
    store: RecordStore,
) -> None:
    await Feeder(store).feed(greeted())
    await store.boot_seen(START - timedelta(seconds=5))
    assert (await look(store)).closed == 0
    for _ in range(2):
        await store.boot_seen(START + timedelta(seconds=60))
    assert (await look(store)).closed == 1
    record = await one(store)
    assert (record["truncated"], record["disposition"]) == (True, "lost")
    (row,) = await rows(store, calls)
    assert row.state == State.CLOSED.value


async def test_a_start_still_to_come_ends_nothing(store: RecordStore) -> None:
    """Asterisk started before the machine's clock was set back to the right time."""
    await store.boot_seen(datetime.now(UTC) + timedelta(hours=7))
    await Feeder(store).feed(greeted())
    assert (await look(store)).closed == 0
    record = await one(store)
    assert (record["state"], record["truncated"]) == ("open", False)
