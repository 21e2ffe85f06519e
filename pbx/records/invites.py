"""INVITEs on the trunks, as the journal tells them: the ledger's one side."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.records.base import upsert_into
from pbx.records.folding import Invite
from pbx.records.ledger_tables import invites


async def note_invites(connection: AsyncConnection, seen: Sequence[Invite]) -> None:
    """Note them in the transaction of their lines; one noted before stays as it is."""
    if seen:
        await connection.execute(
            upsert_into(connection, invites).on_conflict_do_nothing(),
            [{"channel": invite.channel, "at": invite.at} for invite in seen],
        )
