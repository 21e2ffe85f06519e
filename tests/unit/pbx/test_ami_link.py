"""The manager link against a scripted manager: what panoramisk 1.4 gets wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import panoramisk
import pytest

from pbx.ami import (
    ActionFailed,
    ActionTimedOut,
    ChannelGone,
    ChannelSeen,
    LinkDown,
    LinkLost,
    Login,
    ManagerEvent,
    ManagerLink,
    Snapshot,
    Timing,
)
from pbx.ami.wire import LARGEST_MESSAGE_BYTES, Connection
from tests.fakes.manager import FakeManager, block, channel, refuses, silence, success
from tests.patience import until

QUICK = Timing(
    connect=1,
    login=1,
    booted=0.3,
    action=0.5,
    ping_every=0.05,
    pong=0.2,
    handler=0.5,
    first_retry=0.02,
    longest_retry=0.1,
)


@dataclass
class Heard:
    """A subscriber that remembers."""

    events: list[ManagerEvent] = field(default_factory=list)

    async def __call__(self, event: ManagerEvent) -> None:
        self.events.append(event)

    def of(self, kind: type[ManagerEvent]) -> list[ManagerEvent]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def linked(
    server: FakeManager,
    *handlers: Callable[[ManagerEvent], Awaitable[None]],
    secret: str = "right",
    timing: Timing = QUICK,
    up: bool = True,
    backlog: int = 1000,
) -> AsyncIterator[ManagerLink]:
    link = ManagerLink(
        lambda: Login("127.0.0.1", server.port, "control", secret),
        timing=timing,
        backlog=backlog,
    )
    for handler in handlers:
        link.subscribe(handler)
    running = asyncio.create_task(link.run())
    try:
        if up:
            await until(lambda: link.is_up)
        yield link
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


# ── plain panoramisk, to show that the defect is there ───────────────────────────────


@asynccontextmanager
async def plain(server: FakeManager) -> AsyncIterator[panoramisk.Manager]:
    manager = panoramisk.Manager(
        loop=asyncio.get_running_loop(),
        host="127.0.0.1",
        port=server.port,
        username="control",
        secret="right",
        reconnect_timeout=0,
    )
    await manager.connect()
    await until(lambda: manager.authenticated)
    try:
        yield manager
    finally:
        manager.reconnect_timeout = 3600
        manager.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_plain_panoramisk_drops_the_link_when_a_callback_fails() -> None:
    async with FakeManager() as server, plain(server) as manager:
        lost = asyncio.Event()
        manager.on_disconnect = lambda *_: lost.set()
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        manager.register_event("Newchannel", lambda *_: 1 / 0)
        await server.say("Event: Newchannel", *channel("PJSIP/carrier-1", "1.1"))
        async with asyncio.timeout(30):
            await lost.wait()


async def test_plain_panoramisk_never_ends_a_queue_add() -> None:
    """gawel/panoramisk#54."""
    async with (
        FakeManager(answers={"QueueAdd": _added}) as server,
        plain(server) as manager,
    ):
        waiting = manager.send_action({"Action": "QueueAdd", "Queue": "darurat"})
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert not done


async def test_plain_panoramisk_asks_again_after_a_reconnect() -> None:
    async with (
        FakeManager(answers={"Originate": silence}) as server,
        plain(server) as manager,
    ):
        manager.send_action({"Action": "Originate", "Channel": "PJSIP/119"})
        await until(lambda: server.names() == ["Originate"])
        server.cut()
        await until(lambda: server.names() == ["Originate"] * 2)


async def _added(server: FakeManager, action: dict[str, str]) -> None:
    await server.say(
        "Response: Success",
        f"ActionID: {action['ActionID']}",
        "Message: Added interface to queue",
    )


# ── ours ─────────────────────────────────────────────────────────────────────────────


async def test_a_failing_handler_harms_neither_link_nor_others_nor_order() -> None:
    heard = Heard()

    async def fails(event: ManagerEvent) -> None:
        raise RuntimeError("a bug of ours")

    async def hangs(event: ManagerEvent) -> None:
        if isinstance(event, Snapshot):
            await asyncio.sleep(60)

    async with (
        FakeManager() as server,
        linked(server, fails, hangs, heard) as link,
    ):
        for i in range(20):
            await server.say("Event: Newchannel", *channel(f"PJSIP/c-{i}", f"1.{i}"))
        await until(lambda: len(heard.of(ChannelSeen)) == 20)
        assert [e.uniqueid for e in heard.of(ChannelSeen)] == [
            f"1.{i}" for i in range(20)
        ]
        assert link.is_up
        assert link.figures.handler_errors == 22  # 21 failures and one hang
        assert server.logins == 1


async def test_slow_handlers_keep_the_order() -> None:
    """panoramisk starts one task a callback; the quick overtakes the slow."""
    told: list[str] = []

    async def slow_at_first(event: ManagerEvent) -> None:
        if isinstance(event, ChannelSeen):
            await asyncio.sleep(0.05 if event.uniqueid == "1.0" else 0)
            told.append(event.uniqueid)

    async with FakeManager() as server, linked(server, slow_at_first):
        for i in range(3):
            await server.say("Event: Newchannel", *channel("PJSIP/c-1", f"1.{i}"))
        await until(lambda: len(told) == 3)
        assert told == ["1.0", "1.1", "1.2"]


async def test_queue_actions_resolve() -> None:
    """gawel/panoramisk#54: `Added interface to queue` is a whole answer."""
    async with FakeManager(answers={"QueueAdd": _added}) as server:
        async with linked(server) as link:
            await link.queue_add("darurat", "PJSIP/101", name="Operator 1")
            await link.queue_pause("darurat", "PJSIP/101", paused=True, reason="rest")
            await link.queue_remove("darurat", "PJSIP/101")
            await link.redirect("PJSIP/c-1", context="from-trunk", extension="rescue")
        asked = server.asked[-4:]
        assert asked[0]["Interface"] == "PJSIP/101"
        assert asked[1]["Paused"] == "true"
        assert (asked[3]["Exten"], asked[3]["Priority"]) == ("rescue", "1")


async def test_originate_without_async_resolves() -> None:
    """panoramisk raises KeyError('async') in the read and drops the link."""

    async def queued(server: FakeManager, action: dict[str, str]) -> None:
        await server.say(
            "Response: Success",
            f"ActionID: {action['ActionID']}",
            "Message: Originate successfully queued",
        )

    async with (
        FakeManager(answers={"Originate": queued}) as server,
        linked(server) as link,
    ):
        await link.ask("Originate", Channel="Local/1@x")
        assert link.is_up


async def test_a_refused_list_ends() -> None:
    async with FakeManager() as server, linked(server) as link:
        server.answers["QueueSummary"] = refuses("Permission denied")
        with pytest.raises(ActionFailed, match="Permission denied"):
            await link.ask_list("QueueSummary")


async def test_nothing_is_asked_twice() -> None:
    """panoramisk replays what was not answered: a citizen is called twice."""
    async with (
        FakeManager(answers={"Originate": silence}) as server,
        linked(server) as link,
    ):
        asking = asyncio.create_task(link.ask("Originate", Channel="PJSIP/119"))
        await until(lambda: "Originate" in server.names())
        server.cut()
        with pytest.raises(LinkDown, match="Originate not answered"):
            await asking
        await until(lambda: server.logins == 2)
        await until(lambda: link.is_up)
        await link.ask("QueuePause", Interface="PJSIP/101")
        assert server.names().count("Originate") == 1


async def test_an_action_before_the_link_is_a_clear_error() -> None:
    """panoramisk raises AttributeError."""
    link = ManagerLink(lambda: Login("127.0.0.1", 1, "control", "x"))
    with pytest.raises(LinkDown, match="QueueAdd not sent: no manager link"):
        await link.queue_add("darurat", "PJSIP/101")
    with pytest.raises(LinkDown, match="not open yet"):
        await Connection(print).ask("Ping", {}, is_list=False, deadline_seconds=1)


async def test_every_action_has_a_deadline_and_leaves_nothing_behind() -> None:
    async with (
        FakeManager(answers={"QueueAdd": silence}) as server,
        linked(server) as link,
    ):
        with pytest.raises(ActionTimedOut, match=r"QueueAdd: no answer in 0\.5 s"):
            await link.queue_add("darurat", "PJSIP/101")
        assert link._connection is not None
        assert link._connection._protocol is not None
        assert set(link._connection._protocol.responses) <= {
            a["ActionID"] for a in server.asked if a["Action"] == "Ping"
        }


@pytest.mark.parametrize("value", ["x\r\nAction: Originate", "a\nb", "a\rb", "a\0b"])
async def test_a_line_break_in_a_header_is_never_sent(value: str) -> None:
    """AMI has no quoting: panoramisk would send a second action."""
    async with FakeManager() as server, linked(server) as link:
        before = len(server.names())
        with pytest.raises(ValueError, match="line break"):
            await link.ask("QueuePause", Interface=value)
        assert len(server.names()) == before


async def test_a_half_open_link_is_noticed() -> None:
    """panoramisk never looks whether its ping was answered."""
    heard = Heard()
    async with FakeManager() as server, linked(server, heard) as link:
        server.answers["Ping"] = silence
        await until(lambda: heard.of(LinkLost))
        assert "not answered a ping" in heard.of(LinkLost)[0].reason
        server.answers["Ping"] = success
        await until(lambda: link.is_up)


async def test_a_wrong_secret_is_a_clear_error_and_a_right_one_heals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        FakeManager(secret="changed") as server,
        linked(server, up=False) as link,
    ):
        await until(lambda: "refuses user 'control'" in link.why_down)
        assert "gerbang render" in link.why_down
        assert not link.is_up
        server.secret = "right"
        await until(lambda: link.is_up)
    assert "right" not in caplog.text.replace("right now", "")


async def test_nobody_listens(unused_tcp_port: int) -> None:
    server = FakeManager(port=unused_tcp_port)
    async with linked(server, up=False) as link:
        await until(lambda: "is Asterisk running?" in link.why_down)
        await server.start()
        await until(lambda: link.is_up)
        await server.stop()


async def test_the_snapshot_comes_before_what_happened_meanwhile() -> None:
    """Events between login and snapshot are neither lost nor told too early."""

    async def busy(server: FakeManager, action: dict[str, str]) -> None:
        await server.say("Event: Newchannel", *channel("PJSIP/c-2", "1.2"))
        await server.say("Event: Hangup", *channel("PJSIP/c-2", "1.2"), "Cause: 16")
        items = [["Event: CoreShowChannel", *channel("PJSIP/c-1", "1.1")]]
        await server.list_of(action, items, "CoreShowChannelsComplete")

    heard = Heard()
    async with (
        FakeManager(answers={"CoreShowChannels": busy}) as server,
        linked(server, heard),
    ):
        await until(lambda: len(heard.events) == 3)
    snapshot, seen, gone = heard.events
    assert isinstance(snapshot, Snapshot)
    assert [c.uniqueid for c in snapshot.channels] == ["1.1"]
    assert isinstance(seen, ChannelSeen)
    assert seen.uniqueid == "1.2"
    assert gone == ChannelGone("PJSIP/c-2", "1.2", "1.2", 16)


async def test_after_every_connect_a_snapshot() -> None:
    """panoramisk takes none: the wallboard shows calls that ended while it was away."""
    heard = Heard()
    async with FakeManager() as server, linked(server, heard) as link:
        server.channels = [channel("PJSIP/c-9", "1.9")]
        server.cut()
        await until(lambda: len(heard.of(Snapshot)) == 2)
        kinds = [type(event) for event in heard.events]
        assert kinds == [Snapshot, LinkLost, Snapshot]
        assert [c.uniqueid for c in heard.of(Snapshot)[1].channels] == ["1.9"]
        assert link.figures.connects == 2


async def test_asterisk_that_is_not_booted_yet_is_waited_for() -> None:
    async def early_login(server: FakeManager, action: dict[str, str]) -> None:
        await success(server, action)
        server.logins += 1

    async with FakeManager(answers={"Login": early_login}) as server:
        timing = Timing(booted=60, ping_every=0.05)
        async with linked(server, up=False, timing=timing) as link:
            await until(lambda: server.logins)
            await server.say("Event: Other")
            await asyncio.sleep(0.05)  # given the chance, it would have asked by now
            assert server.names() == []
            await server.say("Event: FullyBooted", "Uptime: 1")
            await until(lambda: link.is_up)


async def test_a_manager_that_never_says_booted_is_asked_anyway() -> None:
    async with FakeManager(answers={"Login": success}) as server:
        heard = Heard()
        async with linked(server, heard):
            await until(lambda: heard.events)
        assert heard.of(Snapshot)[0].booted_at == datetime(
            2025, 11, 21, 10, 0, 0, tzinfo=UTC
        )


async def test_letters_cut_by_a_chunk_border_survive() -> None:
    """panoramisk decodes each chunk alone and drops the halves."""
    heard = Heard()
    async with FakeManager() as server, linked(server, heard):
        data = block("Event: QueueMemberAdded", "Queue: q", "MemberName: Sarí ☎")
        cut = data.index("☎".encode()) + 1
        await server.say_raw(data[:cut])
        await asyncio.sleep(0.02)
        await server.say_raw(data[cut:-3])
        await asyncio.sleep(0.02)
        await server.say_raw(data[-3:])
        await until(lambda: len(heard.events) == 2)
        assert heard.events[1].name == "Sarí ☎"


async def test_bad_bytes_and_nonsense_do_not_drop_the_link() -> None:
    heard = Heard()
    async with FakeManager() as server, linked(server, heard) as link:
        await server.say_raw(
            b"\r\n\r\n\xff\xfe: \xff\r\n\r\n:::\r\n\r\nno colon\r\n\r\n"
        )
        await server.say("Event: Hangup", "Cause: none", "Uniqueid: 1.1")
        await until(lambda: len(heard.events) == 2)
        assert heard.events[1] == ChannelGone("", "1.1", "", 0)
        assert link.figures.losses == 0


async def test_a_message_without_end_costs_the_link_not_the_memory() -> None:
    heard = Heard()
    async with FakeManager() as server, linked(server, heard):
        await server.say_raw(b"x" * (LARGEST_MESSAGE_BYTES + 1))
        await until(lambda: heard.of(LinkLost))
        assert "without end" in heard.of(LinkLost)[0].reason
        await until(lambda: len(heard.of(Snapshot)) == 2)


async def test_a_shutdown_of_asterisk_is_told() -> None:
    heard = Heard()
    async with FakeManager() as server, linked(server, heard):
        await server.say("Event: Shutdown", "Restart: False")
        await until(lambda: heard.of(LinkLost))
        assert "shuts down" in heard.of(LinkLost)[0].reason


async def test_events_nobody_can_follow_end_in_a_fresh_snapshot() -> None:
    heard = Heard()
    gate = asyncio.Event()

    async def waits(event: ManagerEvent) -> None:
        await gate.wait()

    slow = Timing(ping_every=0.05, pong=5, first_retry=0.02, handler=10)
    async with (
        FakeManager() as server,
        linked(server, waits, heard, timing=slow, backlog=50) as link,
    ):
        flood = block("Event: Newchannel", *channel("PJSIP/c-1", "1.1")) * 200
        await server.say_raw(flood)
        await until(lambda: link.figures.overflows == 1)
        gate.set()
        await until(lambda: len(heard.of(Snapshot)) == 2)
        assert "starting afresh" in heard.of(LinkLost)[0].reason


async def test_a_late_answer_disturbs_nothing() -> None:
    async def late(server: FakeManager, action: dict[str, str]) -> None:
        async def answer() -> None:
            await asyncio.sleep(0.6)
            await success(server, action)

        pending.append(asyncio.create_task(answer()))

    pending: list[asyncio.Task[None]] = []
    async with (
        FakeManager(answers={"QueueAdd": late}) as server,
        linked(server) as link,
    ):
        with pytest.raises(ActionTimedOut):
            await link.queue_add("darurat", "PJSIP/101")
        await pending[0]
        await link.queue_remove("darurat", "PJSIP/101")
        assert link.figures.losses == 0


async def test_a_link_lost_meanwhile_is_said_at_once() -> None:
    async with FakeManager() as server:
        connection = Connection(print)
        await connection.open("127.0.0.1", server.port, deadline_seconds=1)
        connection.close()
        with pytest.raises(LinkDown, match="Ping not sent: closed by us"):
            await connection.ask("Ping", {}, is_list=False, deadline_seconds=1)
        connection.close()


async def test_a_manager_that_does_not_accept() -> None:
    with pytest.raises(LinkDown, match="does not accept"):
        await Connection(print).open("127.0.0.1", 9, deadline_seconds=0)


def test_the_secret_is_never_shown() -> None:
    assert "hush" not in repr(Login("127.0.0.1", 5038, "control", "hush"))
