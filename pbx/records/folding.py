"""The lines of one call → the rows of one call. No database here: the recorder and the
rebuild, in its other processes, make the same rows from the same lines.

A row never depends on how the lines came in batches. A call that a transfer made part
of an older one keeps a row, whether or not it had one before: what the lines that still
name it say, closed, pointing to the older one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pbx.model.call import Call, State, as_record, unfolded
from pbx.model.events import (
    CallEnded,
    ChannelStarted,
    JournalEvent,
    UnreadableLineError,
    read_event,
)
from pbx.model.fold import TRUNK_CONTEXT, fold

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A raw line and what could be made of it."""

    raw: bytes
    event: JournalEvent | None
    channel: str
    linkedid: str
    why: str = ""
    """Why there is no event."""

    @property
    def members(self) -> list[str]:
        """Its ids, the linkedid first."""
        return [i for i in (self.linkedid, self.channel) if i]

    @property
    def starts(self) -> str | None:
        """The channel whose CHAN_START this is."""
        return self.channel if isinstance(self.event, ChannelStarted) else None


def read_line(raw: bytes) -> Line:
    """Understand the line, or say why not."""
    try:
        event = read_event(raw)
    except UnreadableLineError as error:
        return Line(raw, None, error.channel, error.linkedid, str(error))
    return Line(raw, event, event.channel, event.linkedid)


@dataclass(frozen=True, slots=True)
class Invite:
    """A call that came in through a trunk: counted line by line, without any fold."""

    channel: str
    at: datetime


def invites_in(lines: Iterable[Line]) -> list[Invite]:
    """The INVITEs among these lines: a channel began by itself where carriers' calls
    come in. One that Asterisk dials (its linkedid is another's) is none."""
    return [
        Invite(line.channel, line.event.at)
        for line in lines
        if isinstance(line.event, ChannelStarted)
        and line.channel == line.linkedid
        and line.event.context.startswith(TRUNK_CONTEXT)
    ]


@dataclass(frozen=True, slots=True)
class Folded:
    """One call, and those that became part of it."""

    call: Call
    joined: tuple[Call, ...]


def fold_lines(
    call_id: str,
    lines: Sequence[Line],
    *,
    rebooted_at: datetime | None = None,
    gone_at: datetime | None = None,
) -> Folded | None:
    """The record of these lines; None if not one of them can be read."""
    events = [line.event for line in lines if line.event is not None]
    if not events:
        return None
    try:
        call = fold(
            events,
            unreadable=len(lines) - len(events),
            rebooted_at=rebooted_at,
            gone_at=gone_at,
        )
        joined = tuple(_part(other, lines) for other in call.joined)
    except Exception:  # noqa: BLE001 — a fault of ours must not stop the other calls' records
        _log.exception("call not folded", extra={"call_id": call_id})
        return Folded(_unfolded(call_id, events, rebooted_at, gone_at), ())
    return Folded(replace(call, call_id=call_id), joined)


def is_nameless(call: Call) -> bool:
    """Whether the lines that say who called, and what he dialled, are lost."""
    return call.incomplete and call.ani is None


def named(call: Call, trunk: str, number: str, ani: str) -> Call:
    """The nameless call with what the second witness heard of it; empty: nothing."""
    return replace(
        call,
        trunk=call.trunk or trunk or None,
        number=call.number or number or None,
        ani=ani or None,
    )


def _part(call_id: str, lines: Sequence[Line]) -> Call:
    """What the lines that name only this call, before it was joined, say of it."""
    mine = [line for line in lines if line.linkedid == call_id]
    events = [line.event for line in mine if line.event is not None]
    call = fold(events, unreadable=len(mine) - len(events))
    return replace(call, state=State.CLOSED)


def _unfolded(
    call_id: str,
    events: Sequence[JournalEvent],
    rebooted_at: datetime | None,
    gone_at: datetime | None,
) -> Call:
    times = [event.at for event in events]
    return unfolded(
        call_id,
        started_at=min(times),
        last_event_at=max(times),
        is_over=gone_at is not None
        or (rebooted_at is not None and min(times) < rebooted_at)
        or any(isinstance(event, CallEnded) for event in events),
    )


def record_of(call: Call, joined_into: str | None = None) -> dict[str, Any]:
    """The record as it is stored, but for its revision."""
    return {"joined_into": joined_into, "erased_at": None} | as_record(call)


def is_same(stored: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether the stored record says all of this already."""
    return all(key in stored and stored[key] == value for key, value in record.items())


def columns_of(call: Call, joined_into: str | None = None) -> dict[str, Any]:
    """What of the record has a column of its own, to find it by."""
    return {
        "call_id": call.call_id,
        "state": call.state.value,
        "disposition": call.disposition.value,
        "direction": call.direction.value,
        "incomplete": call.incomplete,
        "truncated": call.truncated,
        "joined_into": joined_into,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "last_event_at": call.last_event_at,
        "number": call.number,
        "ani": call.ani,
        "queue": call.queued[-1].queue if call.queued else None,
        "operator": call.operator,
        "verdict": call.verdict.verdict if call.verdict else None,
        "reason": call.verdict.reason if call.verdict else None,
    }
