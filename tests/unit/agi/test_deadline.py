"""A session's deadline: set often, seldom met, and then in time."""

from __future__ import annotations

import asyncio
import time
import weakref

from agi.deadline import Deadline


class Told:
    """Who is told, and when."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.at = asyncio.Event()

    def passed(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.at.set()


def new_deadline() -> tuple[Deadline, Told]:
    told = Told()
    return Deadline(asyncio.get_running_loop(), told.passed), told


async def test_it_passes_once_and_in_time() -> None:
    deadline, told = new_deadline()
    began = time.monotonic()
    deadline.set(0.05)
    async with asyncio.timeout(10):
        await told.at.wait()
    assert 0.04 < time.monotonic() - began < 4
    await asyncio.sleep(0.1)
    assert told.seconds == [0.05]


async def test_the_last_set_counts_later_or_sooner() -> None:
    for first, last in ((0.02, 0.1), (5.0, 0.05)):
        deadline, told = new_deadline()
        began = time.monotonic()
        deadline.set(first)
        deadline.set(last)
        async with asyncio.timeout(10):
            await told.at.wait()
        assert last - 0.01 < time.monotonic() - began < 4
        assert told.seconds == [last]


async def test_cleared_it_does_not_pass_and_may_be_set_again() -> None:
    deadline, told = new_deadline()
    deadline.set(0.02)
    deadline.clear()
    await asyncio.sleep(0.06)
    assert told.seconds == []
    deadline.set(0.03)
    async with asyncio.timeout(10):
        await told.at.wait()
    assert told.seconds == [0.03]


async def test_closed_it_is_over_and_lets_go_of_who_asked() -> None:
    deadline, told = new_deadline()
    deadline.set(0.02)
    deadline.close()
    deadline.set(0.02)
    seconds, asked = told.seconds, weakref.ref(told)
    del told
    assert asked() is None, "without the garbage collector"
    await asyncio.sleep(0.06)
    assert seconds == []
