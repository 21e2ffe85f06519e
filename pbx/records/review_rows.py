"""A row of the review list for each release, in the transaction of its record."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from pbx.model.call import Call
from pbx.model.review import Review
from pbx.records.base import upsert_into
from pbx.records.review_words import review_of
from pbx.records.tables import reviews


async def list_for_review(connection: AsyncConnection, call: Call) -> None:
    """Put the call on the review list if it belongs there.

    Written again, it changes nothing a reviewer said.
    """
    told = review_of(call)
    if told is None:
        return
    await connection.execute(
        upsert_into(connection, reviews)
        .values(call_id=call.call_id, review=Review.UNREVIEWED.value, **told)
        .on_conflict_do_update(index_elements=["call_id"], set_=told)
    )
