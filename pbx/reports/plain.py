"""A report for programs: one JSON object, its keys told in `docs/reports.md`.

Shares are percentages with two decimals, as they are printed; null where there is
nothing to divide by. Keys are never renamed; new ones may come. A change of meaning
raises `version`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pbx.model.call import Disposition
from pbx.model.category import Category
from pbx.model.evaluation import SCORES, Evaluation
from pbx.model.figures import Share
from pbx.model.report import Part, Report
from pbx.model.review import Kind, Review
from pbx.model.service_level import EU_WITHIN_SECONDS, YARDSTICKS, ServiceLevel
from pbx.model.spared import Spared
from pbx.model.waits import AnswerTimes, Yardstick
from pbx.model.workload import Operator
from pbx.reports.contents import Letterhead

VERSION = 1
MOST_TYPES = 50
MOST_HOURS = 24


def plain(report: Report, head: Letterhead) -> dict[str, Any]:
    """The report as JSON would hold it."""
    period, total = report.period, report.total()
    days = total.service.any_24_hours(period.begin, period.end)
    return {
        "version": VERSION,
        "city": head.city,
        "made_at": _time(head.made_at),
        "period": period.name,
        "begin": _time(period.begin),
        "end": _time(period.end),
        "timezone": period.zone.key,
        "unit": period.unit,
        "total": part_of(total),
        "parts": [part_of(part) for part in report.parts],
        "any_24_hours": {
            "kept": days.kept,
            "all": days.all,
            "worst_percent": _percent(days.worst),
            "worst_from": _time(days.worst_from),
        },
        "hours": {
            "busiest": [
                {"begin": hour.begin.isoformat(), "calls": hour.calls}
                for hour in report.workload.busiest(MOST_HOURS)
            ],
            "week": report.workload.week,
            "by_category": {c.value: n for c, n in report.workload.by_hour.items()},
        },
        "operators": plain_operators(report),
    }


def plain_operators(report: Report) -> list[dict[str, Any]]:
    """A row each, by number."""
    every = sorted(report.workload.operators.items())
    return [_operator(number, did) for number, did in every]


def part_of(part: Part) -> dict[str, Any]:
    """The sums of one part, or of the whole."""
    return {
        "name": part.span.name,
        "begin": _time(part.span.begin),
        "end": _time(part.span.end),
        **_evaluation(part.evaluation),
        "answer_times": _service(part.service),
        "yardsticks": {y.name: _yardstick(part.service, y) for y in YARDSTICKS},
        "eu": _eu(part),
        **_spared(part.spared),
    }


def _evaluation(told: Evaluation) -> dict[str, Any]:
    return {
        "calls": told.calls,
        "categories": {
            category.value: {
                "calls": told.categories[category],
                "percent": _percent(told.share(category)),
            }
            for category in Category
        },
        "classified": told.classified,
        "incomplete": told.incomplete,
        "dispositions": {d.value: told.dispositions[d] for d in Disposition},
        "rating": {
            "mean": None if told.rating is None else round(told.rating, 2),
            "answers": told.answers,
            "scores": {str(score): told.scores[score] for score in SCORES},
        },
        "report_types": [
            {"type": key, "calls": n} for key, n in told.top_types(MOST_TYPES)
        ],
    }


def _service(service: ServiceLevel) -> dict[str, Any]:
    return {
        "offered": _times(service.offered),
        "people": _times(service.people),
        "queued": _times(service.queued),
        "released": service.released,
        "left": service.left,
        "without_times": service.open_ended,
    }


def _times(times: AnswerTimes) -> dict[str, Any]:
    waits = times.answered
    return {
        "wanted": times.n,
        "answered": waits.n,
        "gave_up": times.gave_up.n,
        "lost": times.lost,
        "mean_seconds": _seconds(waits.mean_seconds),
        "median_seconds": _seconds(waits.quantile(0.5)),
        "p90_seconds": _seconds(waits.quantile(0.9)),
        "p95_seconds": _seconds(waits.quantile(0.95)),
        "longest_tenth_mean_seconds": _seconds(waits.mean_of_longest()),
        "longest_seconds": _seconds(waits.longest_ms / 1000) if waits.n else None,
    }


def _yardstick(service: ServiceLevel, yardstick: Yardstick) -> dict[str, Any]:
    level = service.offered.level(yardstick.within_seconds)
    people = service.people.level(yardstick.within_seconds)
    queued = service.queued.level(yardstick.within_seconds)
    return {
        "within_seconds": yardstick.within_seconds,
        "required_percent": _percent(yardstick.share),
        "percent": _percent(level.share),
        "kept": level.keeps(yardstick),
        "met": level.met,
        "missed": level.missed,
        "gave_up_within": level.neutral,
        "strict_percent": _percent(level.strict_share),
        "people_percent": _percent(people.share),
        "queued_percent": _percent(queued.share),
    }


def _eu(part: Part) -> dict[str, Any]:
    waits, told = part.service.offered.answered, part.evaluation
    false = told.categories[Category.GHOST] + told.categories[Category.PRANK]
    return {
        "mean_answer_seconds": _seconds(waits.mean_seconds),
        "within_10_s_percent": _percent(
            _ratio(waits.within(EU_WITHIN_SECONDS), waits.n)
        ),
        "longest_tenth_mean_seconds": _seconds(waits.mean_of_longest()),
        "abandoned_percent": _percent(part.service.abandon_rate),
        "false_calls_percent": _percent(_ratio(false, told.calls)),
    }


def _spared(told: Spared) -> dict[str, Any]:
    people = told.people_dropped
    return {
        "ghosts": {
            "calls": told.ghosts,
            "never_rang": told.never_rang,
            "never_rang_percent": _percent(_ratio(told.never_rang, told.ghosts)),
            "low_priority": told.low_priority,
            "connected": told.connected,
            "operator_seconds": told.ghost_ms / 1000,
        },
        "drops": {
            "calls": told.drops,
            "kinds": {kind.value: told.kinds[kind] for kind in Kind},
            "reviewed": told.reviewed,
            "marks": {mark.value: told.reviews[mark] for mark in Review},
            "people_among_reviewed": _share(told.people_reviewed),
        },
        "holdout": {
            "known": told.tried,
            "unknown": told.untried,
            "people": _share(told.people_tried),
            "people_dropped": None
            if people is None
            else {
                "estimate": round(people[0], 1),
                "low": round(people[1], 1),
                "high": round(people[2], 1),
            },
        },
        "people_calls": told.genuine,
    }


def _operator(number: str, did: Operator) -> dict[str, Any]:
    return {
        "operator": number,
        "rung": did.rung,
        "answered": did.answered,
        "missed": did.missed,
        "ring_seconds": did.ring_ms / 1000,
        "talk_seconds": did.talk_ms / 1000,
        "hold_seconds": did.hold_ms / 1000,
        "wrap_up_seconds": did.wrap_up_ms / 1000,
        "hours_rung": len(did.hours),
        "occupancy_percent": _percent(did.occupancy),
    }


def _share(share: Share) -> Mapping[str, Any]:
    low, high = share.interval
    return {
        "k": share.k,
        "n": share.n,
        "percent": _percent(_ratio(share.k, share.n)),
        "low_percent": _percent(low),
        "high_percent": _percent(high),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _time(at: datetime | None) -> str | None:
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
