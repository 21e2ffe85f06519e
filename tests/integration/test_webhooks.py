"""Webhooks, from the store to a real HTTP server, on both databases."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from aiohttp import web

from pbx.feed import reads
from pbx.feed import webhooks as door
from pbx.feed.reads import Reads
from pbx.feed.webhooks import courier
from pbx.feed.webhooks.post import Outcome
from pbx.records import erasures, webhooks
from pbx.records.base import now
from pbx.records.store import RecordStore
from pbx.records.wake import Waker
from pbx.records.webhook_queue import DeliveryQueue
from pbx.records.webhook_tables import webhook_deliveries
from pbx.records.webhooks import Delivery, EventType, Subscription
from pbx.status import Status
from tests.fakes.feed_house import open_feed
from tests.fakes.stored_calls import ANI, a_call, put
from tests.fakes.webhook_receiver import Receiver, receiving
from tests.patience import until
from tests.postgres import Postgres

pytestmark = pytest.mark.postgres

SOURCE = "urn:gerbang112:kediri"
BY = "budi (command line)"


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture(autouse=True)
def _own_audit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its key is made in the state's folder."""
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes days takes a moment here."""
    monkeypatch.setattr(courier, "SCHEDULE_SECONDS", (0.1,) * 10)
    monkeypatch.setattr(courier, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(courier, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(door, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(door, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(door, "RETRY_SECONDS", 0.1)


async def subscribe(
    store: RecordStore,
    receiver: Receiver,
    *types: EventType,
    private: bool = True,
    **more: Any,
) -> Subscription:
    hook = await webhooks.add(
        store.engine,
        receiver.url,
        types or [EventType.REVISED],
        private=private,
        **{"personal": None, "by": BY} | more,
    )
    receiver.secret = hook.secret
    return hook


@dataclass
class House:
    """The process's part that delivers."""

    status: Status


@asynccontextmanager
async def delivering(url: str, directory: Path) -> AsyncIterator[House]:
    status, waker = Status(directory, "feed"), Waker(url)
    tasks = [
        asyncio.create_task(waker.run()),
        asyncio.create_task(door.run(url, status, waker, source=SOURCE)),
    ]
    try:
        yield House(status)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def last_revisions(receiver: Receiver) -> list[int]:
    return [revisions[-1] for revisions in receiver.revisions.values()]


async def rows(store: RecordStore) -> dict[str, Any]:
    async with store.engine.connect() as connection:
        found = await connection.execute(sa.select(webhook_deliveries))
        return {row.call_id: row for row in found}


async def all_are(store: RecordStore, state: Delivery, count: int) -> None:
    async with asyncio.timeout(20):
        while [r.state for r in (await rows(store)).values()] != [state.value] * count:
            await asyncio.sleep(0.02)


# ---- what arrives -------------------------------------------------------------------


async def test_every_change_is_told(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    await put(store, a_call(0))  # before anybody subscribed
    await subscribe(store, receiver)
    async with delivering(url, tmp_path):
        for step in range(3):
            await put(
                store, *(a_call(n, step=step, is_over=step == 2) for n in range(1, 21))
            )
        await receiver.until(
            lambda r: [v[-1:] for v in r.revisions.values()] == [[3]] * 20
        )
        await all_are(store, Delivery.DELIVERED, 20)
    for revisions in receiver.revisions.values():
        assert revisions == sorted(set(revisions)), "in their order, none twice"
    assert a_call(0).call_id not in receiver.revisions
    event = receiver.events[-1]
    assert event["source"] == SOURCE
    assert event["data"]["disposition"] == "connected"
    assert all(ANI not in body.decode() for _, body in receiver.bodies)
    assert 1 < receiver.most_at_once <= courier.AT_ONCE


async def test_it_is_told_at_once(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the wake-up: nobody looks by himself here."""
    await subscribe(store, receiver)
    async with delivering(url, tmp_path):
        await put(store, a_call(0))
        await receiver.until(lambda r: len(r.events) == 1)
        monkeypatch.setattr(courier, "LOOK_SECONDS", 60.0)
        await asyncio.sleep(0.3)  # the look under way ends
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 2)


async def test_with_personal_data_and_only_when_over(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    hook = await subscribe(store, receiver, EventType.CLOSED)
    async with delivering(url, tmp_path):
        await put(store, a_call(1, is_over=False))
        await put(store, a_call(2))
        await receiver.until(lambda r: len(r.events) == 1)
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 2)
    assert [e["subject"] for e in receiver.events] == [
        a_call(2).call_id,
        a_call(1).call_id,
    ]
    assert {e["type"] for e in receiver.events} == {EventType.CLOSED.value}
    assert hook.personal is False


async def test_whoever_lets_personal_data_out_is_audited(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
) -> None:
    await subscribe(store, receiver, personal="dispatch calls back", by="sari")
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 1)
    assert receiver.events[0]["data"]["ani"] == ANI
    async with store.engine.connect() as connection:
        (entry,) = await connection.execute(sa.text("SELECT * FROM audit"))
    assert (entry.actor, entry.action, entry.reason) == (
        "sari",
        "subscribed-personal",
        "dispatch calls back",
    )
    assert "secret" not in (entry.details or "")
    [hook] = await webhooks.subscriptions(store.engine)
    await webhooks.rotate(store.engine, hook.id, by="sari")
    await webhooks.remove(store.engine, hook.id, by="budi")
    async with store.engine.connect() as connection:
        found = await connection.execute(
            sa.text("SELECT actor, action FROM audit ORDER BY seq")
        )
        assert [tuple(row) for row in found][1:] == [
            ("sari", "rotated-personal"),
            ("budi", "unsubscribed-personal"),
        ]


async def test_what_goes_out_whole_is_noted_or_waits(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook = await subscribe(store, receiver, personal="dispatch calls back")
    sent, status, waker = Reads(), Status(tmp_path, "feed"), Waker(url)
    delivers = asyncio.create_task(
        door.run(url, status, waker, source=SOURCE, sent=sent)
    )
    try:
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 1)
        [entry] = sent.due()
        assert entry["actor"] == f"webhook {hook.id}"
        assert entry["call_id"] == a_call(1).call_id
        monkeypatch.setattr(reads, "REFUSE_SECONDS", -1.0)
        sent.failed()
        await put(store, a_call(2))
        async with asyncio.timeout(20):
            while a_call(2).call_id not in await rows(store):
                await asyncio.sleep(0.02)
        assert len(receiver.events) == 1
        sent.written(1)
        await receiver.until(lambda r: len(r.events) == 2)
    finally:
        delivers.cancel()
        await asyncio.gather(delivers, return_exceptions=True)


async def test_a_record_that_is_deleted_is_told(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    await subscribe(store, receiver, EventType.CLOSED)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 1)
        async with store.engine.begin() as connection:
            await erasures.delete(connection, [a_call(1).call_id], rule="record_days")
        await receiver.until(lambda r: len(r.events) == 2)
        await all_are(store, Delivery.DELIVERED, 1)
    told = receiver.events[1]
    assert told["type"] == "id.gerbang112.call.deleted.v1"
    assert told["data"] == {"call_id": a_call(1).call_id, "revision": 2}
    assert told["id"] != receiver.events[0]["id"]


# ---- what goes wrong ----------------------------------------------------------------


async def test_it_is_sent_again_until_it_is_taken(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    async def refuse_twice(_: dict[str, Any]) -> web.Response:
        return web.Response(status=503 if len(receiver.bodies) < 3 else 200)

    receiver.answer = refuse_twice
    await subscribe(store, receiver)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await all_are(store, Delivery.DELIVERED, 1)
    assert len(receiver.bodies) == 3
    assert len(set(receiver.bodies)) == 1, "the same id, the same bytes"
    assert (await rows(store))[a_call(1).call_id].attempts == 3


async def test_dead_letters_are_kept_listed_and_replayed(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courier, "SCHEDULE_SECONDS", (0.01, 0.01))
    bad = a_call(1).call_id

    async def refuse_one(event: dict[str, Any]) -> web.Response:
        return web.Response(status=400 if event["subject"] == bad else 200)

    receiver.answer = refuse_one
    hook = await subscribe(store, receiver)
    name = f"webhook-stuck-{hook.id}"
    async with delivering(url, tmp_path) as house:
        await put(store, *(a_call(n) for n in range(4)))
        await until(lambda: name in house.status.alarms)
        (dead,) = await webhooks.deliveries(store.engine, hook.id, Delivery.DEAD, 10)
        assert (dead.call_id, dead.attempts, dead.status) == (bad, 3, 400)
        assert dead.why == "400 Bad Request"
        assert len(receiver.events) == 3, "the others were not held up"
        receiver.answer = None
        assert await webhooks.replay_dead(store.engine, hook.id, "another", by=BY) == 0
        assert await webhooks.replay_dead(store.engine, hook.id, bad, by=BY) == 1
        await all_are(store, Delivery.DELIVERED, 4)
        await until(lambda: name not in house.status.alarms)
    assert receiver.revisions[bad] == [1]


async def test_a_newer_revision_heals_a_dead_letter(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courier, "SCHEDULE_SECONDS", ())

    async def refuse_the_first(event: dict[str, Any]) -> web.Response:
        return web.Response(status=400 if event["data"]["revision"] == 1 else 200)

    receiver.answer = refuse_the_first
    await subscribe(store, receiver)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await all_are(store, Delivery.DEAD, 1)
        await put(store, a_call(1, step=1))
        await all_are(store, Delivery.DELIVERED, 1)
    assert receiver.revisions[a_call(1).call_id] == [2]


async def test_revised_while_it_is_on_its_way(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    """The answer to the older revision must not settle the newer one."""

    async def revise(event: dict[str, Any]) -> web.Response:
        if event["data"]["revision"] == 1:
            await put(store, a_call(1, step=1))
            await asyncio.sleep(0.2)
        return web.Response()

    receiver.answer = revise
    await subscribe(store, receiver)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: r.revisions == {a_call(1).call_id: [1, 2]})
        await all_are(store, Delivery.DELIVERED, 1)


async def test_gone_is_gone(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    async def gone(_: dict[str, Any]) -> web.Response:
        return web.Response(status=410)

    receiver.answer = gone
    hook = await subscribe(store, receiver)
    name = f"webhook-stuck-{hook.id}"
    async with delivering(url, tmp_path) as house:
        await put(store, a_call(1))
        await until(lambda: name in house.status.alarms)
        assert "it said 410 Gone" in house.status.alarms[name]["sentence"]
        await put(store, a_call(2))
        await asyncio.sleep(0.3)
        assert len(receiver.bodies) == 1, "nothing more is sent"
        receiver.answer = None
        await webhooks.enable(store.engine, hook.id, by=BY)
        await receiver.until(lambda r: len(r.revisions) == 2)
        await until(lambda: name not in house.status.alarms)


async def test_redirects_are_not_followed(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    async def away(_: dict[str, Any]) -> web.Response:
        return web.Response(status=307, headers={"Location": receiver.url})

    receiver.answer = away
    hook = await subscribe(store, receiver)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.bodies) >= 2)
    (one,) = await webhooks.deliveries(store.engine, hook.id, None, 10)
    assert one.state == Delivery.PENDING
    assert "307 Temporary Redirect: redirects are not followed" in (one.why or "")


ODD_ANSWERS = [
    b"HTTP/1.1 500 caf\xe9 \x1b[31m081234567890\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 \xff\r\nLocation: /\xfe\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 caf\xe9\r\nX-A: \xe9\x1b",
    b"\x00\xff\x16\x03\x1b[2J\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A: " + b"\xe9" * 100_000,
]


@pytest.mark.parametrize("odd", ODD_ANSWERS, ids=range(len(ODD_ANSWERS)))
async def test_whatever_one_answers_is_written_down_and_holds_up_no_other(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path, odd: bytes
) -> None:
    """RFC 9112, 4 lets any byte into a reason phrase. One in Latin-1 was text that no
    database takes, and all couriers began anew each second."""

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(odd)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    odd_one = Receiver(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/calls")
    hook = await subscribe(store, odd_one)
    await subscribe(store, receiver)
    async with server, delivering(url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 1)

        async def tried_again() -> bool:
            tried = await webhooks.deliveries(store.engine, hook.id, None, 10)
            return [one.attempts >= 2 for one in tried] == [True]

        await until(tried_again)
    (one,) = await webhooks.deliveries(store.engine, hook.id, None, 10)
    assert one.why
    assert one.why.isascii()
    assert one.why.isprintable()
    assert ANI not in one.why
    assert len(receiver.bodies) == 1, "nobody else noticed"


async def test_a_private_address_nobody_declared(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    """Not by its number, nor by a name that leads to it."""
    port = receiver.url.split(":")[2]
    hooks = []
    for host in ("127.0.0.1", "localhost"):
        receiver.url = f"https://{host}:{port}"
        hooks.append(await subscribe(store, receiver, private=False))
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        async with asyncio.timeout(20):
            for hook in hooks:
                said = ""
                while "a private address" not in said:
                    await asyncio.sleep(0.02)
                    found = await webhooks.deliveries(store.engine, hook.id, None, 1)
                    said = (found[0].why or "") if found else ""
    assert receiver.bodies == []


async def test_one_who_hangs_holds_up_no_other(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    over = asyncio.Event()

    async def hang(_: dict[str, Any]) -> web.Response:
        await over.wait()
        return web.Response(status=500)

    async with receiving() as slow:
        slow.answer = hang
        await subscribe(store, slow)
        await subscribe(store, receiver)
        async with delivering(url, tmp_path):
            await put(store, a_call(1))
            await slow.until(lambda r: len(r.bodies) == 1)
            for n in range(2, 12):
                await put(store, a_call(n))
            await receiver.until(lambda r: len(r.events) == 11)
        over.set()
    assert slow.events == []


async def test_one_who_is_down_is_asked_ever_more_rarely(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One at a time, and all that waits is sent when it is back."""
    monkeypatch.setattr(courier, "SCHEDULE_SECONDS", (3600.0,) * 10)
    await subscribe(store, receiver)

    async def down(_: dict[str, Any]) -> web.Response:
        return web.Response(status=500)

    receiver.answer = down
    async with delivering(url, tmp_path):
        await put(store, *(a_call(n) for n in range(60)))
        await receiver.until(lambda r: len(r.bodies) > courier.BATCH)
        receiver.most_at_once = 0
        await receiver.until(lambda r: len(r.bodies) > courier.BATCH + 3)
        assert receiver.most_at_once == 1
        receiver.answer = None
        await receiver.until(lambda r: len(r.revisions) == 60)


async def test_it_asks_for_a_rest(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    async def later(_: dict[str, Any]) -> web.Response:
        is_first = len(receiver.bodies) == 1
        status = 429 if is_first else 200
        return web.Response(status=status, headers={"Retry-After": "1"})

    receiver.answer = later
    await subscribe(store, receiver)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.bodies) == 1)
        before = asyncio.get_running_loop().time()
        await receiver.until(lambda r: len(r.bodies) == 2)
        assert asyncio.get_running_loop().time() - before > 0.8


async def test_a_delivery_that_waits_long_raises_an_alarm(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "STUCK_MINUTES", 0.005)

    async def no(_: dict[str, Any]) -> web.Response:
        return web.Response(status=500)

    receiver.answer = no
    hook = await subscribe(store, receiver)
    name = f"webhook-stuck-{hook.id}"
    async with delivering(url, tmp_path) as house:
        await put(store, a_call(1))
        await until(lambda: name in house.status.alarms)
        assert "has not taken 1 calls' news" in house.status.alarms[name]["sentence"]
        await webhooks.remove(store.engine, hook.id, by=BY)
        await until(lambda: name not in house.status.alarms)
    assert await rows(store) == {}


# ---- rotation, replay, faults -------------------------------------------------------


async def test_secrets_rotate_while_it_runs(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    """The old one is good for a day, the new one at once."""
    hook = await subscribe(store, receiver)
    renewed = await webhooks.rotate(store.engine, hook.id, by=BY)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 1)
        receiver.secret = renewed.secret
        await put(store, a_call(2))
        await receiver.until(lambda r: len(r.events) == 2)
    assert hook.secret != renewed.secret
    assert renewed.secrets(now()) == (renewed.secret, hook.secret)
    assert renewed.secrets(now() + timedelta(hours=25)) == (renewed.secret,)


async def test_replay_from_a_cursor(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    hook = await subscribe(store, receiver)
    async with delivering(url, tmp_path):
        for n in range(4):
            await put(store, a_call(n))
        await all_are(store, Delivery.DELIVERED, 4)
        middle = now()
        for n in range(2, 6):
            await put(store, a_call(n, step=1))
        await all_are(store, Delivery.DELIVERED, 6)
        receiver.events.clear()
        since = await webhooks.cursor_before(store.engine, middle)
        assert since == 4
        assert await webhooks.replay_after(store.engine, hook.id, since, by=BY) == 4
        await receiver.until(lambda r: len(r.events) == 4)
        await all_are(store, Delivery.DELIVERED, 6)
    assert sorted(receiver.revisions) == sorted(a_call(n).call_id for n in range(2, 6))
    assert {tuple(v) for v in receiver.revisions.values()} <= {(1,), (2,)}


async def test_replay_never_leaps_forward(
    store: RecordStore, receiver: Receiver
) -> None:
    hook = await subscribe(store, receiver)
    await put(store, a_call(1))
    assert await webhooks.replay_after(store.engine, hook.id, 999, by=BY) == 0
    assert (await webhooks.standing(store.engine, hook.id)).behind == 1


async def test_a_replay_and_an_outcome_wait_for_each_other_in_line(
    store: RecordStore, receiver: Receiver, url: str
) -> None:
    """An admin replays while the courier writes what became of its attempts:
    PostgreSQL saw a deadlock, and ended one of them."""
    hook = await subscribe(store, receiver)
    await put(store, a_call(1))
    queue = DeliveryQueue(store.engine, store.engine, hook)
    await queue.take()
    other = await RecordStore.open(url)
    try:
        async with queue.alone() as connection:
            replaying = asyncio.create_task(
                webhooks.replay_after(other.engine, hook.id, 0, by=BY)
            )
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await asyncio.shield(replaying)
            # It holds none of the rows yet that an outcome is written to.
            await connection.execute(sa.update(webhook_deliveries).values(attempts=1))
        assert await replaying == 1
    finally:
        await other.close()
    assert await queue.take()
    assert len(await queue.due(10)) == 1


async def test_a_fault_of_ours_stops_nobody_else(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = await subscribe(store, receiver)
    await subscribe(store, receiver)
    post = courier.post

    async def fault(session: Any, hook: Subscription, message: Any) -> Any:
        if hook.id == broken.id:
            raise ZeroDivisionError
        return await post(session, hook, message)

    monkeypatch.setattr(courier, "post", fault)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 1)
        await until(lambda: f"webhook {broken.id}" in caplog.text)


async def test_text_no_database_takes_stops_nobody_else(
    store: RecordStore,
    receiver: Receiver,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = await subscribe(store, receiver)
    await subscribe(store, receiver)
    post = courier.post

    async def odd(session: Any, hook: Subscription, message: Any) -> Any:
        if hook.id == broken.id:
            return Outcome(500, "\udce9")
        return await post(session, hook, message)

    monkeypatch.setattr(courier, "post", odd)
    async with delivering(url, tmp_path):
        await put(store, a_call(1))
        await until(lambda: f"webhook {broken.id}" in caplog.text)
        await receiver.until(lambda r: len(r.events) == 1)
        assert "wait for the store" not in caplog.text


async def test_what_is_over_is_forgotten(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    hook = await subscribe(store, receiver)
    old, new = now() - timedelta(days=30), now()
    for number, state, at in (
        (1, Delivery.DELIVERED, old),
        (2, Delivery.DELIVERED, new),
        (3, Delivery.DEAD, old),
        (4, Delivery.DEAD, old - timedelta(days=90)),
        (5, Delivery.PENDING, old),  # of no record
    ):
        if number != 5:
            await put(store, a_call(number))
        row = {
            "webhook": hook.id, "call_id": a_call(number).call_id, "revision": 1,
            "cursor": number, "state": state.value, "attempts": 1, "queued_at": at,
            "due_at": at,
        }  # fmt: skip
        async with store.engine.begin() as connection:
            await connection.execute(sa.insert(webhook_deliveries).values(**row))
    queue = DeliveryQueue(store.engine, store.engine, hook)
    await queue.prune()
    kept = {a_call(number).call_id for number in (2, 3)}
    assert (await rows(store)).keys() == kept
    assert await queue.due(10) == []


async def test_the_feed_itself_delivers(
    receiver: Receiver, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gerbang feed`, whole."""
    async with open_feed(tmp_path, url, monkeypatch) as house:
        await subscribe(house.store, receiver)
        await house.put("k-1.1")
        await receiver.until(lambda r: len(r.events) == 1)
        status = house.feed.status.figures["webhooks"]
        await until(lambda: status["delivered"] == 1)
    assert receiver.events[0]["subject"] == "k-1.1"
    assert receiver.events[0]["source"] == SOURCE
    told = json.loads((house.settings.run / "feed.status.json").read_text())
    assert told["figures"]["webhooks"] == {"delivered": 1, "failed": 0}


async def test_what_is_unknown(store: RecordStore) -> None:
    for asked in (
        webhooks.subscription(store.engine, 7),
        webhooks.remove(store.engine, 7, by=BY),
        webhooks.rotate(store.engine, 7, by=BY),
        webhooks.enable(store.engine, 7, by=BY),
        webhooks.replay_after(store.engine, 7, 0, by=BY),
        webhooks.replay_dead(store.engine, 7, by=BY),
        webhooks.deliveries(store.engine, 7, None, 1),
    ):
        with pytest.raises(webhooks.UnknownWebhookError, match="no webhook 7"):
            await asked


async def test_the_store_is_not_there_yet(receiver: Receiver, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.sqlite3'}"
    async with delivering(url, tmp_path):
        await asyncio.sleep(0.3)
        store = await RecordStore.open(url)
        await subscribe(store, receiver)
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 1)
        await store.close()


async def test_the_database_goes_and_comes_back(
    postgres_server: Postgres, postgres_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    store = await RecordStore.open(postgres_url)
    await subscribe(store, receiver)
    async with delivering(postgres_url, tmp_path):
        await put(store, a_call(1))
        await receiver.until(lambda r: len(r.events) == 1)
        await asyncio.to_thread(postgres_server.stop)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres_server.start)
        await store.close()
        store = await RecordStore.open(postgres_url)
        await put(store, a_call(2))
        await receiver.until(lambda r: len(r.revisions) == 2)
    await store.close()


DELIVERER = """
import asyncio, sys
from pathlib import Path
from pbx.feed import webhooks
from pbx.records.wake import Waker
from pbx.status import Status

async def main(url, directory):
    waker = Waker(url)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(waker.run())
        tasks.create_task(
            webhooks.run(url, Status(Path(directory), "feed"), waker, source="urn:x")
        )

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_again_and_again_nothing_is_lost(
    store: RecordStore, receiver: Receiver, url: str, tmp_path: Path
) -> None:
    """kill -9 while calls are written: every call's last revision arrives, and none
    after a newer one but by repetition."""
    await subscribe(store, receiver)
    written = 0

    async def write() -> None:
        nonlocal written
        for number in range(60):
            for step in range(3):
                await put(store, a_call(number, step=step, is_over=step == 2))
            written += 1
            await asyncio.sleep(0.03)

    writing = asyncio.create_task(write())
    for _ in range(4):
        before = len(receiver.bodies)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DELIVERER, url, str(tmp_path)
        )
        await receiver.until(
            lambda r, n=before: len(r.bodies) > n + 5 or writing.done()
        )
        process.send_signal(signal.SIGKILL)
        await process.wait()
    await writing
    async with delivering(url, tmp_path):
        await receiver.until(lambda r: last_revisions(r) == [3] * 60)
        await all_are(store, Delivery.DELIVERED, 60)
    for revisions in receiver.revisions.values():
        assert revisions == sorted(revisions)
    by_id: dict[str, set[bytes]] = {}
    for message_id, body in receiver.bodies:
        by_id.setdefault(message_id, set()).add(json.loads(body)["data"]["revision"])
    assert all(len(found) == 1 for found in by_id.values())
