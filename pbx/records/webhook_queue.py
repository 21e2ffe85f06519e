"""Deliveries as the courier works them off: taken from the outbox, due, settled.

Killed at any moment, nothing is lost: the cursor moves in the transaction that makes
the deliveries, and one is `delivered` only after the other side said so. If we are
killed between its word and ours, it hears the same event, by the same id, once more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.call import State
from pbx.records.base import now, upsert_into
from pbx.records.tables import calls, outbox
from pbx.records.webhook_tables import webhook_deliveries, webhooks
from pbx.records.webhooks import Delivery, EventType, Subscription

TAKEN_AT_ONCE = 500
DELIVERED_KEPT_DAYS = 7
DEAD_KEPT_DAYS = 90

_d = webhook_deliveries.c


@dataclass(frozen=True, slots=True)
class Due:
    """One delivery to be tried now, with the record as it is now."""

    call_id: str
    attempts: int
    queued_at: datetime
    revision: int
    written_at: datetime
    """When the record got this revision."""
    record: Mapping[str, Any] | None
    """None: it is no longer kept."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one attempt; `due_at` None: no further one."""

    call_id: str
    revision: int
    """The one that was sent; a newer one that came meanwhile stays pending."""
    state: Delivery
    status: int | None
    why: str | None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryQueue:
    """One subscription's deliveries. `reader` takes no write lock on SQLite."""

    reader: AsyncEngine
    writer: AsyncEngine
    hook: Subscription

    async def take(self) -> bool:
        """Make deliveries of what is new in the outbox; whether there was anything."""
        async with self.reader.connect() as connection:
            if not await self._news(connection, await self._cursor(connection), 1):
                return False
        async with self.writer.begin() as connection:
            cursor = await self._cursor(connection, locks=True)
            news = await self._news(connection, cursor, TAKEN_AT_ONCE)
            if not news:
                return False
            rows = await connection.execute(
                sa.select(calls.c.call_id, calls.c.revision).where(
                    calls.c.call_id.in_(news), *self._is_wanted()
                )
            )
            found = [(*row, news[row.call_id]) for row in rows]
            gone = await connection.execute(
                sa.select(outbox.c.call_id, outbox.c.revision, outbox.c.cursor).where(
                    outbox.c.cursor.in_(news.values()), *_is_deleted()
                )
            )
            found += [(row.call_id, row.revision, row.cursor) for row in gone]
            await self._queue(connection, found)
            await connection.execute(
                sa.update(webhooks)
                .where(webhooks.c.id == self.hook.id)
                .values(cursor=max(news.values()))
            )
        return True

    async def due(self, most: int) -> list[Due]:
        """What is to be tried now, the oldest change first."""
        query = (
            sa.select(
                _d.call_id,
                _d.attempts,
                _d.queued_at,
                sa.func.coalesce(calls.c.revision, _d.revision),
                sa.func.coalesce(calls.c.written_at, outbox.c.written_at),
                calls.c.record,
            )
            .outerjoin(calls, calls.c.call_id == _d.call_id)
            .outerjoin(
                outbox,
                sa.and_(
                    outbox.c.call_id == _d.call_id, outbox.c.revision == _d.revision
                ),
            )
            .where(
                _d.webhook == self.hook.id,
                _d.state == Delivery.PENDING.value,
                _d.due_at <= now(),
                # Of a record that is gone, its last entry alone is told.
                sa.or_(calls.c.call_id.is_not(None), sa.and_(*_is_deleted())),
            )
            .order_by(_d.cursor)
            .limit(most)
        )
        async with self.reader.connect() as connection:
            return [Due(*row) for row in await connection.execute(query)]

    async def settle(self, settled: Collection[Settled]) -> None:
        """Write what became of attempts."""
        at = now()
        async with self.alone() as connection:
            for one in settled:
                await connection.execute(
                    sa.update(webhook_deliveries)
                    .where(
                        _d.webhook == self.hook.id,
                        _d.call_id == one.call_id,
                        _d.revision <= one.revision,
                    )
                    .values(
                        revision=one.revision,
                        state=one.state.value,
                        attempts=_d.attempts + 1,
                        tried_at=at,
                        due_at=one.due_at or at,
                        status=one.status,
                        why=one.why,
                    )
                )

    async def hurry(self) -> None:
        """The other side is back: what waits for a later attempt is due now."""
        async with self.alone() as connection:
            await connection.execute(
                sa.update(webhook_deliveries)
                .where(
                    _d.webhook == self.hook.id,
                    _d.state == Delivery.PENDING.value,
                    _d.due_at > now(),
                )
                .values(due_at=now())
            )

    async def disable(self, why: str) -> None:
        """Tell it no more, until a person enables it."""
        async with self.writer.begin() as connection:
            await connection.execute(
                sa.update(webhooks)
                .where(webhooks.c.id == self.hook.id, webhooks.c.disabled_at.is_(None))
                .values(disabled_at=now(), disabled_why=why)
            )

    async def prune(self) -> None:
        """Forget what was delivered a week ago, dead letters of last season, and calls
        the store, which was replaced, knows nothing of."""
        is_known = sa.or_(
            sa.exists().where(calls.c.call_id == _d.call_id),
            sa.exists().where(outbox.c.call_id == _d.call_id),
        )
        async with self.alone() as connection:
            for is_over in (
                _is_older(Delivery.DELIVERED, DELIVERED_KEPT_DAYS),
                _is_older(Delivery.DEAD, DEAD_KEPT_DAYS),
                ~is_known,
            ):
                await connection.execute(
                    sa.delete(webhook_deliveries).where(
                        _d.webhook == self.hook.id, is_over
                    )
                )

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes deliveries, while nobody else writes those of this
        subscription: else a replay and an attempt's outcome wait for each other's rows,
        and PostgreSQL ends one of them."""
        async with self.writer.begin() as connection:
            await self._cursor(connection, locks=True)
            yield connection

    async def _cursor(self, connection: AsyncConnection, *, locks: bool = False) -> int:
        """How far the outbox has become deliveries; gone hooks are through with it."""
        query = sa.select(webhooks.c.cursor).where(webhooks.c.id == self.hook.id)
        found = await connection.scalar(query.with_for_update() if locks else query)
        return found if found is not None else 2**62

    async def _news(
        self, connection: AsyncConnection, cursor: int, most: int
    ) -> dict[str, int]:
        """Calls that changed after `cursor`, each with its last entry among these."""
        rows = await connection.execute(
            sa.select(outbox.c.call_id, outbox.c.cursor)
            .where(outbox.c.cursor > cursor)
            .order_by(outbox.c.cursor)
            .limit(most)
        )
        return {row.call_id: row.cursor for row in rows}

    def _is_wanted(self) -> Sequence[sa.ColumnElement[bool]]:
        if EventType.REVISED in self.hook.types:
            return ()
        if EventType.CLOSED in self.hook.types:
            return (calls.c.state == State.CLOSED.value,)
        return (sa.false(),)

    async def _queue(
        self, connection: AsyncConnection, found: Sequence[tuple[str, int, int]]
    ) -> None:
        """Pending, unless this very revision was queued before."""
        if not found:
            return
        at = now()
        rows = [
            {
                "webhook": self.hook.id,
                "call_id": call_id,
                "revision": revision,
                "cursor": cursor,
                "state": Delivery.PENDING.value,
                "attempts": 0,
                "queued_at": at,
                "due_at": at,
            }
            for call_id, revision, cursor in found
        ]
        insert = upsert_into(connection, webhook_deliveries)
        renewed = ("revision", "cursor", "state", "attempts", "queued_at", "due_at")
        await connection.execute(
            insert.on_conflict_do_update(
                index_elements=["webhook", "call_id"],
                set_={name: insert.excluded[name] for name in renewed},
                where=_d.revision < insert.excluded.revision,
            ),
            rows,
        )


def _is_deleted() -> tuple[sa.ColumnElement[bool], ...]:
    """Of an entry of the outbox: it is its call's last one, and the record is gone."""
    newer = outbox.alias("newer")
    return (
        outbox.c.call_id.is_not(None),
        ~sa.exists().where(calls.c.call_id == outbox.c.call_id).correlate(outbox),
        ~sa.exists()
        .where(
            newer.c.call_id == outbox.c.call_id, newer.c.revision > outbox.c.revision
        )
        .correlate(outbox),
    )


def _is_older(state: Delivery, days: int) -> sa.ColumnElement[bool]:
    return sa.and_(_d.state == state.value, _d.due_at < now() - timedelta(days=days))
