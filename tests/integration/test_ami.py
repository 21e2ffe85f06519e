"""The manager link on a real Asterisk, configured as the city renders it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from pbx.ami import (
    ActionFailed,
    CallerWaits,
    ChannelGone,
    ChannelSeen,
    LinkLost,
    Login,
    ManagerEvent,
    ManagerLink,
    Member,
    MemberRemoved,
    Snapshot,
)
from pbx.asterisk import run
from tests.fakes.live_city import LiveCity, live_city
from tests.fakes.trunk_call import TrunkCall
from tests.patience import until

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(90)]


@pytest.fixture
async def live(
    tmp_path: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> AsyncIterator[LiveCity]:
    async with live_city(tmp_path, asterisk_root, asterisk_user) as live:
        yield live


@asynccontextmanager
async def linked(
    login: Callable[[], Login], heard: list[ManagerEvent], *, up: bool = True
) -> AsyncIterator[ManagerLink]:
    async def remember(event: ManagerEvent) -> None:
        heard.append(event)

    link = ManagerLink(login)
    link.subscribe(remember)
    running = asyncio.create_task(link.run())
    try:
        if up:
            await until(lambda: link.is_up)
        yield link
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_one_link_one_day(live: LiveCity) -> None:
    """Login, snapshot, a channel seen and gone, members, a wrong secret."""
    heard: list[ManagerEvent] = []

    def of(kind: type[ManagerEvent]) -> list[ManagerEvent]:
        return [event for event in heard if isinstance(event, kind)]

    async with linked(live.login, heard) as link:
        await until(lambda: heard)
        snapshot = heard[0]
        assert isinstance(snapshot, Snapshot)
        assert {"darurat", "darurat-patient", "cadangan"} <= set(snapshot.queues)
        assert ("darurat", "PJSIP/101", "Operator 1") in {
            (m.queue, m.interface, m.name) for m in snapshot.members
        }
        assert not any(m.is_reachable for m in snapshot.members)
        age = time.time() - snapshot.booted_at.timestamp()
        assert 0 <= age < 60

        # A channel, as the console makes one; `control` itself may not.
        with pytest.raises(ActionFailed, match="Permission denied"):
            await link.ask("Originate", Channel="Local/s@waiting", Application="Wait")
        await live.console("module load res_clioriginate.so")
        said = "channel originate Local/112@from-trunk application Wait 1"
        await live.console(said)
        await until(lambda: of(ChannelSeen))
        first = of(ChannelSeen)[0]
        assert isinstance(first, ChannelSeen)
        assert first.channel.startswith("Local/112@from-trunk")
        assert first.at is not None
        await until(lambda: first.uniqueid in {e.uniqueid for e in of(ChannelGone)})

        # Members: gawel/panoramisk#54 on the real thing.
        await link.queue_add("darurat", "PJSIP/103", name="Penyelia")
        await link.queue_pause("darurat", "PJSIP/103", paused=True, reason="rest")
        await until(lambda: any(m.is_paused for m in of(Member)))
        await link.queue_remove("darurat", "PJSIP/103")
        await until(lambda: MemberRemoved("darurat", "PJSIP/103") in heard)
        with pytest.raises(ActionFailed, match="Interface not found"):
            await link.queue_pause("darurat", "PJSIP/999", paused=True)
        with pytest.raises(ActionFailed, match="No such queue"):
            await link.queue_add("nowhere", "PJSIP/103")

        # Somebody with a wrong secret does not disturb the link.
        wrong = Login("127.0.0.1", live.login().port, "control", "wrong")
        async with linked(lambda: wrong, [], up=False) as other:
            await until(lambda: "refuses user 'control'" in other.why_down)
        assert link.figures.losses == 0
        assert link.figures.handler_errors == 0


async def test_a_citizens_call_and_a_killed_asterisk(live: LiveCity) -> None:
    """kill -9 and a new start: the link returns, the new snapshot has another boot."""
    heard: list[ManagerEvent] = []
    with TrunkCall("127.0.0.2", live.sip) as call:
        await _called_and_killed(live, heard, call)


async def _called_and_killed(
    live: LiveCity, heard: list[ManagerEvent], call: TrunkCall
) -> None:
    async with linked(live.login, heard) as link:
        await call.invite()
        await until(lambda: any(isinstance(e, ChannelSeen) for e in heard))
        seen = next(e for e in heard if isinstance(e, ChannelSeen))
        assert seen.channel.startswith("PJSIP/carrier-")
        assert seen.is_first_of_its_call
        assert (seen.context, seen.extension) == ("from-trunk", "112")
        assert seen.caller == "081234567890"
        # No intake, no prompts, no phones: the dialplan brings it to the queue alone.
        await until(lambda: any(isinstance(e, CallerWaits) for e in heard))
        before = await link.snapshot_channels()
        assert [c.uniqueid for c in before] == [seen.uniqueid]
        assert before[0].application == "Queue"

        cut_at = time.monotonic()
        await live.kill()
        await until(lambda: isinstance(heard[-1], LinkLost))
        noticed = time.monotonic() - cut_at
        await asyncio.sleep(1.1)  # boots are told apart by the second
        await live.start()
        await until(lambda: isinstance(heard[-1], Snapshot))
        first, last = (e for e in heard if isinstance(e, Snapshot))
        assert last.channels == ()
        assert last.booted_at > first.booted_at
        assert noticed < 2


async def test_a_stopped_asterisk_is_noticed(live: LiveCity) -> None:
    """SIGSTOP: the socket stays open and says nothing."""
    heard: list[ManagerEvent] = []
    async with linked(live.login, heard) as link:
        stopped_at = time.monotonic()
        os.kill(live.pid, signal.SIGSTOP)
        await until(lambda: not link.is_up)
        took = time.monotonic() - stopped_at
        print(f"half-open noticed after {took:.2f} s")
        assert took < 4
        os.kill(live.pid, signal.SIGCONT)
        await until(lambda: link.is_up)
        kinds = [type(e) for e in heard if isinstance(e, Snapshot | LinkLost)]
        assert kinds == [Snapshot, LinkLost, Snapshot]
