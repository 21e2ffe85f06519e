"""The review list as its users meet it: control room, command line, figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.review import DROPS, Kind, Review
from pbx.records.tables import calls, review_marks, reviews

_DROPS = [kind.value for kind in DROPS]


class UnknownCallError(Exception):
    """No such call on the review list; the text says the cure."""

    def __init__(self, call_id: str) -> None:
        super().__init__(
            f"the call {call_id} is not on the review list; "
            "`gerbang ghostfilter review` shows who is"
        )


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One call of the list."""

    call_id: str
    kind: Kind
    at: datetime
    ruling: str
    reason: str
    because: str
    confidence: float | None
    audio: str | None
    """Below the folder of kept audio."""
    sha256: str | None
    seconds: float | None
    expires_at: datetime | None
    deleted_at: datetime | None
    review: Review
    reviewer: str | None
    reviewed_at: datetime | None
    note: str | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None

    @property
    def stands_as_alarm(self) -> bool:
        """A person was dropped, and nobody has taken note of it yet."""
        return (
            self.kind in DROPS
            and self.review is Review.PERSON
            and self.acknowledged_at is None
        )


STANDS = (
    "{reviewer} heard a person there, and nobody has acknowledged it: that stands, "
    "with its alarm. Your word is kept beside it; acknowledge first, then mark again"
)
"""For whoever says otherwise of a call that stands as an alarm."""


@dataclass(frozen=True, slots=True)
class WantedReviews:
    """Which rows; newest first, or `at_random`, as a fair sample."""

    kinds: Collection[Kind] = ()
    reviews: Collection[Review] = ()
    since: datetime | None = None
    most: int = 50
    with_audio: bool = False
    at_random: bool = False


@dataclass(frozen=True, slots=True)
class FilterPicture:
    """What the control room shows of the filter."""

    released: int = 0
    """Drops within the last hour."""
    verdicts: Mapping[str, int] = field(default_factory=dict)
    """Within the last hour, `ruling/reason` → calls."""
    reviews: Mapping[str, int] = field(default_factory=dict)
    """Of all drops on the list: mark → calls."""
    people_dropped: Sequence[str] = ()
    """Drops marked as people that nobody has acknowledged, oldest first."""


async def listed(engine: AsyncEngine, wanted: WantedReviews) -> list[ReviewRow]:
    """Rows of the list."""
    query = sa.select(reviews).limit(wanted.most)
    if wanted.kinds:
        query = query.where(reviews.c.kind.in_([k.value for k in wanted.kinds]))
    if wanted.reviews:
        query = query.where(reviews.c.review.in_([r.value for r in wanted.reviews]))
    if wanted.since is not None:
        query = query.where(reviews.c.at >= wanted.since)
    if wanted.with_audio:
        query = query.where(reviews.c.audio.is_not(None))
    order = sa.func.random() if wanted.at_random else reviews.c.at.desc()
    async with engine.begin() as connection:
        return [_row(row) for row in await connection.execute(query.order_by(order))]


async def find(engine: AsyncEngine, call_id: str) -> ReviewRow:
    """One row. Raises UnknownCallError."""
    async with engine.begin() as connection:
        return await _find(connection, call_id)


async def marks_of(engine: AsyncEngine, call_id: str) -> list[dict[str, Any]]:
    """Every word said of a call, oldest first."""
    query = sa.select(review_marks).where(review_marks.c.call_id == call_id)
    async with engine.begin() as connection:
        rows = await connection.execute(query.order_by(review_marks.c.id))
        return [dict(row._mapping) for row in rows]


async def mark(
    engine: AsyncEngine,
    call_id: str,
    review: Review,
    *,
    by: str,
    note: str | None,
    at: datetime,
) -> ReviewRow:
    """Write down what a reviewer heard; the last word counts, all are kept.

    But a person among the drops stands until somebody acknowledged it: two reviewers
    at once, or a page from before, must not end an alarm that nobody has seen. Until
    then the row returned says was-a-person still. Made anew, such a mark is
    unacknowledged again. Raises UnknownCallError.
    """
    stands = sa.and_(
        reviews.c.kind.in_(_DROPS),
        reviews.c.review == Review.PERSON.value,
        reviews.c.acknowledged_at.is_(None),
        sa.literal(review is not Review.PERSON),
    )
    said = {
        "review": review.value,
        "reviewer": by,
        "reviewed_at": at,
        "note": note,
        "acknowledged_by": None,
        "acknowledged_at": None,
    }
    async with engine.begin() as connection:
        await connection.execute(
            sa.update(reviews)
            .where(reviews.c.call_id == call_id, sa.not_(stands))
            .values(**said)
        )
        row = await _find(connection, call_id)
        await connection.execute(
            sa.insert(review_marks).values(
                call_id=call_id, review=review.value, reviewer=by, note=note, at=at
            )
        )
        return row


async def acknowledge(
    engine: AsyncEngine, call_id: str, *, by: str, at: datetime
) -> ReviewRow:
    """Somebody answers for it: the alarm of this call ends. Raises UnknownCallError."""
    async with engine.begin() as connection:
        await connection.execute(
            sa.update(reviews)
            .where(
                reviews.c.call_id == call_id,
                reviews.c.review == Review.PERSON.value,
                reviews.c.acknowledged_at.is_(None),
            )
            .values(acknowledged_by=by, acknowledged_at=at)
        )
        return await _find(connection, call_id)


async def without_audio(
    engine: AsyncEngine, since: datetime
) -> list[tuple[str, datetime]]:
    """Calls since then whose audio was not found yet: id and time, oldest first."""
    query = sa.select(reviews.c.call_id, reviews.c.at).where(
        reviews.c.at >= since,
        reviews.c.audio.is_(None),
        reviews.c.deleted_at.is_(None),
    )
    async with engine.begin() as connection:
        rows = await connection.execute(query.order_by(reviews.c.at))
        return [(row.call_id, row.at) for row in rows]


async def attach(
    engine: AsyncEngine, call_id: str, *, audio: str, sha256: str, seconds: float
) -> None:
    """The call's audio was found, below the folder of kept audio."""
    async with engine.begin() as connection:
        await connection.execute(
            sa.update(reviews)
            .where(reviews.c.call_id == call_id)
            .values(audio=audio, sha256=sha256, seconds=seconds)
        )


async def audio_listed(
    engine: AsyncEngine,
) -> list[tuple[str, str, datetime | None]]:
    """Every call with audio: its id, where it lies, until when."""
    query = sa.select(reviews.c.call_id, reviews.c.audio, reviews.c.expires_at)
    async with engine.begin() as connection:
        rows = await connection.execute(query.where(reviews.c.audio.is_not(None)))
        return [(row.call_id, row.audio, row.expires_at) for row in rows]


async def expires(engine: AsyncEngine, until: Mapping[str, datetime]) -> None:
    """Say until when the audio of these calls is kept."""
    async with engine.begin() as connection:
        for call_id, at in until.items():
            await connection.execute(
                sa.update(reviews)
                .where(reviews.c.call_id == call_id)
                .values(expires_at=at)
            )


async def forget_audio(
    engine: AsyncEngine, call_ids: Collection[str], at: datetime
) -> None:
    """The audio of these calls is gone; their rows stay."""
    if call_ids:
        async with engine.begin() as connection:
            await connection.execute(
                sa.update(reviews)
                .where(reviews.c.call_id.in_(call_ids))
                .values(audio=None, deleted_at=at)
            )


async def picture(engine: AsyncEngine, at: datetime) -> FilterPicture:
    """What the control room shows of the filter now."""
    hour = at - timedelta(hours=1)
    is_drop = reviews.c.kind.in_(_DROPS)
    count = sa.func.count()
    async with engine.begin() as connection:
        released = await connection.scalar(
            sa.select(count).select_from(reviews).where(is_drop, reviews.c.at >= hour)
        )
        verdicts = await connection.execute(
            sa.select(calls.c.verdict, calls.c.reason, count)
            .where(calls.c.started_at >= hour, calls.c.verdict.is_not(None))
            .group_by(calls.c.verdict, calls.c.reason)
        )
        marked = await connection.execute(
            sa.select(reviews.c.review, count).where(is_drop).group_by(reviews.c.review)
        )
        people = await connection.scalars(
            sa.select(reviews.c.call_id)
            .where(
                is_drop,
                reviews.c.review == Review.PERSON.value,
                reviews.c.acknowledged_at.is_(None),
            )
            .order_by(reviews.c.at)
            .limit(100)
        )
        return FilterPicture(
            released=released or 0,
            verdicts={f"{row[0]}/{row[1]}": row[2] for row in verdicts},
            reviews={row[0]: row[1] for row in marked},
            people_dropped=tuple(people),
        )


async def _find(connection: AsyncConnection, call_id: str) -> ReviewRow:
    row = (
        await connection.execute(sa.select(reviews).where(reviews.c.call_id == call_id))
    ).one_or_none()
    if row is None:
        raise UnknownCallError(call_id)
    return _row(row)


def _row(row: Any) -> ReviewRow:
    told = dict(row._mapping)
    told["kind"] = Kind(told["kind"])
    told["review"] = Review(told["review"])
    return ReviewRow(**told)
