"""One person, by his telephone number: all that is there of him, and its erasure.

A call is *his* where he called, as the network or the header says, or was called by an
operator; other calls may *mention* him, as a transfer's target or in a note. His own
calls lose all personal data, the others only the texts that mention him.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pbx.model.audit import Entry, subject_of
from pbx.model.call import State
from pbx.model.category import Category
from pbx.model.numbers import core, is_about, is_same, mentions, mentions_anywhere
from pbx.model.review import DROPS, Review
from pbx.records import audit, erased_calls, erasures
from pbx.records.audit import WantedEntries
from pbx.records.base import now as wall_clock
from pbx.records.base import write_alone
from pbx.records.certificates import ERASED as ERASED_ACTION
from pbx.records.certificates import certificate, certify
from pbx.records.database import empty_wal
from pbx.records.tables import (
    calls,
    journal_lines,
    review_marks,
    reviews,
    witnessed_calls,
)

PAGE = 1000
AT_ONCE = 100
OPEN_CASE_DAYS = 7
"""A report called valid may still be worked on for so long."""

Tell = Callable[[int, int], None]
"""Records looked at, of how many."""


@dataclass(frozen=True, slots=True)
class Found:
    """One call in which the person occurs."""

    call_id: str
    started_at: datetime
    record: Mapping[str, Any]
    is_own: bool
    """His call; else he is only mentioned."""
    lines: int = 0
    """Raw lines."""
    review: Mapping[str, Any] | None = None
    marks: Sequence[Mapping[str, Any]] = ()
    kept_because: str | None = None
    """Why it is not erased, if it is not."""


@dataclass(slots=True)
class Person:
    """All that was found."""

    number: str
    found: list[Found] = field(default_factory=list)

    @property
    def own(self) -> list[Found]:
        """His calls."""
        return [call for call in self.found if call.is_own]

    @property
    def erasable(self) -> list[Found]:
        """What an erasure would touch."""
        return [call for call in self.found if call.kept_because is None]


async def find(
    engine: AsyncEngine,
    number: str,
    *,
    now: datetime,
    keeps_open_cases: bool = False,
    tell: Tell = lambda *_: None,
) -> Person:
    """Look through every record, note and witnessed call. `number` is normalised."""
    person = Person(number)
    async with engine.connect() as connection:
        total = await connection.scalar(sa.select(sa.func.count()).select_from(calls))
    seen = 0
    in_notes = await _in_notes(engine, number)
    witnessed = await _witnessed(engine, number)
    async for row in _candidates(engine, number, in_notes | witnessed):
        seen += 1
        tell(seen, total or 0)
        is_own = is_about(row.record, number) or row.call_id in witnessed
        if is_own or row.call_id in in_notes or mentions_anywhere(row.record, number):
            call = Found(row.call_id, row.started_at, row.record, is_own)
            person.found.append(call)
    tell(total or 0, total or 0)
    async with engine.connect() as connection:
        person.found = [
            await _whole(connection, call, now, keeps_open_cases)
            for call in person.found
        ]
    return person


async def _candidates(
    engine: AsyncEngine, number: str, others: set[str]
) -> AsyncIterator[Any]:
    """Records that have the number's digits somewhere, and notes to look into."""
    text = _without_separators(sa.cast(calls.c.record, sa.Text))
    note = calls.c.record["classified"]["note"].as_string()
    last = ""
    while True:
        end = await _page_end(engine, last)
        if end is None:
            break
        query = (
            sa.select(calls.c.call_id, calls.c.started_at, calls.c.record)
            .where(
                calls.c.call_id > last,
                calls.c.call_id <= end,
                sa.or_(text.like(f"%{core(number)}%"), note.is_not(None)),
            )
            .order_by(calls.c.call_id)
        )
        async with engine.connect() as connection:
            for row in (await connection.execute(query)).all():
                others.discard(row.call_id)
                yield row
        last = end
    if others:
        query = sa.select(calls.c.call_id, calls.c.started_at, calls.c.record)
        async with engine.connect() as connection:
            rows = await connection.execute(query.where(calls.c.call_id.in_(others)))
            for row in rows.all():
                yield row


def _without_separators(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The digits of a number side by side: `tel:+62-812-3456-7890` is how RFC 3966, 3
    writes one, and Asterisk gives it to us as it came."""
    for separator in " ().-/":
        text = sa.func.replace(text, separator, "")
    return text


async def _page_end(engine: AsyncEngine, last: str) -> str | None:
    """The last id of the next page; None: there is none."""
    page = (
        sa.select(calls.c.call_id)
        .where(calls.c.call_id > last)
        .order_by(calls.c.call_id)
        .limit(PAGE)
        .subquery()
    )
    async with engine.connect() as connection:
        end: str | None = await connection.scalar(
            sa.select(sa.func.max(page.c.call_id))
        )
        return end


async def _in_notes(engine: AsyncEngine, number: str) -> set[str]:
    """Calls of which a reviewer wrote this number."""
    found = set()
    async with engine.connect() as connection:
        for table in (reviews, review_marks):
            rows = await connection.execute(
                sa.select(table.c.call_id, table.c.note).where(
                    table.c.note.is_not(None)
                )
            )
            found |= {row.call_id for row in rows if mentions(row.note, number)}
    return found


async def _witnessed(engine: AsyncEngine, number: str) -> set[str]:
    query = sa.select(witnessed_calls.c.call_id, witnessed_calls.c.ani).where(
        _without_separators(witnessed_calls.c.ani).like(f"%{core(number)}")
    )
    async with engine.connect() as connection:
        rows = await connection.execute(query)
        return {row.call_id for row in rows if is_same(row.ani, number)}


async def _whole(
    connection: AsyncConnection, call: Found, now: datetime, keeps_open_cases: bool
) -> Found:
    """With its raw lines counted, its review, and why it must stay, if it must."""
    family = await erasures.family_of(connection, [call.call_id])
    lines = await connection.scalar(
        sa.select(sa.func.count())
        .select_from(journal_lines)
        .where(journal_lines.c.call_id.in_(family))
    )
    row = (
        await connection.execute(
            sa.select(reviews).where(reviews.c.call_id == call.call_id)
        )
    ).one_or_none()
    marks = await connection.execute(
        sa.select(review_marks)
        .where(review_marks.c.call_id == call.call_id)
        .order_by(review_marks.c.id)
    )
    review = None if row is None else dict(row._mapping)
    is_held = bool(await erasures.held_of(connection, family))
    return Found(
        call.call_id,
        call.started_at,
        call.record,
        call.is_own,
        lines or 0,
        review,
        [dict(mark._mapping) for mark in marks],
        _why_kept(call, review, now, is_held, keeps_open_cases),
    )


def _why_kept(
    call: Found,
    review: Mapping[str, Any] | None,
    now: datetime,
    is_held: bool,
    keeps_open_cases: bool,
) -> str | None:
    if is_held:
        return "legal hold"
    is_young = now - call.started_at < timedelta(days=1)
    if call.record.get("state") == State.OPEN.value and is_young:
        return "the call goes on; erase it when it has ended"
    if not keeps_open_cases:
        return None
    if (
        review is not None
        and review["kind"] in {kind.value for kind in DROPS}
        and review["review"] == Review.PERSON.value
        and review["acknowledged_at"] is None
    ):
        return "open case: a dropped person nobody has called back"
    said = call.record.get("classified") or {}
    is_recent = now - call.started_at < timedelta(days=OPEN_CASE_DAYS)
    if said.get("category") == Category.VALID.value and is_recent:
        return f"open case: a valid report of the last {OPEN_CASE_DAYS} days"
    return None


async def erase(
    engine: AsyncEngine,
    person: Person,
    *,
    actor: str,
    reason: str,
    secrets: Path | None,
) -> list[Entry]:
    """Take out all that is erasable of him, a certificate each transaction.

    What was put under a legal hold since `find` stays. Files are the caller's: delete
    those first, since afterwards nothing says whose they were. Raises SQLAlchemyError,
    OSError, AuditKeyError; what was done by then stands, the next run does the rest.
    """
    subject = subject_of(person.number, audit.files_of(secrets).key())
    made = []
    for what, chosen in (
        ("a person's calls", [c for c in person.erasable if c.is_own]),
        ("mentions of a person", [c for c in person.erasable if not c.is_own]),
    ):
        for i in range(0, len(chosen), AT_ONCE):
            ids = [call.call_id for call in chosen[i : i + AT_ONCE]]
            async with engine.begin() as connection:
                await write_alone(connection)
                family = await erasures.free_of(connection, ids)
                if not family:
                    continue  # held since they were looked for
                if chosen[0].is_own:
                    await erasures.blank(connection, family, rule=erased_calls.REQUEST)
                    await _forget_audio(connection, family)
                else:
                    await erasures.blank_mentions(
                        connection, family, person.number, rule=erased_calls.REQUEST
                    )
                erased_calls.remember(secrets, family)
                made.append(
                    await certify(
                        connection,
                        certificate(what, "a person's request", None, family),
                        actor=actor,
                        secrets=secrets,
                        action=ERASED_ACTION,
                        reason=reason,
                        subject=subject,
                    )
                )
    await empty_wal(engine)
    return made


async def _forget_audio(connection: AsyncConnection, call_ids: set[str]) -> None:
    await connection.execute(
        sa.update(reviews)
        .where(reviews.c.call_id.in_(call_ids), reviews.c.audio.is_not(None))
        .values(audio=None, deleted_at=wall_clock())
    )


async def audited(
    engine: AsyncEngine, person: Person, *, secrets: Path | None
) -> list[Entry]:
    """Every entry of the audit about him or one of his calls, oldest first."""
    files = audit.files_of(secrets)
    subjects = {subject_of(person.number, key) for key in files.keys().values()}
    found: dict[int, Entry] = {}
    for wanted in (
        *(WantedEntries(subject=s, most=100_000) for s in sorted(subjects)),
        *(WantedEntries(call_id=c.call_id, most=100_000) for c in person.own),
    ):
        found |= {entry.seq: entry for entry in await audit.listed(engine, wanted)}
    return [found[seq] for seq in sorted(found)]
