"""Calls as reports look at them: a few fields of each record, as a stream.

The database picks the fields out of each record, so that a report over a year moves a
tenth of its bytes; each record is parsed there once (SQLite's `json_extract` with
several paths, PostgreSQL's `json_to_record`). No field that could name a caller is
among them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.model.call import Direction, Disposition, RingOutcome, State
from pbx.model.category import SPOKEN, Traits, judge
from pbx.model.reported import Rang, ReportedCall
from pbx.model.review import Kind, Review
from pbx.model.verdict import Ruling
from pbx.records.tables import calls, reviews

BATCH = 1000
_FIELDS: tuple[tuple[str | int, ...], ...] = (
    ("answered_at",),
    ("queued_at",),
    ("connected_at",),
    ("ended_at",),
    ("verdict", "verdict"),
    ("verdict", "reason"),
    ("keys", 0, "at_ms"),
    ("queued", 0, "queue"),
    ("rescued",),
    ("degraded",),
    ("classified", "category"),
    ("classified", "type"),
    ("survey", "score"),
    ("wait_seconds",),
    ("talk_seconds",),
    ("hold_seconds",),
    ("wrap_up_seconds",),
    ("operator",),
    ("rings",),
)


async def count_calls(engine: AsyncEngine, begin: datetime, end: datetime) -> int:
    """How many calls a report over this time has to read."""
    query = sa.select(sa.func.count()).select_from(calls).where(*_wanted(begin, end))
    async with engine.begin() as connection:
        return await connection.scalar(query) or 0


async def reported_calls(
    engine: AsyncEngine, begin: datetime, end: datetime
) -> AsyncIterator[Sequence[ReportedCall]]:
    """Closed incoming calls offered from `begin` until before `end`, in batches, in
    no order; all as they were at one moment."""
    fields, source = _picked(engine.dialect.name)
    query = (
        sa.select(
            calls.c.started_at,
            calls.c.disposition,
            calls.c.incomplete,
            reviews.c.kind,
            reviews.c.review,
            fields,
        )
        .select_from(source)
        .where(*_wanted(begin, end))
    )
    async with engine.connect() as connection:
        rows = await connection.stream(query, execution_options={"yield_per": BATCH})
        async for batch in rows.partitions():
            yield [_call(row) for row in batch]


def _wanted(begin: datetime, end: datetime) -> Sequence[sa.ColumnElement[bool]]:
    return (
        calls.c.started_at >= begin,
        calls.c.started_at < end,
        calls.c.state == State.CLOSED.value,
        calls.c.direction == Direction.INCOMING.value,
        calls.c.joined_into.is_(None),
    )


def _picked(dialect: str) -> tuple[sa.ColumnElement[Any], sa.FromClause]:
    """`_FIELDS` of a record as the text of one JSON array, and where to pick them."""
    joined = calls.outerjoin(reviews, reviews.c.call_id == calls.c.call_id)
    if dialect == "postgresql":
        tops = dict.fromkeys(str(path[0]) for path in _FIELDS)
        record = sa.cast(calls.c.record, sa.JSON)
        told = (
            sa.func.json_to_record(record)
            .table_valued(
                *(sa.column(name, sa.JSON) for name in tops),
                name="told",
                joins_implicitly=True,  # a function in FROM sees the tables before it
            )
            .render_derived(with_types=True)
        )
        array = sa.func.json_build_array(*(_step(told, path) for path in _FIELDS))
        return sa.cast(array, sa.Text), joined.join(told, sa.true())
    paths = (
        "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
        for path in _FIELDS
    )
    return sa.func.json_extract(calls.c.record, *paths, type_=sa.Text), joined


def _step(told: Any, path: tuple[str | int, ...]) -> sa.ColumnElement[Any]:
    value: sa.ColumnElement[Any] = told.c[str(path[0])]
    for step in path[1:]:
        value = value[step]
    return value


def _call(row: Any) -> ReportedCall:
    (
        answered_at, queued_at, connected_at, ended_at, ruling, reason, key, queue,
        rescued, degraded, said, kind_said, score, wait, talk, hold, wrap_up, operator,
        rings,
    ) = json.loads(row[5])  # fmt: skip
    traits = Traits(
        disposition=row.disposition,
        said=said,
        is_answered=answered_at is not None,
        ruling=ruling,
        reason=reason,
        has_keys=key is not None,
        was_queued=queue is not None,
        was_rescued=bool(rescued or degraded),
        talk_seconds=talk,
    )
    return ReportedCall(
        started_at=row.started_at,
        disposition=Disposition(row.disposition),
        category=judge(traits),
        is_classified=said in SPOKEN,
        type=kind_said,
        score=score,
        is_incomplete=row.incomplete,
        queued_at=_time(queued_at),
        connected_at=_time(connected_at),
        ended_at=_time(ended_at),
        wait_seconds=wait,
        talk_seconds=talk,
        hold_seconds=hold,
        wrap_up_seconds=wrap_up,
        operator=operator,
        rings=tuple(
            Rang(
                ring["operator"],
                ring["ring_seconds"] or 0.0,
                RingOutcome(ring["outcome"]),
            )
            for ring in rings or ()
        ),
        is_low_priority=ruling == Ruling.LOW_PRIORITY,
        kind=Kind(row.kind) if row.kind else None,
        review=Review(row.review) if row.review else Review.UNREVIEWED,
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
