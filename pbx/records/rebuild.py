"""Every record computed anew from the raw lines in the store, and compared."""

from __future__ import annotations

from collections.abc import AsyncIterator

import sqlalchemy as sa

from pbx.records.store import RecordStore
from pbx.records.tables import calls, outbox

AT_A_TIME = 200


async def compare(store: RecordStore, *, mends: bool) -> AsyncIterator[str]:
    """The ids of calls whose record is not what their lines say; with `mends` each
    gets a new revision. Each step is a transaction of its own."""
    last = ""
    while True:
        async with store.engine.connect() as connection:
            ids = list(
                await connection.scalars(
                    sa.select(calls.c.call_id)
                    .where(calls.c.call_id > last, calls.c.joined_into.is_(None))
                    .order_by(calls.c.call_id)
                    .limit(AT_A_TIME)
                )
            )
            if not ids:
                return
            last = ids[-1]
            newest = sa.select(sa.func.coalesce(sa.func.max(outbox.c.cursor), 0))
            before = await connection.scalar(newest)
            await store.refold(connection, ids)
            told = await connection.scalars(
                sa.select(outbox.c.call_id).where(outbox.c.cursor > before)
            )
            different = sorted(set(told))
            if mends:
                await connection.commit()
            else:
                await connection.rollback()
        for call_id in different:
            yield call_id
