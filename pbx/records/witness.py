"""The second witness's book: trunk channels as the manager link saw them.

The control process writes here. Every function may be called twice with the same words,
and an end may be told before its beginning: notes wait while the database is away.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from pbx.records.base import Store, upsert_into
from pbx.records.tables import asterisk_boots, witnessed_calls


class WitnessStore(Store):
    """The part of the store the control process writes."""

    async def witness_seen(
        self,
        call_id: str,
        *,
        channel: str,
        trunk: str,
        seen_at: datetime,
        number: str = "",
        ani: str = "",
    ) -> None:
        """A trunk channel exists; `call_id` is its uniqueid."""
        async with self.engine.begin() as connection:
            await connection.execute(
                upsert_into(connection, witnessed_calls)
                .values(
                    call_id=call_id,
                    channel=channel,
                    trunk=trunk,
                    number=number,
                    ani=ani,
                    seen_at=seen_at,
                )
                .on_conflict_do_update(
                    index_elements=["call_id"],
                    set_={
                        "channel": channel,
                        "trunk": trunk,
                        "number": number,
                        "ani": ani,
                    },
                )
            )

    async def witness_ended(
        self, call_id: str, *, ended_at: datetime, cause: int | None
    ) -> None:
        """That channel is gone; the first end told stands."""
        async with self.engine.begin() as connection:
            insert = upsert_into(connection, witnessed_calls)
            await connection.execute(
                insert.values(
                    call_id=call_id,
                    channel="",
                    trunk="",
                    number="",
                    ani="",
                    seen_at=ended_at,
                    ended_at=ended_at,
                    cause=cause,
                ).on_conflict_do_update(
                    index_elements=["call_id"],
                    set_={"ended_at": ended_at, "cause": cause},
                    where=witnessed_calls.c.ended_at.is_(None),
                )
            )

    async def open_witnesses(self) -> list[str]:
        """Ids of the channels seen and not yet ended."""
        async with self.engine.begin() as connection:
            rows = await connection.scalars(
                sa.select(witnessed_calls.c.call_id).where(
                    witnessed_calls.c.ended_at.is_(None)
                )
            )
            return list(rows)

    async def boot_seen(self, booted_at: datetime) -> None:
        """Asterisk started then: calls an earlier run left open died with it."""
        async with self.engine.begin() as connection:
            await connection.execute(
                upsert_into(connection, asterisk_boots)
                .values(started_at=booted_at)
                .on_conflict_do_nothing()
            )
