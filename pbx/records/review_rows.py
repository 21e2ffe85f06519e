"""A row of the review list for each release, in the transaction of its record."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.call import Call
from pbx.model.review import Review, kind_of
from pbx.records.base import upsert_into
from pbx.records.tables import reviews

MOST_BECAUSE = 2000


async def list_for_review(connection: AsyncConnection, call: Call) -> None:
    """Put the call on the review list if it belongs there.

    Written again, it changes nothing a reviewer said.
    """
    kind, verdict = kind_of(call), call.verdict
    if kind is None or verdict is None:
        return
    told = {
        "kind": kind.value,
        "at": call.started_at,
        "ruling": verdict.verdict[:16],
        "reason": verdict.reason[:32],
        "because": verdict.evidence[:MOST_BECAUSE],
        "confidence": verdict.confidence,
    }
    await connection.execute(
        upsert_into(connection, reviews)
        .values(call_id=call.call_id, review=Review.UNREVIEWED.value, **told)
        .on_conflict_do_update(index_elements=["call_id"], set_=told)
    )
