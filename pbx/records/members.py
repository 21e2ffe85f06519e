"""Which call a channel belongs to: linkedids, joined by transfers, transitively."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.call import State
from pbx.model.channels import oldest
from pbx.records.base import announce, now, upsert_into
from pbx.records.tables import call_members, calls, journal_lines


async def find_homes(
    connection: AsyncConnection, members_of_lines: Sequence[Sequence[str]]
) -> dict[str, str]:
    """Every id in these lines → the call it belongs to.

    Each line gives its ids, the linkedid first. Calls that a line shows to be one are
    joined: the oldest linkedid gives the name, as `pbx.model.fold` names it.
    """
    ids = {i for members in members_of_lines for i in members}
    rows = await connection.execute(
        sa.select(call_members).where(call_members.c.member.in_(ids))
    )
    known = {row.member: row.call_id for row in rows}
    homes = dict(known)
    for members in filter(None, members_of_lines):
        old = {homes[m] for m in members if m in homes}
        home = oldest(old | {members[0]})
        for other in old - {home}:
            await _join(connection, other, home)
            homes = {m: home if h == other else h for m, h in homes.items()}
        homes |= dict.fromkeys(members, home)
    await _remember(connection, homes, known)
    return homes


async def _remember(
    connection: AsyncConnection,
    homes: dict[str, str],
    known: dict[str, str],
) -> None:
    news = [
        {"member": m, "call_id": home}
        for m, home in homes.items()
        if known.get(m) != home
    ]
    if news:
        insert = upsert_into(connection, call_members)
        await connection.execute(
            insert.on_conflict_do_update(
                index_elements=["member"],
                set_={"call_id": insert.excluded.call_id},
            ),
            news,
        )


async def _join(connection: AsyncConnection, other: str, home: str) -> None:
    """A transfer made `other` part of `home`: its lines move, its record, if there
    is one already, says where it went."""
    for table in (call_members, journal_lines):
        await connection.execute(
            sa.update(table).where(table.c.call_id == other).values(call_id=home)
        )
    row = (
        await connection.execute(sa.select(calls).where(calls.c.call_id == other))
    ).one_or_none()
    if row is None or row.joined_into == home:
        return
    revision = row.revision + 1
    record = row.record | {
        "revision": revision,
        "state": State.CLOSED.value,
        "joined_into": home,
    }
    await connection.execute(
        sa.update(calls)
        .where(calls.c.call_id == other)
        .values(
            revision=revision,
            state=State.CLOSED.value,
            joined_into=home,
            record=record,
            written_at=now(),
        )
    )
    await announce(connection, other, revision)
