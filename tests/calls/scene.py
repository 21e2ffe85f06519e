"""What tests of broken cities share: callers, watching them, waiting for recovery."""

from __future__ import annotations

import asyncio
import itertools
import wave
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pbx import status
from pbx.simulator.declaration import Declaration
from pbx.simulator.script import Press, Script, Silence
from pbx.simulator.trial import TrialCall, TrialCity, TrialError
from tests.calls.records import Record, settled

_number = itertools.count(81230000001)


def own_city(**options: Any) -> TrialCity:
    """A city whose operators are free again at once."""

    def no_wrapup(declared: Declaration) -> None:
        for queue in declared["queues"]:
            queue["wrapup_seconds"] = 0

    return TrialCity(change=no_wrapup, **options)


@dataclass
class Scene:
    """A running city and what is known of it without any fault."""

    city: TrialCity
    greeting_seconds: float
    second_prompt_seconds: float
    """From the answer until the second prompt is well under way."""
    baseline: dict[float, float] = field(default_factory=dict)
    """Key so long after the answer → operator rings so long after the INVITE."""

    async def without_fault(self, press_after_seconds: float) -> float:
        """Measured once per script, on this very city."""
        if press_after_seconds not in self.baseline:
            call = await self.city.place_call(pressing(press_after_seconds))
            ringing = await rings(call)
            self.baseline[press_after_seconds] = since(call.invited_at(), ringing)
            await call.hang_up()
            await self.city.wait_idle()
        return self.baseline[press_after_seconds]


def new_number() -> str:
    """A caller's number nobody used before."""
    return f"0{next(_number)}"


def pressing(after_seconds: float) -> Script:
    return Script((Silence(after_seconds), Press("0")), number=new_number())


def silent() -> Script:
    return Script(number=new_number())


def since(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()


async def rings(call: TrialCall, *, deadline_seconds: float = 25.0) -> datetime:
    """When an operator's phone first rang for this very caller."""
    number = call.placed.script.number
    try:
        async with asyncio.timeout(deadline_seconds):
            while True:
                at = [c.ringing_at for _, c in call.rung() if number in c.peer]
                if at:
                    return min(at)
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TrialError(
            f"nobody rang for {number} within {deadline_seconds:g} s; he saw "
            f"{call.placed.so_far()}\n{call.city.last_words()}"
        ) from None


async def talks(call: TrialCall, *, deadline_seconds: float = 10.0) -> None:
    """Until an operator has answered this very caller."""
    async with asyncio.timeout(deadline_seconds):
        while not any(
            c.answered_at for _, c in call.rung() if call.placed.script.number in c.peer
        ):
            await asyncio.sleep(0.02)


async def ready_again(city: TrialCity, *, deadline_seconds: float = 30.0) -> None:
    """Every process of the city is up and says so itself."""
    states: dict[str, str] = {}
    try:
        async with asyncio.timeout(deadline_seconds):
            while True:
                for said in status.read_all(city.settings.run):
                    if said["process"] == "supervisor":
                        processes = said["figures"].get("processes", {})
                        states = {name: p["state"] for name, p in processes.items()}
                if states and set(states.values()) == {"ready"}:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TrialError(f"not ready again: {states}\n{city.last_words()}") from None


def alarms(city: TrialCity) -> set[str]:
    return {
        name for said in status.read_all(city.settings.run) for name in said["alarms"]
    }


async def alarm(city: TrialCity, *names: str, deadline_seconds: float = 10.0) -> str:
    """The first of these alarms that stands."""
    try:
        async with asyncio.timeout(deadline_seconds):
            while not (standing := alarms(city) & set(names)):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TrialError(f"none of {names} raised, only {alarms(city)}") from None
    return standing.pop()


async def one_record_each(
    city: TrialCity, calls: list[TrialCall], *, deadline_seconds: float = 20.0
) -> list[Record]:
    """Exactly one closed record for each INVITE. Returns them."""
    numbers = [call.placed.script.number for call in calls]
    found = await settled(city, numbers, deadline_seconds=deadline_seconds)
    assert sorted(r.ani for r in found) == sorted(numbers), (
        f"{found}\n{city.last_words()}"
    )
    assert {r.state for r in found} == {"closed"}
    return sorted(found, key=lambda record: record.ani)


def prompt_seconds(city: TrialCity, name: str) -> float:
    path = city.settings.sounds / city.city.city.language / f"{name}.wav"
    with wave.open(str(path)) as prompt:
        return float(prompt.getnframes() / prompt.getframerate())


async def scene_of(city: TrialCity) -> Scene:
    flow = next(iter(city.city.flows.values()))
    await asyncio.gather(city.operator("101"), city.operator("102"))
    greeting = prompt_seconds(city, flow.greeting)
    return Scene(city, greeting, greeting + flow.wait_seconds + 1.0)
