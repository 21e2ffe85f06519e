"""The words of a record: how far a call can come, and how it is written down."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from pbx.model.call import (
    CHANGES,
    PROGRESS,
    Call,
    Disposition,
    State,
    as_record,
    unfolded,
    witnessed,
)
from pbx.model.events import read_event
from pbx.model.fold import fold
from tests.fakes.journal_lines import connected

AT = datetime(2026, 11, 21, 13, 0, 0, 570_000, tzinfo=UTC)


def test_the_table_speaks_of_every_disposition() -> None:
    assert set(CHANGES) == set(Disposition)


def test_no_change_leads_back() -> None:
    for before, afters in CHANGES.items():
        for after in afters & set(PROGRESS):
            assert PROGRESS[after] > PROGRESS[before], (before, after)


def test_every_disposition_can_be_reached_and_every_one_on_the_way_can_end() -> None:
    reachable = {Disposition.OFFERED} | {
        a for afters in CHANGES.values() for a in afters
    }
    assert reachable == set(Disposition)
    ends = {d for d, afters in CHANGES.items() if not afters}
    for start in set(Disposition) - ends:
        assert CHANGES[start]


def test_a_record_is_plain_json_with_utc_times() -> None:
    call = fold(read_event(raw) for raw in connected())
    record = as_record(call)
    assert json.loads(json.dumps(record)) == record
    assert record["started_at"] == "2026-11-21T13:00:00.000Z"
    assert record["state"] == "closed"
    assert record["rings"][0]["outcome"] == "no-answer"
    assert record["verdict"]["reason"] == "key"


def test_times_of_any_zone_are_written_as_utc() -> None:
    jakarta = AT.astimezone(timezone(timedelta(hours=7)))
    call = unfolded("k-1.1", started_at=jakarta, last_event_at=AT, is_over=False)
    assert as_record(call)["started_at"] == "2026-11-21T13:00:00.570Z"
    assert (call.state, call.incomplete) == (State.OPEN, True)


def test_what_only_the_witness_knows_is_marked() -> None:
    call = witnessed(
        "k-1.1",
        trunk="carrier",
        number=None,
        ani=None,
        seen_at=AT,
        ended_at=AT + timedelta(seconds=9),
        cause=16,
    )
    assert isinstance(call, Call)
    assert (call.incomplete, call.state) == (True, State.CLOSED)
    assert call.disposition is Disposition.OFFERED
    assert call.ended_at == AT + timedelta(seconds=9)
