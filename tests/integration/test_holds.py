"""A legal hold and a deletion at the same moment: one waits for the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.retention import Retention
from pbx.records import audit, certificates, erasures, holds
from pbx.records import person as persons
from pbx.records.journal import Journal
from pbx.records.keeping import carry_out
from pbx.records.privacy_tables import legal_holds
from pbx.records.store import RecordStore
from pbx.records.tables import calls, journal_lines, reviews

pytestmark = pytest.mark.postgres

REPLAY = Path(__file__).parent.parent / "replay"
PATIENCE_SECONDS = 0.7
"""Long enough for a hold that waits for nobody to be done; it may not be."""


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[RecordStore]:
    """With one call, a ghost that was released."""
    opened = await RecordStore.open(url)
    journal = Journal(REPLAY / "released" / "journal.jsonl", {})
    while (batch := journal.read()) is not None:
        await opened.record(batch)
        journal.advance(batch)
    journal.close()
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def another(url: str, store: RecordStore) -> AsyncIterator[RecordStore]:
    """The store as another process has it open."""
    opened = await RecordStore.open(url)
    yield opened
    await opened.close()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


async def the_call(store: RecordStore) -> Any:
    async with store.engine.connect() as connection:
        return (await connection.execute(sa.select(calls))).one()


async def count(store: RecordStore, table: sa.Table) -> int:
    async with store.engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(table)
        return await connection.scalar(query) or 0


def years_after(at: datetime) -> datetime:
    return at + timedelta(days=4000)


async def waits(task: asyncio.Task[Any]) -> bool:
    done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    return not done


async def test_a_hold_waits_for_a_deletion_and_tells_that_it_came_too_late(
    store: RecordStore,
    another: RecordStore,
    secrets: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = await the_call(store)
    holding: list[asyncio.Task[Any]] = []
    delete = erasures.delete

    async def deletes(
        connection: AsyncConnection, ids: Collection[str], *, rule: str
    ) -> None:
        held = holds.hold(
            another.engine, call.call_id, by="Sari", reason="court", secrets=secrets
        )
        holding.append(asyncio.create_task(held))
        assert await waits(holding[0]), "held in the midst of its deletion"
        await delete(connection, ids, rule=rule)

    monkeypatch.setattr(erasures, "delete", deletes)
    await carry_out(
        store.engine, Retention(), years_after(call.started_at), secrets=secrets
    )
    assert await holding[0] is None
    assert (await count(store, calls), await count(store, legal_holds)) == (0, 0)


async def test_a_hold_waits_for_the_review_list_too(
    store: RecordStore,
    another: RecordStore,
    secrets: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = await the_call(store)
    keeps = Retention(review_row_days=30, ghost_record_days=3000, record_days=3000)
    holding: list[asyncio.Task[Any]] = []
    delete = erasures.delete_reviews

    async def deletes(connection: AsyncConnection, ids: Collection[str]) -> None:
        held = holds.hold(
            another.engine, call.call_id, by="Sari", reason="court", secrets=secrets
        )
        holding.append(asyncio.create_task(held))
        assert await waits(holding[0]), "held in the midst of its deletion"
        await delete(connection, ids)

    monkeypatch.setattr(erasures, "delete_reviews", deletes)
    at = call.started_at + timedelta(days=40)
    await carry_out(store.engine, keeps, at, secrets=secrets)
    record = await holding[0]
    assert record is not None
    assert await count(store, reviews) == 0


async def test_a_deletion_waits_for_a_hold_and_takes_nothing(
    store: RecordStore,
    another: RecordStore,
    secrets: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = await the_call(store)
    append, entered, goes_on = audit.append, asyncio.Event(), asyncio.Event()

    async def appends(*given: Any, **named: Any) -> Any:
        if named["action"] == "held":
            entered.set()
            await goes_on.wait()
        return await append(*given, **named)

    monkeypatch.setattr(audit, "append", appends)
    holding = asyncio.create_task(
        holds.hold(
            another.engine, call.call_id, by="Sari", reason="court", secrets=secrets
        )
    )
    await entered.wait()
    at = years_after(call.started_at)
    deleting = asyncio.create_task(
        carry_out(store.engine, Retention(), at, secrets=secrets)
    )
    assert await waits(deleting), "deleted while its hold was being written"
    goes_on.set()
    assert (await holding)["call_id"] == call.call_id
    assert await deleting == []
    assert await the_call(store) == call
    assert await count(store, journal_lines) > 0


async def test_an_erasure_leaves_what_was_held_since_it_looked(
    store: RecordStore, another: RecordStore, secrets: Path
) -> None:
    call = await the_call(store)
    person = await persons.find(
        store.engine, call.ani, now=years_after(call.started_at)
    )
    assert [found.call_id for found in person.erasable] == [call.call_id]
    await holds.hold(
        another.engine, call.call_id, by="Sari", reason="court", secrets=secrets
    )
    made = await persons.erase(
        store.engine, person, actor="Budi", reason="letter", secrets=secrets
    )
    assert made == []
    assert await the_call(store) == call
    assert await certificates.listed(store.engine) == []
