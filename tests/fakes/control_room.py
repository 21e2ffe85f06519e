"""What control-room tests share: the reference city, and values with good defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from pbx.ami import ChannelSeen, DeviceState, Member, Snapshot
from pbx.model.city import City, read_city
from pbx.settings import PROJECT

WALL = datetime(2025, 11, 21, 14, 0, tzinfo=UTC)
CITY_TEXT = (PROJECT / "asterisk-config" / "city.toml").read_text()


def reference_city() -> City:
    return read_city(CITY_TEXT, source="city.toml")


def call(
    uniqueid: str = "k-1.1", context: str = "from-trunk", **more: object
) -> ChannelSeen:
    told: dict[str, object] = {
        "channel": "PJSIP/carrier-" + uniqueid.replace("-", ""),
        "uniqueid": uniqueid,
        "linkedid": uniqueid,
        "caller": "081234567890",
        "context": context,
        "extension": "112",
    }
    return ChannelSeen(**(told | more))  # type: ignore[arg-type]


def member(
    number: str = "101",
    queue: str = "darurat",
    state: DeviceState = DeviceState.NOT_IN_USE,
    **more: object,
) -> Member:
    told: dict[str, object] = {
        "queue": queue,
        "interface": f"PJSIP/{number}",
        "name": f"Operator {number}",
        "state": state,
        "is_paused": False,
        "is_in_call": False,
        "calls_taken": 0,
        "last_call_at": None,
    }
    return Member(**(told | more))  # type: ignore[arg-type]


def snapshot(*channels: ChannelSeen, **more: object) -> Snapshot:
    told: dict[str, object] = {
        "booted_at": WALL,
        "channels": channels,
        "queues": ("darurat", "cadangan"),
        "members": (),
        "waiting": (),
    }
    return Snapshot(**(told | more))  # type: ignore[arg-type]


@dataclass
class FakeStore:
    """A store that remembers, and can be gone."""

    is_gone: bool = False
    open_calls: list[str] = field(default_factory=list)
    told: list[tuple[object, ...]] = field(default_factory=list)
    tries: int = 0

    def _reach(self) -> None:
        self.tries += 1
        if self.is_gone:
            raise ConnectionError("no database")

    async def witness_seen(self, call_id: str, **facts: object) -> None:
        self._reach()
        self.told.append(("seen", call_id, facts["trunk"], facts["number"]))

    async def witness_ended(
        self, call_id: str, *, ended_at: datetime, cause: int | None
    ) -> None:
        self._reach()
        self.told.append(("ended", call_id, cause))

    async def open_witnesses(self) -> list[str]:
        self._reach()
        return self.open_calls

    async def boot_seen(self, booted_at: datetime) -> None:
        self._reach()
        self.told.append(("boot", booted_at))
