"""One more net: calls that hang in the filter are sent to the operators.

The dialplan's own deadline (extension T) and the supervisor's watchdog come first; what
is caught here should have been impossible, so each catch is counted and an alarm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from pbx.ami import ChannelSeen, ManagerError, ManagerLink
from pbx.control.room import Stage, stage_of
from pbx.model.city import City
from pbx.status import read_all

_log = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""Past the flow's own deadline, after which T should have fired."""

GONE_SECONDS = 4.0
"""Above the supervisor's 3 s (`WatchdogSec`), which kills a hung worker first."""

RETRY_SECONDS = 5.0
"""A redirect that did not help is tried again after this."""

_IN_INTAKE = frozenset({"AGI", "AudioSocket"})
_FILTERED = frozenset({Stage.FILTER, Stage.DEGRADED, Stage.RELEASE})


@dataclass(frozen=True, slots=True)
class Rescue:
    """A call to send to `rescue`, and why."""

    channel: str
    call_id: str
    why: str


@dataclass(slots=True)
class Watch:
    """Looks at the channels again and again; remembers since when each hangs."""

    is_worker_alive: Callable[[int], bool | None]
    """Whether an intake worker runs; None: nobody knows."""
    rescued: int = 0
    rescued_at: float | None = None
    """When the last call was rescued, monotonic seconds."""
    _since: dict[tuple[str, str], float] = field(default_factory=dict)
    _tried: dict[str, float] = field(default_factory=dict)

    def look(
        self, city: City, channels: Collection[ChannelSeen], now: float
    ) -> list[Rescue]:
        """Whom to rescue now; `now` is the monotonic clock, seconds."""
        standing: dict[tuple[str, str], float] = {}
        found: list[Rescue] = []
        for channel in channels:
            stage, flow = stage_of(channel.context)
            if stage not in _FILTERED:
                continue
            key = (channel.uniqueid, channel.context)
            standing[key] = self._since.get(key, now)
            lost = (channel.uniqueid, "lost intake")
            if self._is_intake_gone(channel) or _is_unheard(channel):
                standing[lost] = self._since.get(lost, now)
            deadline = city.flows[flow].deadline_seconds if flow in city.flows else 60
            if now - standing[key] > deadline + GRACE_SECONDS:
                why = f"{now - standing[key]:.0f} s in {channel.context}"
                found.append(Rescue(channel.channel, channel.uniqueid, why))
            elif now - standing.get(lost, now) > GONE_SECONDS:
                worker = "?" if channel.worker is None else channel.worker
                why = f"its intake (worker {worker}) is gone or hangs"
                found.append(Rescue(channel.channel, channel.uniqueid, why))
        self._since = standing
        return [rescue for rescue in found if self._is_due(rescue, now)]

    def _is_intake_gone(self, channel: ChannelSeen) -> bool:
        return (
            channel.application in _IN_INTAKE
            and channel.worker is not None
            and self.is_worker_alive(channel.worker) is False
        )

    def _is_due(self, rescue: Rescue, now: float) -> bool:
        self._tried = {
            call: at for call, at in self._tried.items() if now - at < RETRY_SECONDS
        }
        return rescue.call_id not in self._tried

    async def rescue(self, link: ManagerLink, rescue: Rescue, now: float) -> None:
        """Send one call to the operators; a failure is logged and tried again."""
        self._tried[rescue.call_id] = now
        extra = {"call_id": rescue.call_id}
        try:
            await link.redirect(rescue.channel, context="rescue", extension="s")
        except ManagerError as error:
            _log.error("call not rescued (%s): %s", rescue.why, error, extra=extra)  # noqa: TRY400 — the text says it all
            return
        self.rescued += 1
        self.rescued_at = now
        _log.error("call rescued from the filter: %s", rescue.why, extra=extra)


def _is_unheard(channel: ChannelSeen) -> bool:
    """Whether the intake has not said a word yet: its first is INTAKE=started."""
    return channel.application == "AGI" and channel.intake == "failed"


def worker_lives(run: Path) -> Callable[[int], bool | None]:
    """Ask the status files for the worker's pid and the kernel whether it runs.

    The supervisor's word and the worker's own count alike: one living pid is enough.
    """

    def lives(worker: int) -> bool | None:
        name = f"intake-{worker}"
        pids: list[object] = []
        for status in read_all(run):
            if status.get("process") == name:
                pids.append(status.get("pid"))
            kept = status.get("figures", {}).get("processes", {})
            if name in kept:
                pids.append(kept[name].get("pid"))
        known = [bool(pid) and _runs(Path(f"/proc/{pid}/stat")) for pid in pids]
        return any(known) if known else None

    return lives


def _runs(stat: Path) -> bool:
    """Whether a process lives and is not stopped (proc(5), field 3)."""
    try:
        state = stat.read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in {"T", "t", "Z", "X"}
