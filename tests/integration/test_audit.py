"""The audit's chain on both databases: nobody takes anything back unseen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.model.audit import mac_of
from pbx.records import audit
from pbx.records.audit import AuditFiles, AuditKeyError, WantedEntries
from pbx.records.audit_tables import audit as table
from pbx.records.base import Store
from pbx.records.database import migrate, open_engine

pytestmark = pytest.mark.postgres

ID = "kediri-1-1795293895.10"


@pytest_asyncio.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    store = await Store.open(url)
    yield store.engine
    await store.close()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


async def tell(engine: AsyncEngine, secrets: Path, times: int = 1) -> None:
    for _ in range(times):
        async with engine.begin() as connection:
            await audit.append(
                connection,
                actor="Sari",
                action="played",
                call_id=ID,
                reason="review: a child? “日本”\0\udcff",
                seconds=4.0405,
                details={"bytes": 64648, "from": 0.1},
                secrets=secrets,
            )


async def faults(engine: AsyncEngine, secrets: Path) -> str:
    return "; ".join((await audit.verify(engine, secrets=secrets)).faults)


async def change(engine: AsyncEngine, *statements: sa.Executable) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_a_chain_stands(engine: AsyncEngine, secrets: Path) -> None:
    assert (await audit.verify(engine, secrets=secrets)).entries == 0
    await tell(engine, secrets, 5)
    found = await audit.verify(engine, secrets=secrets)
    assert (found.entries, found.anchors, found.faults) == (5, 5, ())
    assert found.last is not None
    assert found.last.seconds == 4.04
    assert (secrets / "audit.key").stat().st_mode & 0o777 == 0o600
    assert (secrets / "audit.anchor").stat().st_mode & 0o777 == 0o600
    assert secrets.stat().st_mode & 0o777 == 0o700


async def test_a_chain_longer_than_a_page(
    engine: AsyncEngine, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pbx.records.audit._PAGE", 2)
    await tell(engine, secrets, 4)
    found = await audit.verify(engine, secrets=secrets)
    assert (found.entries, found.faults) == (4, ())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"reason": None}, "entry 2 was changed"),
        ({"actor": "Budi"}, "entry 2 was changed"),
        ({"seconds": 0.5}, "entry 2 was changed"),
        ({"details": "{}"}, "entry 2 was changed"),
        ({"call_id": "kediri-1-1.1"}, "entry 2 was changed"),
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "entry 2 was changed"),
        ({"mac": "0" * 64}, "entry 3 does not follow entry 2"),
    ],
)
async def test_a_changed_row(
    engine: AsyncEngine, secrets: Path, values: dict[str, object], said: str
) -> None:
    await tell(engine, secrets, 3)
    await change(engine, sa.update(table).where(table.c.seq == 2).values(**values))
    assert said in await faults(engine, secrets)


async def test_rows_taken_out(engine: AsyncEngine, secrets: Path) -> None:
    await tell(engine, secrets, 6)
    await change(engine, sa.delete(table).where(table.c.seq == 4))
    assert await faults(engine, secrets) == "entry 4 is missing"
    await change(engine, sa.delete(table).where(table.c.seq == 3))
    assert await faults(engine, secrets) == "entries 3 to 4 are missing"
    await change(engine, sa.delete(table).where(table.c.seq == 1))
    assert "entry 1 is missing" in await faults(engine, secrets)


async def test_a_row_taken_out_and_the_others_moved_up(
    engine: AsyncEngine, secrets: Path
) -> None:
    await tell(engine, secrets, 4)
    await change(
        engine,
        sa.delete(table).where(table.c.seq == 2),
        sa.update(table).where(table.c.seq == 3).values(seq=2),
        sa.update(table).where(table.c.seq == 4).values(seq=3),
    )
    said = await faults(engine, secrets)
    assert "entry 2 does not follow entry 1" in said
    assert "entry 4 is missing at the end: anchored, and gone" in said


async def test_the_end_cut_off(engine: AsyncEngine, secrets: Path) -> None:
    await tell(engine, secrets, 4)
    await change(engine, sa.delete(table).where(table.c.seq >= 3))
    assert await faults(engine, secrets) == (
        "entries 3 to 4 are missing at the end: anchored, and gone"
    )
    await change(engine, sa.delete(table))
    assert "entries 1 to 4 are missing" in await faults(engine, secrets)


async def test_the_end_cut_off_and_written_anew(
    engine: AsyncEngine, secrets: Path
) -> None:
    """By somebody who has the key as well: the anchors still tell."""
    await tell(engine, secrets, 3)
    await change(engine, sa.delete(table).where(table.c.seq == 3))
    await tell(engine, secrets, 1)
    assert "entry 3 is not the one that was anchored" in await faults(engine, secrets)


async def test_anchors_that_are_gone_are_told(
    engine: AsyncEngine, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(engine, secrets, 4)
    path = AuditFiles(secrets).anchor_file
    one, *_, four = path.read_text().splitlines(keepends=True)
    path.write_text(one)
    young = await audit.verify(engine, secrets=secrets)
    assert young.faults == ()  # an entry's anchor may be on its way
    monkeypatch.setattr(audit, "_ANCHOR_PATIENCE_SECONDS", -1.0)
    found = await audit.verify(engine, secrets=secrets)
    assert "without an anchor" in found.faults[0]
    assert "entries 2 to 4" in found.faults[0]
    path.with_name("audit.anchor.other").write_text(four)
    found = await audit.verify(engine, secrets=secrets)
    assert "entries 2 to 3. " in found.faults[0]
    path.unlink()
    found = await audit.verify(engine, secrets=secrets)
    assert (found.entries, found.anchors) == (4, 1)
    assert "entries 1 to 3" in found.faults[0]


async def test_anchors_that_were_scribbled_on_are_told(
    engine: AsyncEngine, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_ANCHOR_PATIENCE_SECONDS", -1.0)
    await tell(engine, secrets, 3)
    path = AuditFiles(secrets).anchor_file
    one, two, three = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(one + b"\xff\x00" + two + b"9" * 5000 + b" " + b"0" * 64 + three)
    assert "without an anchor" in (told := await faults(engine, secrets))
    assert "entries 2 to 3" in told
    path.write_bytes(three + one + two)
    assert await faults(engine, secrets) == "", "their order says nothing"
    path.unlink()
    path.mkdir()
    with pytest.raises(AuditKeyError, match=r"audit\.anchor: .*backup"):
        await audit.verify(engine, secrets=secrets)


async def test_an_anchor_behind_a_torn_one_is_whole(
    engine: AsyncEngine, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes a part of a line; what comes next must not hang on to it."""
    monkeypatch.setattr(audit, "_ANCHOR_PATIENCE_SECONDS", -1.0)
    await tell(engine, secrets, 2)
    path = AuditFiles(secrets).anchor_file
    path.write_bytes(path.read_bytes()[:-60])
    await tell(engine, secrets)
    told = await faults(engine, secrets)
    assert "audit.anchor: entry 2. " in told, "and not entry 3"


async def test_rows_that_changed_places(engine: AsyncEngine, secrets: Path) -> None:
    await tell(engine, secrets, 4)
    await change(
        engine,
        sa.update(table).where(table.c.seq == 2).values(seq=99),
        sa.update(table).where(table.c.seq == 3).values(seq=2),
        sa.update(table).where(table.c.seq == 99).values(seq=3),
    )
    said = await faults(engine, secrets)
    assert "entry 2 was changed" in said
    assert "entry 3 does not follow entry 2" in said


async def test_a_row_signed_with_another_key(
    engine: AsyncEngine, secrets: Path
) -> None:
    await tell(engine, secrets, 2)
    (entry,) = await audit.listed(engine, WantedEntries(most=1))
    forged = replace(entry, actor="Budi")
    values = {"actor": "Budi", "mac": mac_of(forged, b"guessed" * 8)}
    await change(engine, sa.update(table).where(table.c.seq == 2).values(**values))
    assert "entry 2 was changed" in await faults(engine, secrets)


async def test_the_wrong_key_and_the_right_one_again(
    engine: AsyncEngine, secrets: Path
) -> None:
    await tell(engine, secrets, 2)
    key = secrets / "audit.key"
    right = key.read_text()
    key.unlink()
    assert "which is not in the key file" in await faults(engine, secrets)
    await tell(engine, secrets)
    said = await faults(engine, secrets)
    assert "entry 2 was signed with the key" in said
    assert "entry 3" not in said
    key.write_text(right + key.read_text())
    assert await faults(engine, secrets) == ""


@pytest.mark.parametrize("content", ["", "no key", "abcd"])
async def test_a_spoilt_key_stops_what_was_to_be_audited(
    engine: AsyncEngine, secrets: Path, content: str
) -> None:
    secrets.mkdir()
    (secrets / "audit.key").write_text(content)
    with pytest.raises(AuditKeyError, match="backup"):
        await tell(engine, secrets)
    assert await audit.listed(engine, WantedEntries()) == []


# ---- the transaction -------------------------------------------------------------


async def test_what_is_rolled_back_is_not_anchored(
    engine: AsyncEngine, secrets: Path
) -> None:
    await tell(engine, secrets)

    async def in_vain() -> None:
        async with engine.begin() as connection:
            await audit.append(connection, actor="a", action="b", secrets=secrets)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await in_vain()
    assert await faults(engine, secrets) == ""
    await tell(engine, secrets)
    found = await audit.verify(engine, secrets=secrets)
    assert (found.entries, found.anchors, found.faults) == (2, 2, ())


async def test_a_commit_that_fails_is_not_anchored(
    engine: AsyncEngine, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(engine, secrets)

    def refuse(_: object) -> None:
        raise engine.dialect.loaded_dbapi.OperationalError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", refuse)
        with pytest.raises(sa.exc.OperationalError):
            await tell(engine, secrets)
    found = await audit.verify(engine, secrets=secrets)
    assert (found.entries, found.anchors, found.faults) == (1, 1, ())


async def test_two_transactions_of_one_connection(
    engine: AsyncEngine, secrets: Path
) -> None:
    async with engine.connect() as connection:
        for ends_well in (True, False):
            async with connection.begin() as transaction:
                await audit.append(connection, actor="a", action="b", secrets=secrets)
                if not ends_well:
                    await transaction.rollback()
    found = await audit.verify(engine, secrets=secrets)
    assert (found.entries, found.anchors, found.faults) == (1, 1, ())


async def test_an_anchor_that_cannot_be_written_loses_no_entry(
    engine: AsyncEngine, secrets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secrets.mkdir()
    (secrets / "audit.anchor").mkdir()
    with caplog.at_level(logging.INFO):
        await tell(engine, secrets)
    assert "stands but is not anchored" in caplog.text
    assert "audit: played by Sari (entry 1" in caplog.text
    assert len(await audit.listed(engine, WantedEntries())) == 1


async def test_writers_at_once_make_one_chain(
    url: str, engine: AsyncEngine, secrets: Path
) -> None:
    """Several processes' engines, all at the same time; even the key is made once."""
    engines = [engine, *(open_engine(url) for _ in range(3))]
    await asyncio.gather(*(tell(each, secrets, 8) for each in engines))
    for each in engines[1:]:
        await each.dispose()
    found = await audit.verify(engine, secrets=secrets)
    assert (found.entries, found.anchors, found.faults) == (32, 32, ())
    assert len(AuditFiles(secrets).keys()) == 1


async def test_the_list(engine: AsyncEngine, secrets: Path) -> None:
    await tell(engine, secrets, 2)
    async with engine.begin() as connection:
        await audit.append(
            connection, actor="Budi", action="erased", subject="x", secrets=secrets
        )
    now = datetime.now(UTC)
    for wanted, count in (
        (WantedEntries(), 3),
        (WantedEntries(actor="Budi"), 1),
        (WantedEntries(action="played"), 2),
        (WantedEntries(call_id=ID), 2),
        (WantedEntries(subject="x"), 1),
        (WantedEntries(since=now - timedelta(hours=1)), 3),
        (WantedEntries(since=now + timedelta(hours=1)), 0),
        (WantedEntries(most=1), 1),
    ):
        assert len(await audit.listed(engine, wanted)) == count, wanted
    assert [e.seq for e in await audit.listed(engine, WantedEntries())] == [1, 2, 3]


async def test_the_table_comes_and_goes(engine: AsyncEngine, secrets: Path) -> None:
    """With data in it; the anchors know that it was there."""
    await tell(engine, secrets, 2)
    await migrate(engine, "base")
    await migrate(engine)
    assert "entries 1 to 2 are missing" in await faults(engine, secrets)
