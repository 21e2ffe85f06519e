"""A call in virtual time goes as a live one: `agi.listening` beside `VirtualCall`."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agi import listening
from agi.audiosocket import AudioLine
from agi.in_force import Prompt
from agi.listening import Listening
from ghostfilter.verdict import Context, Verdict, judge
from ivr.engine import Outcome
from pbx.laboratory.dialogue.call import VirtualCall, timetable
from pbx.laboratory.dialogue.house import House
from pbx.laboratory.dialogue.plan import draft
from pbx.laboratory.dialogue.scene import at_our_ear
from pbx.laboratory.dialogue.takes import read_stock
from pbx.model.policy import Policy
from pbx.model.verdict import Ruling

INDICES = (0, 5, 12, 13, 14, 15, 29, 30, 33, 36, 39, 79, 119)
"""People who speak, whisper, press, knock and type; pockets; failing media."""


class Handle:
    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Clock:
    """What `Listening` wants of an event loop; time goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self._real = asyncio.get_running_loop()
        self._due: list[tuple[float, int, Handle]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[..., None], *a: Any) -> Handle:
        handle = Handle(lambda: call(*a))
        heapq.heappush(self._due, (self.now + seconds, next(self._order), handle))
        return handle

    def call_soon(self, call: Callable[..., None], *a: Any) -> Handle:
        return self.call_later(0.0, call, *a)

    def create_future(self) -> asyncio.Future[Any]:
        return self._real.create_future()

    def fire(self) -> None:
        while self._due and self._due[0][0] <= self.now + 1e-9:
            call = heapq.heappop(self._due)[2].call
            if call is not None:
                call()


class Line(AudioLine):
    """Sends a prompt frame by frame and says when it is over."""

    def __init__(self) -> None:
        self.left = 0

    def play(self, wire: bytes) -> None:
        self.left = len(wire) // 320

    def stop(self) -> None:
        self.left = 0

    def end(self) -> None:
        self.left = 0

    def abort(self) -> None:
        self.left = 0


class Live:
    """One call through `Listening`, driven tick by tick."""

    def __init__(self, house: House, policy: Policy, clock: Clock) -> None:
        self.clock, self.policy = clock, policy
        prompts = {
            name: Prompt(pcm + bytes(-len(pcm) % 320), len(pcm) / 16000, pcm)
            for name, pcm in house.prompts.items()
        }
        self.ear = Listening(house.flow, prompts.__getitem__, self.needs_human)
        self.line = Line()

    def run(
        self, frames: list[bytes | None], key: tuple[int, str] | None
    ) -> tuple[int, Verdict]:
        self.ear.connect(self.line)
        self.clock.fire()
        for tick, frame in enumerate(frames, 1):
            self.clock.now = tick * 0.02
            if key is not None and key[0] == tick:
                self.ear.press(key[1])
            if frame is not None:
                self.ear.hear(frame)
            if self.line.left:
                self.line.left -= 1
                if not self.line.left:
                    self.ear.prompt_ended()
            self.clock.fire()
            if self.ear._finished_at is not None:
                break
        return tick, self.judge(self.ear)

    def needs_human(self, ear: Listening) -> bool:
        return self.judge(ear).ruling is Ruling.PASS

    def judge(self, ear: Listening) -> Verdict:
        """As `agi.intake` does, in the hardest hour."""
        context = Context(
            expected_frames=ear.expected_frames,
            key=ear.key,
            error=ear.error,
            asked=ear.asked,
            idle_operators=0,
        )
        return judge(ear.evidence, self.policy, context)


Drafted = tuple[int, list[bytes | None], tuple[int, str] | None]


def calls(house: House, callers: Path) -> Iterator[Drafted]:
    stock, met = read_stock(callers).stock, timetable(house)
    for index in INDICES:
        drafted = draft(stock, met, 112, index, has_mobile=False)
        frames = at_our_ear(drafted.scene, house, met, drafted.dice())
        at = drafted.scene.key
        yield index, frames, at and (round(at[0] * 50), at[1])


async def test_it_goes_as_a_live_call(
    house: House, callers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = set()
    for index, frames, key in calls(house, callers):
        virtual = VirtualCall(house, house.strictest)
        ended = virtual.run(frames, {} if key is None else dict([key]))
        clock = Clock()
        with monkeypatch.context() as patched:
            patched.setattr(listening.asyncio, "get_running_loop", lambda c=clock: c)
            live = Live(house, house.strictest, clock)
            tick, verdict = live.run(frames, key)
        assert tick == ended.ticks, index
        assert verdict == ended.verdict, index
        assert live.ear._outcome.result() is ended.outcome
        said = [(p.name, p.at_ms) for p in live.ear.prompts]
        assert said == [(s.name, round(s.from_seconds * 1000)) for s in ended.said]
        outcomes.add(ended.outcome)
    assert outcomes >= {Outcome.KEY, Outcome.VOICE, Outcome.NO_INPUT}
