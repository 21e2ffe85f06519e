"""Real calls, mistreated: shuffled, doubled, torn, cut short, their notes anywhere.

What is only reordered or doubled makes the same record. What is lost makes a record all
the same, exactly one a call, and one that says so unless what is left is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pbx.model.call import Call, State, as_record
from pbx.model.channels import group
from pbx.model.events import JournalEvent, UnreadableLineError, read_event
from pbx.model.fold import fold
from pbx.records.journal import cut

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent.name for path in HERE.glob("*/journal.jsonl"))
FAST = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))

folders = pytest.mark.parametrize("folder", FOLDERS)


@dataclass(frozen=True, slots=True)
class Told:
    """A folder's bytes and what is in them."""

    journal: bytes
    notes: bytes

    @property
    def lines(self) -> list[bytes]:
        return [*raws(self.journal), *raws(self.notes)]


@cache
def told(folder: str) -> Told:
    notes = HERE / folder / "notes.jsonl"
    return Told(
        (HERE / folder / "journal.jsonl").read_bytes(),
        notes.read_bytes() if notes.exists() else b"",
    )


def raws(text: bytes) -> list[bytes]:
    return [line.raw for line in cut(text, 0, is_end=True)] if text else []


def read(lines: Iterable[bytes]) -> tuple[list[JournalEvent], int]:
    """What can be understood, and how many lines cannot."""
    events, unreadable = [], 0
    for raw in lines:
        try:
            events.append(read_event(raw))
        except UnreadableLineError:
            unreadable += 1
    return events, unreadable


@cache
def whole(folder: str) -> Call:
    """The one record of the call, by its undamaged lines."""
    events, unreadable = read(told(folder).lines)
    (call,) = [fold(events, unreadable=unreadable) for events in group(events)]
    return call


def by_channel(lines: Sequence[bytes]) -> list[list[bytes]]:
    """Asterisk keeps the order within a channel, and no other."""
    streams: dict[str, list[bytes]] = {}
    for raw in lines:
        streams.setdefault(read_event(raw).channel, []).append(raw)
    return list(streams.values())


@st.composite
def interleaved(draw: st.DrawFn, folder: str) -> list[bytes]:
    """Each channel's lines in their order, the channels and the notes in any."""
    here = told(folder)
    streams = by_channel(raws(here.journal))
    if here.notes:
        streams.append(raws(here.notes))
    turns = [i for i, stream in enumerate(streams) for _ in stream]
    order = draw(st.permutations(turns))
    left = [iter(stream) for stream in streams]
    return [next(left[i]) for i in order]


@st.composite
def doubled(draw: st.DrawFn, folder: str) -> list[bytes]:
    """A restored file, or part of it, is read again; anywhere behind its first."""
    lines = list(draw(interleaved(folder)))
    again = draw(st.lists(st.integers(0, len(lines) - 1), max_size=20))
    for i in sorted(again, reverse=True):
        lines.insert(draw(st.integers(i + 1, len(lines))), lines[i])
    return lines


@folders
@FAST
@given(data=st.data())
def test_any_order_and_doubles_make_the_same_record(
    folder: str, data: st.DataObject
) -> None:
    events, _ = read(data.draw(doubled(folder)))
    (found,) = [fold(some) for some in group(events)]
    assert as_record(found) == as_record(whole(folder))


@folders
@FAST
@given(data=st.data())
def test_notes_change_nothing_but_their_own_fields(
    folder: str, data: st.DataObject
) -> None:
    here = told(folder)
    some = data.draw(st.lists(st.sampled_from(raws(here.notes)))) if here.notes else []
    events, _ = read([*some, *raws(here.journal)])
    (found,) = [fold(part) for part in group(events)]
    of_notes = {"holds", "hold_seconds", "wrap_up_seconds", "classified", "survey"}
    record, expected = as_record(found), as_record(whole(folder))
    assert {k for k in record if record[k] != expected[k]} <= of_notes


@folders
@FAST
@given(data=st.data())
def test_torn_at_any_byte_the_call_has_one_record_that_says_so(
    folder: str, data: st.DataObject
) -> None:
    """Power cut: the journal ends there, and Asterisk starts anew."""
    text = told(folder).journal
    at = data.draw(st.integers(len(raws(text)[0]), len(text)))
    events, unreadable = read(raws(text[:at]))
    rebooted_at = max(event.at for event in events) + timedelta(seconds=20)
    calls = [
        fold(some, unreadable=unreadable, rebooted_at=rebooted_at)
        for some in group(events)
    ]
    expected = whole(folder)
    assert len(calls) == len({call.call_id for call in calls})
    assert {call.call_id for call in calls} <= {expected.call_id, *expected.joined}
    assert all(call.state is State.CLOSED for call in calls)
    if any(as_record(call) != as_record(expected) for call in calls) and at < len(text):
        assert is_marked(calls, events, expected)


def is_marked(
    calls: Sequence[Call], events: Sequence[JournalEvent], expected: Call
) -> bool:
    """Marked, or what is lost came when all that a record tells was over."""
    ended = {e.channel for e in events if type(e).__name__ == "ChannelEnded"}
    started = {leg.channel for leg in expected.legs}
    return any(call.truncated or call.incomplete for call in calls) or started <= ended


@folders
@FAST
@given(data=st.data())
def test_any_lost_lines_leave_one_record_a_call(
    folder: str, data: st.DataObject
) -> None:
    lines = told(folder).lines
    lost = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=len(lines) - 1))
    events, unreadable = read(raw for i, raw in enumerate(lines) if i not in lost)
    if not events:
        return
    expected = whole(folder)
    known = {expected.call_id, *expected.joined} | {c.channel for c in expected.legs}
    calls = [fold(some, unreadable=unreadable) for some in group(events)]
    assert len(calls) == len({call.call_id for call in calls})
    assert {call.call_id for call in calls} <= known
    for call in calls:
        as_record(call)


@folders
@FAST
@given(data=st.data())
def test_a_damaged_line_costs_no_other_its_meaning(
    folder: str, data: st.DataObject
) -> None:
    lines = told(folder).lines
    at = data.draw(st.integers(0, len(lines) - 1))
    cut_at = data.draw(st.integers(0, len(lines[at]) - 3))
    events, unreadable = read([*lines[:at], lines[at][:cut_at], *lines[at + 1 :]])
    calls = [fold(some, unreadable=unreadable) for some in group(events)]
    assert len(calls) >= 1
    if unreadable:
        assert all(call.incomplete for call in calls)
