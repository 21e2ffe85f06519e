"""Subscriptions as people keep them: add, list, rotate, remove, replay."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from yarl import URL

from pbx.records import audit
from pbx.records.base import now
from pbx.records.tables import outbox
from pbx.records.webhook_tables import webhook_deliveries, webhooks

OLD_SECRET_HOURS = 24
"""How long after a rotation the old secret signs as well."""
_SECRET_BYTES = 32


class EventType(StrEnum):
    """What a subscription can be told."""

    REVISED = "id.gerbang112.call.revised.v1"
    """A call has a new revision, also while it goes on."""
    CLOSED = "id.gerbang112.call.closed.v1"
    """A call that is over has a new revision."""
    DELETED = "id.gerbang112.call.deleted.v1"
    """A record is no longer kept; every subscription is told."""


class Delivery(StrEnum):
    """How far the news of one call came."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Tried for days in vain; kept to be replayed."""


class UnknownWebhookError(LookupError):
    """There is no such subscription; the text says where to look."""

    def __init__(self, webhook: int) -> None:
        super().__init__(
            f"there is no webhook {webhook}; `gerbang webhook list` has all"
        )


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told what. Two that are equal are served the same way."""

    id: int
    url: str
    types: frozenset[EventType]
    personal: bool
    private: bool
    """The address may be a private one: declared by whoever added it."""
    secret: str
    old_secret: str | None
    old_secret_until: datetime | None
    created_at: datetime
    disabled_at: datetime | None
    disabled_why: str | None

    @classmethod
    def of_row(cls, row: Any) -> Self:
        """From the store; a type this version does not know is none."""
        told = dict(row._mapping)
        del told["cursor"]
        known = {kind.value for kind in EventType}
        told["types"] = frozenset(EventType(t) for t in told["types"] if t in known)
        return cls(**told)

    def secrets(self, at: datetime) -> tuple[str, ...]:
        """What signs at that time, the newest first."""
        is_old_good = self.old_secret_until is not None and at < self.old_secret_until
        if self.old_secret is not None and is_old_good:
            return (self.secret, self.old_secret)
        return (self.secret,)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One row of `gerbang webhook deliveries`."""

    call_id: str
    revision: int
    cursor: int
    state: Delivery
    attempts: int
    queued_at: datetime
    due_at: datetime
    tried_at: datetime | None
    status: int | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscription stands."""

    behind: int
    """Entries of the outbox that are no deliveries yet."""
    pending: int
    dead: int
    oldest_pending_at: datetime | None
    dead_since: datetime | None
    """When the last one was given up."""


def new_secret() -> str:
    """256 random bits as Standard Webhooks writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


async def add(
    engine: AsyncEngine,
    url: str,
    types: Collection[EventType],
    *,
    private: bool,
    personal: str | None,
    by: str,
) -> Subscription:
    """Subscribe `url` to what changes from now on.

    `personal` is why it gets records unmasked; None: it gets them masked. `by` is who
    says so. Here as below the audit keeps both, so each raises what
    `pbx.records.audit.append` raises, and then nothing was done.
    """
    async with engine.begin() as connection:
        newest = await connection.scalar(sa.select(sa.func.max(outbox.c.cursor)))
        row = await connection.execute(
            sa.insert(webhooks)
            .values(
                url=url,
                types=sorted(types),
                personal=personal is not None,
                private=private,
                secret=new_secret(),
                cursor=newest or 0,
                created_at=now(),
            )
            .returning(webhooks)
        )
        made = Subscription.of_row(row.one())
        await _audit(connection, made, by, "subscribed", reason=personal)
        return made


async def subscriptions(engine: AsyncEngine) -> list[Subscription]:
    """All there are, the oldest first."""
    async with engine.connect() as connection:
        rows = await connection.execute(sa.select(webhooks).order_by(webhooks.c.id))
        return [Subscription.of_row(row) for row in rows]


async def subscription(engine: AsyncEngine, webhook: int) -> Subscription:
    """One of them. Raises UnknownWebhookError."""
    async with engine.connect() as connection:
        return Subscription.of_row(await _row(connection, webhook))


async def remove(engine: AsyncEngine, webhook: int, *, by: str) -> None:
    """Tell it no more, and forget what was to be told. Raises UnknownWebhookError."""
    async with engine.begin() as connection:
        row = await _row(connection, webhook, locks=True)
        await connection.execute(
            sa.delete(webhook_deliveries).where(webhook_deliveries.c.webhook == webhook)
        )
        await connection.execute(sa.delete(webhooks).where(webhooks.c.id == webhook))
        await _audit(connection, row, by, "unsubscribed")


async def rotate(engine: AsyncEngine, webhook: int, *, by: str) -> Subscription:
    """A new secret; the old one signs as well for a day. Raises
    UnknownWebhookError."""
    async with engine.begin() as connection:
        row = await _row(connection, webhook, locks=True)
        await connection.execute(
            sa.update(webhooks)
            .where(webhooks.c.id == webhook)
            .values(
                secret=new_secret(),
                old_secret=row.secret,
                old_secret_until=now() + timedelta(hours=OLD_SECRET_HOURS),
            )
        )
        made = Subscription.of_row(await _row(connection, webhook))
        await _audit(connection, row, by, "rotated")
        return made


async def enable(engine: AsyncEngine, webhook: int, *, by: str) -> None:
    """Tell it again. Raises UnknownWebhookError."""
    async with engine.begin() as connection:
        row = await _row(connection, webhook, locks=True)
        await connection.execute(
            sa.update(webhooks)
            .where(webhooks.c.id == webhook)
            .values(disabled_at=None, disabled_why=None)
        )
        await _audit(connection, row, by, "enabled")


async def replay_after(
    engine: AsyncEngine, webhook: int, cursor: int, *, by: str
) -> int:
    """Tell again all that changed after `cursor`; how many calls that is.

    Raises UnknownWebhookError.
    """
    again = sa.select(outbox.c.call_id).where(outbox.c.cursor > cursor)
    async with engine.begin() as connection:
        row = await _row(connection, webhook, locks=True)
        await connection.execute(
            sa.delete(webhook_deliveries).where(
                webhook_deliveries.c.webhook == webhook,
                webhook_deliveries.c.call_id.in_(again),
            )
        )
        await connection.execute(
            sa.update(webhooks)
            .where(webhooks.c.id == webhook)
            .values(
                cursor=sa.case(
                    (webhooks.c.cursor < cursor, webhooks.c.cursor), else_=cursor
                )
            )
        )
        found = await connection.scalar(
            sa.select(sa.func.count(sa.distinct(outbox.c.call_id))).where(
                outbox.c.cursor > cursor
            )
        )
        await _audit(connection, row, by, "replayed", calls=found or 0)
        return found or 0


async def replay_dead(
    engine: AsyncEngine, webhook: int, call_id: str | None = None, *, by: str
) -> int:
    """Try dead letters again, all or those of one call; how many there were.

    Raises UnknownWebhookError.
    """
    mine = webhook_deliveries.c
    which = [mine.webhook == webhook, mine.state == Delivery.DEAD.value]
    if call_id is not None:
        which.append(mine.call_id == call_id)
    async with engine.begin() as connection:
        row = await _row(connection, webhook, locks=True)
        done = await connection.execute(
            sa.update(webhook_deliveries)
            .where(*which)
            .values(
                state=Delivery.PENDING.value,
                attempts=0,
                due_at=now(),
                queued_at=now(),
            )
        )
        await _audit(connection, row, by, "replayed", calls=done.rowcount)
        return done.rowcount


async def cursor_before(engine: AsyncEngine, since: datetime) -> int:
    """The cursor after which all was written since then."""
    async with engine.connect() as connection:
        found = await connection.scalar(
            sa.select(sa.func.max(outbox.c.cursor)).where(outbox.c.written_at < since)
        )
        return found or 0


async def deliveries(
    engine: AsyncEngine, webhook: int, state: Delivery | None, most: int
) -> list[Delivered]:
    """The last ones, oldest first. Raises UnknownWebhookError."""
    mine = webhook_deliveries.c
    wanted = [getattr(mine, name) for name in Delivered.__slots__]
    query = sa.select(*wanted).where(mine.webhook == webhook)
    if state is not None:
        query = query.where(mine.state == state.value)
    async with engine.connect() as connection:
        await _row(connection, webhook)
        rows = await connection.execute(query.order_by(mine.cursor.desc()).limit(most))
        found = [Delivered(*row) for row in rows]
    return found[::-1]


async def standing(engine: AsyncEngine, webhook: int) -> Standing:
    """How it stands. Raises UnknownWebhookError."""
    mine = webhook_deliveries.c
    is_pending = mine.state == Delivery.PENDING.value
    is_dead = mine.state == Delivery.DEAD.value
    async with engine.connect() as connection:
        row = await _row(connection, webhook)
        newest = await connection.scalar(sa.select(sa.func.max(outbox.c.cursor)))
        found = (
            await connection.execute(
                sa.select(
                    sa.func.count().filter(is_pending),
                    sa.func.count().filter(is_dead),
                    sa.func.min(mine.queued_at).filter(is_pending),
                    sa.func.max(mine.tried_at).filter(is_dead),
                ).where(mine.webhook == webhook, mine.state != Delivery.DELIVERED.value)
            )
        ).one()
    return Standing(max(0, (newest or 0) - row.cursor), *found)


async def _row(
    connection: AsyncConnection, webhook: int, *, locks: bool = False
) -> Any:
    """With `locks` until the commit nobody else writes it, nor its deliveries. Raises
    UnknownWebhookError."""
    query = sa.select(webhooks).where(webhooks.c.id == webhook)
    if locks:
        query = query.with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise UnknownWebhookError(webhook)
    return row


async def _audit(
    connection: AsyncConnection,
    hook: Any,
    by: str,
    action: str,
    *,
    reason: str | None = None,
    **more: Any,
) -> None:
    """An entry; its action ends in `-personal` where personal data goes out."""
    about = {"webhook": hook.id, "host": URL(hook.url).host}
    await audit.append(
        connection,
        actor=by,
        action=f"{action}-personal" if hook.personal else action,
        reason=reason,
        details=about | more,
    )
