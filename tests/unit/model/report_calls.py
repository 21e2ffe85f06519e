"""Calls for reports, and reports reckoned the slow way: lists, nothing clever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from pbx.model.call import Disposition, RingOutcome
from pbx.model.category import Category
from pbx.model.reported import Rang, ReportedCall
from pbx.model.review import Kind, Review

JAKARTA = ZoneInfo("Asia/Jakarta")
OCTOBER = datetime(2025, 9, 30, 17, 0, tzinfo=UTC)
"""The first moment of October in Kediri."""
DAYS = 31

_ms = st.integers(0, 45_000)
_long_ms = st.one_of(_ms, st.sampled_from([5_000, 5_001, 15_000, 20_000, 20_001]))

_dispositions = st.one_of(st.just(Disposition.CONNECTED), st.sampled_from(Disposition))


@st.composite
def reported_calls(draw: st.DrawFn) -> ReportedCall:
    """Any call of October 2025, consistent in itself."""
    began_ms = draw(
        st.one_of(
            st.integers(0, DAYS * 86_400_000 - 1),
            st.integers(0, 2 * DAYS * 48).map(lambda slot: slot * 900_000),
        ).filter(lambda ms: ms < DAYS * 86_400_000)
    )
    start = OCTOBER + timedelta(milliseconds=began_ms)
    disposition = draw(_dispositions)
    in_filter, wait, talk = draw(_ms), draw(_long_ms), draw(_ms)
    was_queued = disposition in (Disposition.CONNECTED, Disposition.ABANDONED)
    queued_at = start + timedelta(milliseconds=in_filter) if was_queued else None
    until = (queued_at or start) + timedelta(milliseconds=wait)
    is_connected = disposition is Disposition.CONNECTED
    return ReportedCall(
        started_at=start,
        disposition=disposition,
        category=draw(st.sampled_from(Category)),
        is_classified=draw(st.booleans()),
        type=draw(st.sampled_from([None, "fire", "Ambulans", "odgj", "x", "y"])),
        score=draw(st.sampled_from([None, None, 0, 1, 2, 3, 4, 5, 6])),
        is_incomplete=draw(st.booleans()),
        queued_at=queued_at,
        connected_at=until if is_connected else None,
        ended_at=until + timedelta(milliseconds=talk * is_connected),
        wait_seconds=wait / 1000 if was_queued else None,
        talk_seconds=talk / 1000 if is_connected else None,
        hold_seconds=talk / 2000 if is_connected else None,
        wrap_up_seconds=draw(st.sampled_from([None, 5.0])),
        operator=draw(st.sampled_from(["101", "102"])) if is_connected else None,
        rings=tuple(
            Rang(operator, 2.5, draw(st.sampled_from(RingOutcome)))
            for operator in draw(st.lists(st.sampled_from(["101", "103"]), max_size=2))
        ),
        is_low_priority=draw(st.booleans()),
        kind=draw(st.sampled_from([None, *Kind])),
        review=draw(st.sampled_from(Review)),
    )


def seconds(call: ReportedCall, until: datetime | None) -> float:
    assert until is not None
    return (until - call.started_at).total_seconds()


@dataclass(frozen=True)
class Slow:
    """Everything a report says, by going through all calls again for each figure."""

    calls: Sequence[ReportedCall]

    def n(self, holds: Callable[[ReportedCall], Any]) -> int:
        return len([call for call in self.calls if holds(call)])

    def of(self, disposition: Disposition) -> list[ReportedCall]:
        return [call for call in self.calls if call.disposition is disposition]

    def offered(self) -> tuple[list[float], list[float], int]:
        """Waits of the answered, of those who gave up, and how many were lost."""
        answered = [
            seconds(call, call.connected_at) for call in self.of(Disposition.CONNECTED)
        ]
        gave_up = [
            seconds(call, call.ended_at) for call in self.of(Disposition.ABANDONED)
        ]
        return answered, gave_up, len(self.of(Disposition.LOST))

    def level(self, limit: float) -> tuple[int, int, int]:
        answered, gave_up, lost = self.offered()
        met = len([wait for wait in answered if wait <= limit])
        late = len([wait for wait in answered if wait > limit])
        late += len([wait for wait in gave_up if wait > limit]) + lost
        return met, late, len([wait for wait in gave_up if wait <= limit])

    def mean_of_longest_tenth(self) -> float | None:
        waits = sorted(self.offered()[0], reverse=True)
        longest = waits[: (len(waits) + 9) // 10]
        return sum(longest) / len(longest) if longest else None

    def any_24_hours(self) -> list[tuple[datetime, float]]:
        """Each 24 hours within October, a quarter apart: when it began, its share."""
        found = []
        for quarter in range(DAYS * 96 - 95):
            begin = OCTOBER + timedelta(minutes=15 * quarter)
            end = begin + timedelta(days=1)
            inside = Slow([c for c in self.calls if begin <= c.started_at < end])
            met, late, _ = inside.level(5)
            if met + late:
                found.append((begin, met / (met + late)))
        return found

    def by_hour(self) -> Counter[datetime]:
        return Counter(
            call.started_at.astimezone(JAKARTA).replace(
                minute=0, second=0, microsecond=0
            )
            for call in self.calls
        )
