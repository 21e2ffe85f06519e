"""Call-seconds from the journal: what CPU is divided by."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

from tests.bench.journal import stretch, without_filter

BEGIN = datetime(2026, 11, 21, 20, 0, 10, tzinfo=UTC)
END = datetime(2026, 11, 21, 20, 0, 20, tzinfo=UTC)


def line(kind: str, second: str, channel: str = "carrier-01", name: str = "") -> str:
    return json.dumps(
        {
            "eventtype": kind,
            "eventtime": f"2026-11-21 20:00:{second} +0000",
            "usereventname": name,
            "channame": f"PJSIP/{channel}",
            "uniqueid": channel,
        }
    )


def seconds(*lines: str) -> float:
    return stretch(lines, BEGIN, END, trunk="carrier").call_seconds


def test_a_call_within_counts_whole() -> None:
    assert seconds(line("CHAN_START", "12.000"), line("CHAN_END", "15.500")) == 3.5


def test_a_call_is_cut_at_both_ends() -> None:
    assert seconds(line("CHAN_START", "01.000"), line("CHAN_END", "59.000")) == 10.0


def test_a_call_still_open_lasts_to_the_end() -> None:
    assert seconds(line("CHAN_START", "19.000")) == 1.0


def test_calls_before_and_after_do_not_count() -> None:
    assert seconds(line("CHAN_START", "01.000"), line("CHAN_END", "09.000")) == 0.0
    assert seconds(line("CHAN_START", "30.000")) == 0.0


def test_calls_add_up_and_operators_legs_are_none() -> None:
    assert (
        seconds(
            line("CHAN_START", "18.000"),
            line("CHAN_START", "19.000", "carrier-02"),
            line("CHAN_START", "15.000", "101-03"),
        )
        == 3.0
    )


def test_what_began_and_what_was_told_in_it() -> None:
    found = stretch(
        [
            line("CHAN_START", "01.000"),
            line("CHAN_START", "11.000", "carrier-02"),
            line("VERDICT", "09.000", name="VERDICT"),
            line("OFFERED", "12.000", name="OFFERED"),
            line("OFFERED", "13.000", name="OFFERED"),
        ],
        BEGIN,
        END,
        trunk="carrier",
    )
    assert found.started == 1
    assert found.facts == {"OFFERED": 2}


def test_a_report_warns_of_calls_that_went_past_the_filter() -> None:
    assert without_filter(Counter(OFFERED=9, VERDICT=9)) is None
    warning = without_filter(Counter(OFFERED=9, DEGRADED=2, RESCUED=1))
    assert warning is not None
    assert "2 DEGRADED, 1 RESCUED" in warning
