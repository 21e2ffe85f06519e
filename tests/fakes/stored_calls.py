"""Calls put into the store without a journal, for those who only read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from pbx.model.call import Call, Disposition, State
from pbx.records.store import RecordStore
from pbx.records.tables import calls

START = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
ANI = "081234567890"


def a_call(number: int, *, step: int = 0, is_over: bool = True) -> Call:
    """Call `number`; each `step` is another revision of it."""
    at = START + timedelta(seconds=number)
    last = at + timedelta(seconds=1 + step)
    return Call(
        call_id=f"kediri-1-{1795293664 + number}.{number}",
        state=State.CLOSED if is_over else State.OPEN,
        disposition=Disposition.CONNECTED if is_over else Disposition.OFFERED,
        trunk="carrier",
        number="112",
        ani=ANI,
        started_at=at,
        ended_at=last if is_over else None,
        last_event_at=last,
        operator="101" if is_over else None,
        wait_seconds=6.25 if is_over else None,
    )


async def put(store: RecordStore, *some: Call) -> None:
    """Write them as the recorder does, in one transaction."""
    async with store.engine.begin() as connection:
        for call in some:
            was = (
                await connection.execute(
                    sa.select(calls).where(calls.c.call_id == call.call_id)
                )
            ).one_or_none()
            assert await store.write(connection, call, was)
