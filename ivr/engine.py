"""The flow's engine: an event in, commands out. No clock, no sound, no socket.

Whoever drives it plays, listens and keeps timers. After `Finish` it is deaf; every
path comes to `Finish` (`ivr.check` walks them all).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from ivr.flow import PROMPT_GRACE_SECONDS, Flow, Step


class Outcome(StrEnum):
    """How a flow ended. It says what the caller did, not what is thought of it."""

    KEY = "key"
    VOICE = "voice"
    NO_INPUT = "no-input"
    AUDIO_LOST = "audio-lost"
    CALLER_HUNG_UP = "caller-hung-up"
    ADVISED = "advised"
    """Not asked again: it is not clear whether anybody is there, and an operator has
    time."""


@dataclass(frozen=True, slots=True)
class Started:
    """The caller's audio is connected."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A key was pressed. Any key counts: networks cannot tell which one was meant."""

    key: str


@dataclass(frozen=True, slots=True)
class VoiceHeard:
    """Somebody is near the phone: a voice, a cry, knocks, a text telephone."""


@dataclass(frozen=True, slots=True)
class Advised:
    """A human shall look at this caller now, instead of our asking again."""


@dataclass(frozen=True, slots=True)
class PromptEnded:
    """The prompt has been played to its end."""

    prompt: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer started by `StartTimer` has run out."""

    name: str


@dataclass(frozen=True, slots=True)
class AudioLost:
    """The audio connection broke while the caller is still there."""


@dataclass(frozen=True, slots=True)
class CallerHungUp:
    """The caller left: an outcome, not a fault."""


Event = (
    Started
    | Digit
    | VoiceHeard
    | Advised
    | PromptEnded
    | TimerFired
    | AudioLost
    | CallerHungUp
)


@dataclass(frozen=True, slots=True)
class Play:
    """Play a prompt from its beginning."""

    prompt: str


@dataclass(frozen=True, slots=True)
class StopPrompt:
    """Be silent at once: the caller has the word."""


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Report `TimerFired(name)` after so long. A new timer replaces the one before."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Finish:
    """The flow is over."""

    outcome: Outcome


Command = Play | StopPrompt | StartTimer | Finish


class Engine:
    """One caller's way through one flow."""

    __slots__ = ("_flow", "_listening", "_outcome", "_step")

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._step: int | None = None
        self._listening = False
        self._outcome: Outcome | None = None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on."""
        return self._outcome

    def handle(self, event: Event) -> list[Command]:
        """Advance the flow by one event and say what must happen now."""
        if self._outcome is not None:
            return []
        match event:
            case Started():
                return self._enter(0) if self._step is None else []
            case Digit():
                return self._finish(Outcome.KEY)
            case VoiceHeard():
                return self._finish(Outcome.VOICE)
            case Advised():
                return self._finish(Outcome.ADVISED)
            case PromptEnded(prompt):
                return self._listen() if prompt == self._playing else []
            case TimerFired(name):
                return self._time_up() if name == self._timer else []
            case AudioLost():
                return self._finish(Outcome.AUDIO_LOST)
            case CallerHungUp():
                return self._finish(Outcome.CALLER_HUNG_UP)
            case _:
                assert_never(event)

    @property
    def _current(self) -> Step | None:
        return None if self._step is None else self._flow.steps[self._step]

    @property
    def _playing(self) -> str | None:
        step = self._current
        return None if step is None or self._listening else step.prompt

    @property
    def _timer(self) -> str | None:
        if self._step is None:
            return None
        return f"{'listen' if self._listening else 'prompt'}-{self._step}"

    def _enter(self, index: int) -> list[Command]:
        self._step, self._listening = index, False
        step = self._flow.steps[index]
        return [
            Play(step.prompt),
            StartTimer(f"prompt-{index}", step.prompt_seconds + PROMPT_GRACE_SECONDS),
        ]

    def _listen(self) -> list[Command]:
        assert self._step is not None  # noqa: S101 - the type checker cannot see it
        self._listening = True
        wait = self._flow.steps[self._step].wait_seconds
        return [StartTimer(f"listen-{self._step}", wait)]

    def _time_up(self) -> list[Command]:
        if not self._listening:
            return [StopPrompt(), *self._listen()]
        assert self._step is not None  # noqa: S101 - the type checker cannot see it
        if self._step + 1 < len(self._flow.steps):
            return self._enter(self._step + 1)
        return self._finish(Outcome.NO_INPUT)

    def _finish(self, outcome: Outcome) -> list[Command]:
        self._outcome = outcome
        return [StopPrompt(), Finish(outcome)]
