"""What the control room tells of holds and wrap-up, and when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pbx.ami import (
    ChannelBridged,
    ChannelGone,
    ChannelHeld,
    ChannelSeen,
    DeviceState,
    LinkLost,
    Member,
    Snapshot,
)
from pbx.control import aftermath
from pbx.control.aftermath import Aftermath
from pbx.control.room import Room
from pbx.model.city import read_city
from pbx.settings import PROJECT
from pbx.status import Status

CITY = read_city((PROJECT / "asterisk-config/city.toml").read_text(), source="city")
CALL, LEG = "kediri-1-1.0", "kediri-1-2.1"
PHONE = "PJSIP/101-00000001"
AT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
FREE = Member(
    queue="darurat",
    interface="PJSIP/101",
    name="Operator 1",
    state=DeviceState.NOT_IN_USE,
    is_paused=False,
    is_in_call=False,
    calls_taken=1,
    last_call_at=AT,
)


@dataclass
class Teller:
    """Notes that were told; or a disk that is full, or one that is odd."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    trouble: Exception | None = None

    def tell(
        self,
        call_id: str,
        name: str,
        channel: str | None = None,
        *,
        at: datetime | None = None,
        **values: object,
    ) -> None:
        if self.trouble:
            raise self.trouble
        self.told.append((call_id, name, channel, at, values))


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
def after(teller: Teller, tmp_path: Path) -> Aftermath:
    room = Room()
    for queue in ("darurat", "darurat-patient"):
        room.apply(replace(FREE, queue=queue), 0)
    return Aftermath(teller, room, lambda: CITY, Status(tmp_path, "control"))


async def talked(after: Aftermath, *, at: datetime | None = AT) -> None:
    await after.handle(ChannelBridged(PHONE, LEG, CALL))
    await after.handle(ChannelGone(PHONE, LEG, CALL, 16, at))


async def written(after: Aftermath, teller: Teller) -> list[tuple[Any, ...]]:
    await after.flush(deadline_seconds=5)
    return teller.told


async def test_holds_are_told_as_they_are_heard(
    after: Aftermath, teller: Teller
) -> None:
    for is_held in (True, False):
        await after.handle(ChannelHeld(PHONE, LEG, CALL, is_held, AT))
    assert await written(after, teller) == [
        (CALL, "HELD", LEG, AT, {"by": "101"}),
        (CALL, "UNHELD", LEG, AT, {"by": "101"}),
    ]


async def test_ready_again_when_wrap_up_is_over(
    after: Aftermath, teller: Teller
) -> None:
    await talked(after)
    after.look(AT + timedelta(seconds=4.9))
    assert not await written(after, teller)
    after.look(AT + timedelta(seconds=5.3))
    ready_at = AT + timedelta(seconds=5)
    told = (CALL, "WRAPPED_UP", LEG, ready_at, {"operator": "101"})
    assert await written(after, teller) == [told]
    after.look(AT + timedelta(seconds=9))
    assert len(await written(after, teller)) == 1


async def test_a_pause_is_wrap_up_too(after: Aftermath, teller: Teller) -> None:
    await talked(after)
    after.room.apply(replace(FREE, is_paused=True), 0)
    after.look(AT + timedelta(seconds=60))
    assert not await written(after, teller)
    after.room.apply(FREE, 0)
    after.look(AT + timedelta(seconds=61))
    ((_, _, _, at, _),) = await written(after, teller)
    assert at == AT + timedelta(seconds=61)


@pytest.mark.parametrize(
    ("member", "later"),
    [
        (replace(FREE, is_paused=True), timedelta(hours=2)),
        (replace(FREE, state=DeviceState.UNAVAILABLE), timedelta(seconds=6)),
    ],
)
async def test_who_went_home_is_not_told(
    after: Aftermath, teller: Teller, member: Member, later: timedelta
) -> None:
    for queue in ("darurat", "darurat-patient"):
        after.room.apply(replace(member, queue=queue), 0)
    await talked(after)
    after.look(AT + later)
    for queue in ("darurat", "darurat-patient"):
        after.room.apply(replace(FREE, queue=queue), 0)
    after.look(AT + later)
    assert not await written(after, teller)


async def test_a_phone_that_only_rang_wraps_up_nothing(
    after: Aftermath, teller: Teller
) -> None:
    await after.handle(ChannelGone(PHONE, LEG, CALL, 0, AT))
    await after.handle(ChannelBridged("PJSIP/carrier-00000000", CALL, CALL))
    await after.handle(ChannelGone("PJSIP/carrier-00000000", CALL, CALL, 16, AT))
    await after.handle(LinkLost("test"))
    after.look(AT + timedelta(seconds=9))
    assert not await written(after, teller)


async def test_the_next_talk_ends_the_wait(after: Aftermath, teller: Teller) -> None:
    await talked(after)
    await after.handle(ChannelBridged(PHONE, "kediri-1-9.9", "kediri-1-9.8"))
    after.look(AT + timedelta(seconds=9))
    assert not await written(after, teller)


async def test_a_talk_that_a_snapshot_found_counts(
    after: Aftermath, teller: Teller
) -> None:
    seen = ChannelSeen(PHONE, LEG, CALL, "101", "from-operators", "s", bridge="b1")
    rings = replace(seen, uniqueid="kediri-1-3.2", bridge="")
    await after.handle(Snapshot(AT, (seen, rings), (), (), ()))
    await after.handle(ChannelGone(PHONE, rings.uniqueid, CALL, 0, AT))
    await after.handle(ChannelGone(PHONE, LEG, CALL, 16, None))
    after.look(datetime.now(UTC) + timedelta(seconds=6))
    assert [told[1:3] for told in await written(after, teller)] == [("WRAPPED_UP", LEG)]


async def test_a_disk_that_takes_nothing_raises_an_alarm_and_notes_wait(
    after: Aftermath, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(aftermath, "LOOK_EVERY_SECONDS", 0.01)
    teller.trouble = OSError(28, "No space left on device")
    await after.handle(ChannelHeld(PHONE, LEG, CALL, is_held=True))
    running = asyncio.create_task(after.run())
    async with asyncio.timeout(30):
        while "notes-unwritable" not in after.status.alarms:
            await asyncio.sleep(0.01)
        teller.trouble = None
        while after.status.alarms:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [told[1] for told in teller.told] == ["HELD"]


async def test_what_cannot_be_told_holds_nothing_up(
    after: Aftermath, teller: Teller
) -> None:
    teller.trouble = ValueError("names no call")
    await after.handle(ChannelHeld(PHONE, LEG, "", is_held=True))
    assert not await written(after, teller)
    teller.trouble = None
    await after.handle(ChannelHeld(PHONE, LEG, CALL, is_held=False))
    assert len(await written(after, teller)) == 1


async def test_a_full_memory_gives_up_the_oldest(
    after: Aftermath, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "MOST_WAITING", 2)
    for call in ("1", "2", "3"):
        await after.handle(ChannelHeld(PHONE, LEG, call, is_held=True))
    assert [told[0] for told in await written(after, teller)] == ["2", "3"]
    assert after.dropped == 1


async def test_the_end_leaves_what_does_not_go(
    after: Aftermath, teller: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    teller.trouble = OSError(5, "Input/output error")
    await after.handle(ChannelHeld(PHONE, LEG, CALL, is_held=True))
    await after.flush(deadline_seconds=1)
    assert "1 notes not written" in caplog.text
