"""The second witness: nobody's call unnoted, whatever is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from pbx.ami import ChannelGone, LinkLost
from pbx.control import witness as module
from pbx.control.witness import Witness
from tests.fakes.control_room import WALL, FakeStore, call, snapshot
from tests.patience import until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "LONGEST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(module, "STORE_DEADLINE_SECONDS", 0.2)


def gone(uniqueid: str = "k-1.1", cause: int = 16) -> ChannelGone:
    return ChannelGone(f"PJSIP/carrier-{uniqueid}", uniqueid, uniqueid, cause)


@asynccontextmanager
async def writing(witness: Witness, store: FakeStore) -> AsyncIterator[None]:
    task = asyncio.create_task(witness.write(store))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_call_is_seen_and_ended() -> None:
    witness, store = Witness({"carrier"}), FakeStore()
    async with writing(witness, store):
        await witness.handle(snapshot())
        await witness.handle(call())
        await witness.handle(call())
        await witness.handle(gone())
        await witness.handle(gone())
        await until(lambda: len(store.told) == 3)
    assert store.told == [
        ("boot", WALL),
        ("seen", "k-1.1", "carrier", "112"),
        ("ended", "k-1.1", 16),
    ]
    assert witness.open == set()
    assert witness.unstored == 0


async def test_what_is_no_citizens_call_is_not_noted() -> None:
    witness = Witness({"carrier"})
    await witness.handle(call(channel="PJSIP/101-0000001"))
    await witness.handle(call(linkedid="k-1.0"))
    await witness.handle(call(context="transferred"))
    await witness.handle(LinkLost("x"))
    await witness.handle(gone())
    assert witness.unstored == 0


async def test_after_a_gap_the_gone_are_ended_and_the_new_are_seen() -> None:
    witness, store = Witness({"carrier"}), FakeStore()
    await witness.handle(snapshot())
    await witness.handle(call("k-1.1"))
    await witness.handle(call("k-1.2"))
    late = call("k-1.3", "queue-darurat", extension="s", duration_seconds=60)
    before = datetime.now(UTC)
    await witness.handle(snapshot(call("k-1.2"), late))
    seen = witness._notes[-1]
    assert 59 < (before - seen.at).total_seconds() < 61
    await witness.flush(store, deadline_seconds=1)
    assert store.told[3:] == [
        ("boot", WALL),
        ("ended", "k-1.1", None),
        ("seen", "k-1.3", "carrier", ""),
    ]
    assert witness.open == {"k-1.2", "k-1.3"}


async def test_while_the_database_is_gone_notes_wait_in_order() -> None:
    witness, store = Witness({"carrier"}), FakeStore(is_gone=True)
    async with writing(witness, store):
        await witness.handle(call())
        await witness.handle(gone())
        await until(lambda: store.tries > 3)
        assert witness.is_failing
        assert witness.unstored == 2
        store.is_gone = False
        await until(lambda: not witness.unstored)
        await until(lambda: not witness.is_failing)
        await witness.handle(call("k-1.2"))
        store.is_gone = True
        await until(lambda: witness.is_failing)
        store.is_gone = False
        await until(lambda: len(store.told) == 3)
    assert [told[:2] for told in store.told] == [
        ("seen", "k-1.1"),
        ("ended", "k-1.1"),
        ("seen", "k-1.2"),
    ]


async def test_a_database_that_hangs_is_a_database_gone() -> None:
    witness = Witness({"carrier"})

    class Hangs(FakeStore):
        async def witness_seen(self, call_id: str, **facts: object) -> None:
            self.tries += 1
            if self.tries < 4:
                await asyncio.sleep(60)
            await super().witness_seen(call_id, **facts)

    store = Hangs()
    async with writing(witness, store):
        await witness.handle(call())
        await until(lambda: store.told)


async def test_memory_is_bounded_and_the_loss_counted() -> None:
    witness, store = Witness({"carrier"}, most_notes=3), FakeStore()
    for i in range(5):
        await witness.handle(call(f"k-1.{i}"))
    assert (witness.unstored, witness.dropped) == (3, 2)
    await witness.flush(store, deadline_seconds=1)
    assert [told[1] for told in store.told] == ["k-1.2", "k-1.3", "k-1.4"]


async def test_a_note_dropped_while_it_was_stored_is_not_missed() -> None:
    witness = Witness({"carrier"}, most_notes=1)

    class Slow(FakeStore):
        async def witness_seen(self, call_id: str, **facts: object) -> None:
            await super().witness_seen(call_id, **facts)
            if call_id == "k-1.1":
                await witness.handle(call("k-1.2"))

    store = Slow()
    await witness.handle(call("k-1.1"))
    await witness.flush(store, deadline_seconds=1)
    assert [told[1] for told in store.told] == ["k-1.1", "k-1.2"]


async def test_what_an_earlier_process_left_open_is_ended() -> None:
    """Ours was killed meanwhile; two calls went on, one of them still does."""
    witness = Witness({"carrier"})
    store = FakeStore(open_calls=["k-1.1", "k-1.2"])
    await witness.handle(snapshot(call("k-1.2"), call("k-1.3")))
    async with writing(witness, store):
        await until(lambda: len(store.told) == 3)
    assert store.told == [
        ("boot", WALL),
        ("seen", "k-1.3", "carrier", "112"),
        ("ended", "k-1.1", None),
    ]


async def test_the_store_may_answer_before_asterisk_does() -> None:
    witness, store = Witness({"carrier"}), FakeStore(open_calls=["k-1.1", "k-1.2"])
    async with writing(witness, store):
        await until(lambda: witness.open == {"k-1.1", "k-1.2"})
        await witness.handle(snapshot(call("k-1.2")))
        await until(lambda: len(store.told) == 2)
    assert store.told == [("boot", WALL), ("ended", "k-1.1", None)]


async def test_the_last_flush_gives_up_in_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    witness, store = Witness({"carrier"}), FakeStore(is_gone=True)
    await witness.handle(call())
    await witness.flush(store, deadline_seconds=0.1)
    assert "1 witness notes not stored" in caplog.text
