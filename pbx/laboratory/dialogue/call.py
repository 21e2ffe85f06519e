"""One call in virtual time: the same engine, detector and judge; frames are time.

It does what `agi.listening` and `agi.intake` do around them, without socket or loop: a
tick is 20 ms, and what happens within a tick happens in the order of its arrival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from ghostfilter.detector import Detector
from ghostfilter.evidence import Evidence
from ghostfilter.net import Weights
from ghostfilter.signals import Sound
from ghostfilter.verdict import Context, Verdict, judge
from ivr.engine import (
    Advised,
    AudioLost,
    Command,
    Digit,
    Engine,
    Event,
    Finish,
    Outcome,
    Play,
    PromptEnded,
    Started,
    StartTimer,
    StopPrompt,
    TimerFired,
    VoiceHeard,
)
from pbx.laboratory.dialogue.house import House, Said, Timetable
from pbx.laboratory.dialogue.line import FRAME_SECONDS
from pbx.model.policy import Policy
from pbx.model.verdict import Ruling


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended."""

    verdict: Verdict
    """Under the policy tried."""
    own_verdict: Verdict
    """Under the city's own."""
    outcome: Outcome
    ticks: int
    """How many ticks of 20 ms until the flow's end."""
    said: tuple[Said, ...]
    asked: int
    """How many prompts had begun."""
    evidence: Evidence


class VirtualCall:
    """One caller in one house, under its own policy or another. `run` once."""

    def __init__(
        self,
        house: House,
        policy: Policy | None = None,
        weights: Weights | None = None,
    ) -> None:
        """`weights`: others than those that ship."""
        self._house = house
        self._policy = policy or house.policy
        self._engine = Engine(house.flow)
        self._detector = Detector(weights)
        self._tick = 0
        self._timer: tuple[int, str] | None = None
        self._playing: tuple[str, int, int] | None = None
        self._said: list[Said] = []
        self._outcome: Outcome | None = None
        self._key: str | None = None

    def run(self, frames: Sequence[bytes | None], keys: Mapping[int, str]) -> Ended:
        """Play the caller: one frame (or none) and perhaps a key each tick."""
        self._handle(Started())
        for frame in frames:
            self._tick += 1
            key = keys.get(self._tick)
            if key is not None:
                self._key = key
                self._handle(Digit(key))
            self._hear(frame)
            self._clock()
            if self._outcome is not None:
                break
        else:
            self._handle(AudioLost())
        return self._ended()

    def _hear(self, frame: bytes | None) -> None:
        if frame is None or self._outcome is not None:
            return
        heard = self._detector.push(frame)
        if heard is None:
            return
        if heard.sound is Sound.KEY_TONE and heard.detail:
            self._handle(Digit(heard.detail))
        else:
            self._handle(VoiceHeard())

    def _clock(self) -> None:
        """The prompt's end, then the timer, if they are due."""
        if self._playing is not None and self._tick >= self._playing[2]:
            name = self._playing[0]
            self._note()
            self._handle(PromptEnded(name))
        if self._timer is not None and self._tick >= self._timer[0]:
            name = self._timer[1]
            self._timer = None
            self._handle(Advised() if self._needs_human() else TimerFired(name))

    def _needs_human(self) -> bool:
        """Whether he is to be asked no further, as `agi.intake` decides it."""
        return self._judge(self._policy).ruling is Ruling.PASS

    def _judge(self, policy: Policy) -> Verdict:
        """In the hardest hour: no operator idle, no holdout drawn, budget left."""
        asked = len(self._said) + (self._playing is not None)
        context = Context(
            expected_frames=self._tick,
            key=self._key,
            asked=asked,
            idle_operators=0,
        )
        return judge(self._detector.evidence(), policy, context)

    def _handle(self, event: Event) -> None:
        for command in self._engine.handle(event):
            self._do(command)

    def _do(self, command: Command) -> None:
        match command:
            case Play(name):
                length = len(self._house.prompts[name]) // 2 / 8000
                end = self._tick + _ticks(length)
                self._playing = (name, self._tick, end)
                self._detector.prompt_started(self._house.prompts[name])
            case StopPrompt():
                self._note()
            case StartTimer(name, seconds):
                self._timer = (self._tick + _ticks(seconds), name)
            case Finish(outcome):
                self._outcome = outcome
            case _:
                assert_never(command)

    def _note(self) -> None:
        """A prompt has ended, or is broken off."""
        if self._playing is None:
            return
        name, began, _ = self._playing
        self._playing = None
        self._detector.prompt_stopped()
        heard = (self._tick - began) * FRAME_SECONDS
        self._said.append(Said(name, began * FRAME_SECONDS, heard))

    def _ended(self) -> Ended:
        assert self._outcome is not None  # noqa: S101 - `run` saw to it
        return Ended(
            verdict=self._judge(self._policy),
            own_verdict=self._judge(self._house.policy),
            outcome=self._outcome,
            ticks=self._tick,
            said=tuple(self._said),
            asked=len(self._said),
            evidence=self._detector.evidence(),
        )


def _ticks(seconds: float) -> int:
    """Whole ticks, at least that long."""
    return -int(-seconds / FRAME_SECONDS // 1)


def timetable(house: House) -> Timetable:
    """What a caller who does nothing meets."""
    seconds = house.flow.longest_seconds + 1.0
    nothing = [None] * _ticks(seconds)
    ended = VirtualCall(house).run(nothing, {})
    return Timetable(ended.said, ended.ticks * FRAME_SECONDS)
