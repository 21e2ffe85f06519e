"""The engine: what the caller meets, event by event."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
    StopPrompt,
    TimerFired,
    VoiceHeard,
)
from ivr.flow import Flow, Step, filter_0

FLOW = filter_0(("greeting", 6.0), ("second", 4.0), 3.0, 5.0)


def at(*events: Event) -> Engine:
    engine = Engine(FLOW)
    for event in events:
        engine.handle(event)
    return engine


LISTENING = (Started(), PromptEnded("greeting"))
SECOND = (*LISTENING, TimerFired("listen-0"))
LAST = (*SECOND, PromptEnded("second"))


def test_the_silent_caller_meets_every_step() -> None:
    engine = Engine(FLOW)
    assert engine.handle(Started()) == [Play("greeting"), StartTimer("prompt-0", 7.0)]
    assert engine.handle(PromptEnded("greeting")) == [StartTimer("listen-0", 3.0)]
    assert engine.handle(TimerFired("listen-0")) == [
        Play("second"),
        StartTimer("prompt-1", 5.0),
    ]
    assert engine.handle(PromptEnded("second")) == [StartTimer("listen-1", 5.0)]
    assert engine.outcome is None
    assert engine.handle(TimerFired("listen-1")) == [
        StopPrompt(),
        Finish(Outcome.NO_INPUT),
    ]
    assert engine.outcome is Outcome.NO_INPUT


def test_key_voice_loss_and_hang_up_end_it_in_any_state() -> None:
    ends: list[tuple[Event, Outcome]] = [
        (Digit("0"), Outcome.KEY),
        (Digit("#"), Outcome.KEY),
        (VoiceHeard(), Outcome.VOICE),
        (Advised(), Outcome.ADVISED),
        (AudioLost(), Outcome.AUDIO_LOST),
        (CallerHungUp(), Outcome.CALLER_HUNG_UP),
    ]
    for past in ((), (Started(),), LISTENING, SECOND, LAST):
        for event, outcome in ends:
            engine = at(*past)
            assert engine.handle(event) == [StopPrompt(), Finish(outcome)]
            assert engine.outcome is outcome


def test_a_prompt_never_reported_ended_is_stopped() -> None:
    assert at(Started()).handle(TimerFired("prompt-0")) == [
        StopPrompt(),
        StartTimer("listen-0", 3.0),
    ]


def test_what_is_stale_changes_nothing() -> None:
    assert at().handle(PromptEnded("greeting")) == []
    assert at().handle(TimerFired("prompt-0")) == []
    assert at(Started()).handle(Started()) == []
    assert at(Started()).handle(PromptEnded("second")) == []
    assert at(*LISTENING).handle(PromptEnded("greeting")) == []
    assert at(*LISTENING).handle(TimerFired("prompt-0")) == []
    assert at(*SECOND).handle(TimerFired("listen-0")) == []


def test_after_the_end_it_is_deaf() -> None:
    engine = at(Started(), Digit("1"))
    assert engine.handle(VoiceHeard()) == []
    assert engine.outcome is Outcome.KEY


STEPS = st.builds(
    Step,
    st.sampled_from(["a", "b"]),
    st.floats(0, 20, allow_nan=False),
    st.floats(1, 10, allow_nan=False),
)
EVENTS = st.one_of(
    st.just(Started()),
    st.builds(Digit, st.sampled_from("0123456789*#ABCD")),
    st.just(VoiceHeard()),
    st.just(Advised()),
    st.builds(PromptEnded, st.sampled_from(["a", "b", "c"])),
    st.builds(TimerFired, st.sampled_from(["prompt-0", "listen-0", "listen-1", "x"])),
    st.just(AudioLost()),
    st.just(CallerHungUp()),
)


@given(st.lists(STEPS, min_size=1, max_size=4), st.lists(EVENTS, max_size=12))
def test_any_story_ends_within_the_flow_s_time(
    steps: list[Step], events: list[Event]
) -> None:
    """Whatever happened before: timers alone lead to the end, and in time."""
    flow = Flow(tuple(steps))
    engine = Engine(flow)
    timer: StartTimer | None = None
    spent = 0.0
    pending: list[Event] = [Started(), *events]
    finished: list[Finish] = []
    for _ in range(len(pending) + 2 * len(steps) + 1):
        if finished:
            break
        if pending:
            event = pending.pop(0)
        else:
            assert timer is not None, "neither a timer nor an end"
            event = TimerFired(timer.name)
        if timer is not None and event == TimerFired(timer.name):
            spent += timer.seconds
        commands: list[Command] = engine.handle(event)
        for command in commands:
            if isinstance(command, StartTimer):
                timer = command
            if isinstance(command, Finish):
                finished.append(command)
    assert len(finished) == 1
    assert engine.outcome is finished[0].outcome
    assert spent <= flow.longest_seconds + 1e-6
    if finished[0].outcome is Outcome.NO_INPUT:
        assert not any(
            isinstance(event, Digit | VoiceHeard | Advised)
            for event in events[: len(events) - len(pending)]
        )
