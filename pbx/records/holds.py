"""Legal holds: calls nothing is taken out of, whatever is over its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.records import audit
from pbx.records.base import now, upsert_into, write_alone
from pbx.records.privacy_tables import legal_holds
from pbx.records.tables import calls


async def listed(engine: AsyncEngine) -> Sequence[Any]:
    """Who is held, oldest first."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            sa.select(legal_holds).order_by(legal_holds.c.at)
        )
        return rows.all()


async def hold(
    engine: AsyncEngine, call_id: str, *, by: str, reason: str, secrets: Path | None
) -> Mapping[str, Any] | None:
    """Hold a call; its record, or None: there is no such call.

    It waits for whoever takes something out just now: once it stands, nothing of the
    call goes, and the record it returns is what is there.
    """
    async with engine.begin() as connection:
        await write_alone(connection)
        record: Mapping[str, Any] | None = await connection.scalar(
            sa.select(calls.c.record).where(calls.c.call_id == call_id)
        )
        if record is None:
            return None
        values = {"reason": reason, "held_by": by, "at": now()}
        await connection.execute(
            upsert_into(connection, legal_holds)
            .values(call_id=call_id, **values)
            .on_conflict_do_update(index_elements=["call_id"], set_=values)
        )
        await audit.append(
            connection,
            actor=by,
            action="held",
            call_id=call_id,
            reason=reason,
            secrets=secrets,
        )
    return record


async def let_go(
    engine: AsyncEngine, call_id: str, *, by: str, reason: str, secrets: Path | None
) -> Mapping[str, Any] | None:
    """End the hold; None: there was none."""
    async with engine.begin() as connection:
        done = await connection.execute(
            sa.delete(legal_holds).where(legal_holds.c.call_id == call_id)
        )
        if done.rowcount != 1:
            return None
        await audit.append(
            connection,
            actor=by,
            action="let-go",
            call_id=call_id,
            reason=reason,
            secrets=secrets,
        )
    return {"call_id": call_id}
