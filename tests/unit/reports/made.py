"""A small city's October, to print reports of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pbx.model.call import Disposition, RingOutcome
from pbx.model.category import Category
from pbx.model.period import read_period
from pbx.model.report import Report
from pbx.model.reported import Rang, ReportedCall
from pbx.model.review import Kind, Review
from pbx.reports.contents import Letterhead

JAKARTA = ZoneInfo("Asia/Jakarta")
BEGIN = datetime(2025, 9, 30, 17, 0, tzinfo=UTC)
HEAD = Letterhead("Kediri", datetime(2025, 11, 1, 1, 30, tzinfo=UTC))


def ghost(hour: float, **told: Any) -> ReportedCall:
    given: dict[str, Any] = {
        "started_at": BEGIN + timedelta(hours=hour),
        "disposition": Disposition.RELEASED,
        "category": Category.GHOST,
        "ended_at": BEGIN + timedelta(hours=hour, seconds=20),
        "kind": Kind.RELEASED,
    }
    return ReportedCall(**(given | told))


def talked(hour: float, category: Category, **told: Any) -> ReportedCall:
    start = BEGIN + timedelta(hours=hour)
    given: dict[str, Any] = {
        "started_at": start,
        "disposition": Disposition.CONNECTED,
        "category": category,
        "is_classified": True,
        "queued_at": start + timedelta(seconds=3),
        "connected_at": start + timedelta(seconds=8),
        "ended_at": start + timedelta(seconds=98),
        "wait_seconds": 5.0,
        "talk_seconds": 90.0,
        "hold_seconds": 10.0,
        "wrap_up_seconds": 5.0,
        "operator": "101",
        "rings": (
            Rang("102", 12.0, RingOutcome.NO_ANSWER),
            Rang("101", 3.0, RingOutcome.ANSWERED),
        ),
    }
    return ReportedCall(**(given | told))


def october() -> Report:
    """Of every kind something."""
    told = report("2025-10")
    for i in range(30):
        told.add(
            ghost(i * 20 + 1, review=Review.NOBODY if i < 4 else Review.UNREVIEWED)
        )
    for i in range(6):
        told.add(talked(i * 50 + 9, Category.PRANK))
        told.add(talked(i * 60 + 15, Category.VALID, type="Ambulans", score=5))
    told.add(talked(20, Category.VALID, type="Pak Budi", score=4))
    told.add(talked(21, Category.INFORMATION, is_incomplete=True))
    told.add(ghost(30, disposition=Disposition.LOST, category=Category.UNCLASSIFIED))
    told.add(
        talked(
            31,
            Category.GHOST,
            kind=Kind.HOLDOUT,
            is_low_priority=True,
            talk_seconds=4.0,
        )
    )
    told.add(
        talked(
            40,
            Category.UNCLASSIFIED,
            disposition=Disposition.ABANDONED,
            is_classified=False,
            connected_at=None,
            operator=None,
            talk_seconds=None,
        )
    )
    return told


def report(period: str) -> Report:
    """One without any call."""
    return Report.of(read_period(period, JAKARTA))
