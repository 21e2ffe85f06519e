"""One subscription's courier: takes what is new, sends what is due, minds the answer.

Each call's news is one delivery at a time, so its revisions arrive in their order, and
a call whose news is refused holds up no other call. An other side that is down is asked
by one delivery at a time, ever more rarely; the first success makes all that waits due.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp

from pbx.feed.app import is_ours
from pbx.feed.reads import Reads
from pbx.feed.webhooks.event import Message, call_message, deleted_message, type_of
from pbx.feed.webhooks.post import Outcome, open_session, post
from pbx.records.base import now
from pbx.records.wake import Waker
from pbx.records.webhook_queue import DeliveryQueue, Due, Settled
from pbx.records.webhooks import Delivery

_log = logging.getLogger(__name__)

_MINUTE, _HOUR = 60.0, 3600.0
SCHEDULE_SECONDS = (
    5.0,
    30.0,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""Pause before each further attempt, ± 20 %: three days, the weekend included, then it
is a dead letter."""
JITTER = (0.8, 1.2)

BATCH = 32
AT_ONCE = 8
"""Calls told at the same time."""
DOWN_AFTER = 3
"""Failures in a row after which we take the other side to be down."""
LONGEST_PAUSE_SECONDS = 60.0
"""Between two questions to an other side that is down: so long until it is noticed."""
LOOK_SECONDS = 1.0
_FAULT_SECONDS = 5.0
_PRUNE_SECONDS = 3600.0


@dataclass(slots=True)
class Courier:
    """Serves one subscription until cancelled, or told 410 Gone."""

    queue: DeliveryQueue
    waker: Waker
    source: str
    told: Counter[str] = field(default_factory=Counter)
    """Attempts by what became of them: `delivered`, `failed`."""
    sent: Reads | None = None
    """Takes down what went out whole; while it refuses, such deliveries wait."""
    _failures: int = 0
    """In a row."""
    _not_before: float = 0.0
    """Monotonic time of the next attempt."""
    _prune_at: float = 0.0

    async def run(self) -> None:
        """Deliver. Raises what a database that is away raises; our own faults cost a
        pause, text that it does not take among them."""
        async with open_session(private=self.queue.hook.private) as session:
            while True:
                seen = self.waker.count
                try:
                    is_gone, is_busy = await self._work(session)
                except Exception as error:
                    if not is_ours(error):
                        raise
                    # Ours: other subscriptions go on.
                    _log.exception("webhook %d", self.queue.hook.id)
                    await asyncio.sleep(_FAULT_SECONDS)
                    continue
                if is_gone:
                    return
                if not is_busy:
                    await self.waker.changed(seen, LOOK_SECONDS)

    async def _work(self, session: aiohttp.ClientSession) -> tuple[bool, bool]:
        """One step: whether it is over, and whether there is more to do at once."""
        has_taken = await self.queue.take()
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + _PRUNE_SECONDS
            await self.queue.prune()
        if time.monotonic() < self._not_before or self._must_wait:
            return False, False
        due = await self.queue.due(1 if self._is_down else BATCH)
        if not due:
            return False, has_taken
        return await self._send(session, due), True

    @property
    def _must_wait(self) -> bool:
        """Whether the audit takes nothing of what would go out whole."""
        is_whole = self.queue.hook.personal
        return is_whole and self.sent is not None and self.sent.is_refusing

    @property
    def _is_down(self) -> bool:
        return self._failures >= DOWN_AFTER

    async def _send(self, session: aiohttp.ClientSession, due: list[Due]) -> bool:
        """Try these and write what became of them; whether the other side is gone."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def try_one(one: Due) -> Outcome | None:
            message = self._message(one)
            if message is None:
                return None
            is_whole = self.queue.hook.personal and one.record is not None
            async with slots:
                if is_whole and self.sent is not None:
                    self.sent.note(f"webhook {self.queue.hook.id}", one.call_id)
                return await post(session, self.queue.hook, message)

        async with asyncio.TaskGroup() as tasks:
            tries = [tasks.create_task(try_one(one)) for one in due]
        outcomes = [each.result() for each in tries]
        await self.queue.settle(
            [_settled(one, said) for one, said in zip(due, outcomes, strict=True)]
        )
        said = [outcome for outcome in outcomes if outcome is not None]
        await self._mind(said)
        return any(outcome.is_gone for outcome in said)

    def _message(self, one: Due) -> Message | None:
        """What is told; None: this subscription does not hear of it."""
        at, source = one.written_at, self.source
        if one.record is None:
            return deleted_message(
                one.call_id, one.revision, written_at=at, source=source
            )
        kind = type_of(one.record, self.queue.hook.types)
        if kind is None:
            return None
        personal = self.queue.hook.personal
        return call_message(
            one.record, kind, written_at=at, personal=personal, source=source
        )

    async def _mind(self, said: Sequence[Outcome]) -> None:
        """What these say of the other side, beyond their own deliveries."""
        delivered = sum(outcome.is_delivered for outcome in said)
        failed = [outcome for outcome in said if not outcome.is_delivered]
        self.told["delivered"] += delivered
        self.told["failed"] += len(failed)
        if any(outcome.is_gone for outcome in failed):
            await self.queue.disable("it said 410 Gone")
            return
        if delivered:
            if self._is_down:
                _log.info("webhook %d is reached again", self.queue.hook.id)
                await self.queue.hurry()
            self._failures = 0
        elif failed:
            self._count_failure(failed[0], len(failed))
        self._pause(max((o.retry_after_seconds or 0.0 for o in failed), default=0.0))

    def _count_failure(self, first: Outcome, failed: int) -> None:
        """Those of one batch bring it to `down` at most, no further."""
        was_down = self._is_down
        self._failures += 1 if was_down else min(failed, DOWN_AFTER - self._failures)
        if self._is_down:
            if not was_down:
                _log.warning(
                    "webhook %d is not reached: %s", self.queue.hook.id, first.why
                )
            self._pause(_pause_seconds(self._failures - DOWN_AFTER))

    def _pause(self, seconds: float) -> None:
        self._not_before = max(self._not_before, time.monotonic() + seconds)


def _pause_seconds(doublings: int) -> float:
    longest = min(2.0 ** min(doublings, 10), LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(*JITTER)  # noqa: S311 — no secret


def _settled(one: Due, said: Outcome | None) -> Settled:
    if said is None or said.is_delivered:
        status = said.status if said else None
        return Settled(one.call_id, one.revision, Delivery.DELIVERED, status, None)
    if one.attempts >= len(SCHEDULE_SECONDS):
        return Settled(one.call_id, one.revision, Delivery.DEAD, said.status, said.why)
    return Settled(
        one.call_id,
        one.revision,
        Delivery.PENDING,
        said.status,
        said.why,
        _next_try(one.attempts),
    )


def _next_try(attempts: int) -> datetime:
    pause = SCHEDULE_SECONDS[attempts] * random.uniform(*JITTER)  # noqa: S311 — no secret
    return now() + timedelta(seconds=pause)
