"""Proof that every path through a flow ends, in time, and that anyone can end it.

`gerbang check` and the tests use it. It does not simulate: it walks every state the
engine can reach, by every event that can happen there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from ivr.engine import (
    Advised,
    AudioLost,
    CallerHungUp,
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
    TimerFired,
    VoiceHeard,
)
from ivr.flow import Flow

LONGEST_SECONDS = 20.0
"""Prompts and waits in all: who cannot give a sign waits no longer for a human."""

MARGIN_SECONDS = 3.0
"""What the rest of the intake (connecting, telling the facts) may take."""

_SHORT_CUTS: tuple[tuple[Event, Outcome], ...] = (
    (Digit("0"), Outcome.KEY),
    (VoiceHeard(), Outcome.VOICE),
    (Advised(), Outcome.ADVISED),
    (AudioLost(), Outcome.AUDIO_LOST),
    (CallerHungUp(), Outcome.CALLER_HUNG_UP),
)


def problems(flow: Flow, deadline_seconds: float) -> list[str]:
    """What is wrong with a flow, one sentence with its cure each; empty: nothing.

    `deadline_seconds` is the dialplan's own: a flow must have ended before it.
    """
    found = list(dict.fromkeys(_walk(flow)))
    if flow.usual_seconds > LONGEST_SECONDS:
        found.append(
            f"prompts and waits take {flow.usual_seconds:.1f} s; at most "
            f"{LONGEST_SECONDS:g} s are allowed: shorten prompts or waits"
        )
    if flow.longest_seconds + MARGIN_SECONDS > deadline_seconds:
        found.append(
            f"takes up to {flow.longest_seconds + MARGIN_SECONDS:.1f} s, but the "
            f"deadline is {deadline_seconds:g} s; shorten prompts or waits, or raise "
            "deadline_seconds"
        )
    return found


def _walk(flow: Flow) -> Iterator[str]:
    """Follow the silent caller through all states; try every way out of each."""
    engine = Engine(flow)
    commands = engine.handle(Started())
    for _ in range(2 * len(flow.steps)):
        yield from _ways_out(engine)
        engine, commands = _silent_caller(engine, commands)
    if engine.outcome is not Outcome.NO_INPUT:
        yield f"a silent caller ends at {engine.outcome} instead of no-input"


def _ways_out(engine: Engine) -> Iterator[str]:
    for event, outcome in _SHORT_CUTS:
        trial = copy.copy(engine)
        if Finish(outcome) not in trial.handle(event):
            yield f"{event} does not end the flow with {outcome}"


def _silent_caller(
    engine: Engine, commands: list[Command]
) -> tuple[Engine, list[Command]]:
    """What comes next when nothing is done; the prompt may or may not be reported."""
    prompts = [command.prompt for command in commands if isinstance(command, Play)]
    timers = [command.name for command in commands if isinstance(command, StartTimer)]
    silent = copy.copy(engine)
    next_commands = silent.handle(TimerFired(timers[-1]))
    for prompt in prompts:
        reported = copy.copy(engine)
        next_commands = reported.handle(PromptEnded(prompt))
        silent = reported
    return silent, next_commands
