"""Every path ends at a human: the walk finds flows, and engines, that break it."""

from __future__ import annotations

import pytest

from ivr import check
from ivr.engine import Command, Digit, Engine, Event, Started
from ivr.flow import Flow, Step, filter_0

FLOW = filter_0(("greeting", 6.0), ("second", 4.0), 3.0, 5.0)


def test_filter_0_is_sound() -> None:
    assert check.problems(FLOW, 40) == []
    assert check.problems(Flow((Step("only", 0.0, 1.0),)), 10) == []


def test_a_flow_longer_than_the_deadline_is_told_with_its_cure() -> None:
    (problem,) = check.problems(FLOW, 20)
    assert problem.startswith("takes up to 23.0 s, but the deadline is 20 s; shorten")


def test_a_flow_that_keeps_people_waiting_is_told_with_its_cure() -> None:
    long = filter_0(("greeting", 6.0), ("second", 4.1), 5.0, 5.0)
    (problem,) = check.problems(long, 40)
    assert problem.startswith("prompts and waits take 20.1 s; at most 20 s are allowed")
    assert check.problems(filter_0(("a", 6.0), ("b", 4.0), 5.0, 5.0), 40) == []


class DeafToKeys(Engine):
    __slots__ = ()

    def handle(self, event: Event) -> list[Command]:
        return [] if isinstance(event, Digit) else super().handle(event)


class Stuck(Engine):
    """Never leaves the first step."""

    __slots__ = ()

    def handle(self, event: Event) -> list[Command]:
        return super().handle(event) if isinstance(event, Started) else START_AGAIN


START_AGAIN = Engine(FLOW).handle(Started())


def test_an_engine_deaf_to_keys_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "Engine", DeafToKeys)
    assert check.problems(FLOW, 40) == ["Digit(key='0') does not end the flow with key"]


def test_an_engine_without_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "Engine", Stuck)
    assert "a silent caller ends at None instead of no-input" in check.problems(
        FLOW, 40
    )
