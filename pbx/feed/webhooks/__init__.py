"""Webhooks: whoever subscribed is told of each change, signed, until it says so.

`run` is a part of the process `gerbang feed`; every subscription has a courier of its
own, and none waits for another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.feed.reads import Reads
from pbx.feed.webhooks.courier import Courier
from pbx.records.base import now
from pbx.records.database import explain, is_missing, open_engine
from pbx.records.wake import Waker
from pbx.records.webhook_queue import DeliveryQueue
from pbx.records.webhooks import Standing, Subscription, standing, subscriptions
from pbx.status import Status

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often subscriptions added, changed or removed are looked for."""
RETRY_SECONDS = 1.0
WATCH_SECONDS = 5.0
"""How often it is looked who is stuck."""
STUCK_MINUTES = 10
"""How long a delivery may wait before the duty officer hears of it."""
DEAD_STANDS_HOURS = 24
"""How long a new dead letter keeps the alarm up."""


async def run(
    database_url: str,
    status: Status,
    waker: Waker,
    *,
    source: str,
    sent: Reads | None = None,
) -> None:
    """Deliver until cancelled, whatever happens to the database.

    `waker` is run by the caller, who writes `sent` into the audit. `status` gets the
    figure `webhooks` and, a subscription each, the alarm `webhook-stuck-<id>`.
    """
    told: Counter[str] = Counter()
    status.figures["webhooks"] = told
    said = ""
    while True:
        try:
            async with _engines(database_url) as (reader, writer):
                await _serve(reader, writer, status, waker, source, told, sent)
        except Exception as error:  # noqa: BLE001 — the database: try again
            first = _first(error)
            if not is_missing(first) and str(first) != said:
                said = str(first)
                _log.warning("webhooks wait for the store: %s", explain(first))
        await asyncio.sleep(RETRY_SECONDS)


async def _serve(
    reader: AsyncEngine,
    writer: AsyncEngine,
    status: Status,
    waker: Waker,
    source: str,
    told: Counter[str],
    sent: Reads | None,
) -> None:
    """A courier each, as long as its subscription stays as it is."""
    running: dict[Subscription, asyncio.Task[None]] = {}
    watch_at = 0.0
    async with asyncio.TaskGroup() as tasks:
        while True:
            wanted = await subscriptions(reader)
            served = {hook for hook in wanted if hook.disabled_at is None}
            for hook in running.keys() - served:
                running.pop(hook).cancel()
            for hook in served - running.keys():
                queue = DeliveryQueue(reader, writer, hook)
                courier = Courier(queue, waker, source, told, sent)
                running[hook] = tasks.create_task(courier.run())
            if time.monotonic() >= watch_at:
                watch_at = time.monotonic() + WATCH_SECONDS
                await _watch(reader, wanted, status)
            await asyncio.sleep(LOOK_SECONDS)


async def _watch(
    engine: AsyncEngine, wanted: list[Subscription], status: Status
) -> None:
    """Raise and clear the alarms."""
    troubled = set()
    for hook in wanted:
        name = f"webhook-stuck-{hook.id}"
        why = _trouble(hook, await standing(engine, hook.id))
        if why is not None:
            status.raise_alarm(name, why)
            troubled.add(name)
    for name in set(status.alarms) - troubled:
        if name.startswith("webhook-stuck-"):
            status.clear_alarm(name)


def _trouble(hook: Subscription, how: Standing) -> str | None:
    """What the duty officer must know of this subscription; None: nothing."""
    see = f"`gerbang webhook deliveries {hook.id}` tells why."
    if hook.disabled_at is not None:
        return (
            f"Webhook {hook.id} is told nothing any more: {hook.disabled_why}. Ask its "
            f"owner; then `gerbang webhook enable {hook.id}` or remove it."
        )
    at = now()
    if how.dead_since and at - how.dead_since < timedelta(hours=DEAD_STANDS_HOURS):
        return (
            f"Webhook {hook.id} did not take {how.dead} calls' news in three days. "
            f"{see} Then `gerbang webhook replay {hook.id} --dead`."
        )
    waiting = at - how.oldest_pending_at if how.oldest_pending_at else timedelta()
    if waiting > timedelta(minutes=STUCK_MINUTES):
        return (
            f"Webhook {hook.id} has not taken {how.pending} calls' news for more than "
            f"{STUCK_MINUTES} minutes. {see} It is tried again for three days; "
            "records themselves are not concerned."
        )
    return None


@asynccontextmanager
async def _engines(url: str) -> AsyncIterator[tuple[AsyncEngine, AsyncEngine]]:
    """One that only reads, so takes no write lock on SQLite, and one that writes."""
    reader = open_engine(url, writes=False)
    try:
        writer = open_engine(url)
        try:
            yield reader, writer
        finally:
            await writer.dispose()
    finally:
        await reader.dispose()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
