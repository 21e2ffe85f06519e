"""Facts about one caller → where the call goes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from pbx.model.verdict import Ruling


class Way(StrEnum):
    """The dialplan's `INTAKE_ROUTE`."""

    QUEUE = "queue"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when the filter has spoken."""

    ruling: Ruling
    queue: str
    """The queue of the number dialled."""
    priority: int
    """The number's own, 0…100; higher is served first."""
    low_priority: int
    """What the flow gives callers who showed neither voice nor key."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the dialplan shall take the caller."""

    way: Way
    queue: str
    priority: int


def choose_route(facts: Facts) -> Route:
    """Pick queue and priority; a released caller still has a queue, should releasing
    fail."""
    match facts.ruling:
        case Ruling.PASS | Ruling.SECOND_PROMPT:
            return Route(Way.QUEUE, facts.queue, facts.priority)
        case Ruling.LOW_PRIORITY:
            lowered = min(facts.low_priority, facts.priority)
            return Route(Way.QUEUE, facts.queue, lowered)
        case Ruling.RELEASE:
            lowered = min(facts.low_priority, facts.priority)
            return Route(Way.RELEASE, facts.queue, lowered)
        case _:
            assert_never(facts.ruling)
