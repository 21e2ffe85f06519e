"""The control room's picture as JSON and as Prometheus figures. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pbx.control.room import Mood, Room, mood, stage_of
from pbx.model.city import City, Queue
from pbx.model.review import Review
from pbx.records.reviews import FilterPicture

if TYPE_CHECKING:
    from prometheus_client.core import Metric


@dataclass(frozen=True, slots=True)
class Moment:
    """All that one picture needs; `now` monotonic, `wall` UTC."""

    room: Room
    city: City
    now: float
    wall: datetime
    counters: dict[str, int]
    """Totals since this process began: rescued_calls, witness_dropped, …"""
    gauges: dict[str, float]
    """Levels now: witness_unstored, …"""
    alarms: dict[str, dict[str, str]]
    filter: FilterPicture = field(default_factory=FilterPicture)


def describe(moment: Moment) -> dict[str, Any]:
    """What `/status` says."""
    room, city = moment.room, moment.city
    trunks = {trunk.name for trunk in city.trunks}
    return {
        "at": moment.wall.isoformat(timespec="milliseconds"),
        "city": city.city.name,
        "link": {
            "up": room.is_linked,
            "why_down": None if room.is_linked else room.why_down,
            "asterisk_booted_at": room.booted_at and room.booted_at.isoformat(),
        },
        "alarms": moment.alarms,
        "calls": [
            {
                "call_id": call.uniqueid,
                "stage": stage_of(call.context)[0].value,
                "place": stage_of(call.context)[1],
                "application": call.application,
                "seconds": call.duration_seconds,
            }
            for call in room.calls(trunks)
        ],
        "queues": [_queue(moment, queue) for queue in city.queues],
        "operators": _operators(moment),
        "filter": {
            "released_last_hour": moment.filter.released,
            "verdicts_last_hour": dict(moment.filter.verdicts),
            "drops_by_review": dict(moment.filter.reviews),
            "people_dropped": list(moment.filter.people_dropped),
        },
        "counters": moment.counters,
        "gauges": moment.gauges,
    }


def _queue(moment: Moment, queue: Queue) -> dict[str, Any]:
    waiting = moment.room.waiting_in(queue.name)
    return {
        "name": queue.name,
        "title": queue.title,
        "waiting": len(waiting),
        "longest_wait_seconds": _longest(moment, queue.name),
        "operators": dict(Counter(m.value for m in _moods(moment, queue))),
    }


def _longest(moment: Moment, queue: str) -> float:
    waiting = moment.room.waiting_in(queue)
    return round(moment.now - waiting[0].since, 1) if waiting else 0.0


def _moods(moment: Moment, queue: Queue) -> list[Mood]:
    return [
        mood(member, queue.wrapup_seconds, moment.wall)
        for member in moment.room.members_of(queue.name)
    ]


def _operators(moment: Moment) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for operator in moment.city.operators:
        states: list[str] = []
        queues: list[str] = []
        for queue in moment.city.queues:
            for member in moment.room.members_of(queue.name):
                if member.interface == f"PJSIP/{operator.number}":
                    queues.append(queue.name)
                    states.append(mood(member, queue.wrapup_seconds, moment.wall).value)
        found.append(
            {
                "number": operator.number,
                "name": operator.name,
                "state": states[0] if states else "in no queue",
                "queues": queues,
                "contact": moment.room.contacts.get(operator.number),
            }
        )
    return found


def figures(moment: Moment) -> Iterator[Metric]:
    """What `/metrics` says."""
    room, city = moment.room, moment.city
    trunks = {trunk.name for trunk in city.trunks}
    yield GaugeMetricFamily(
        "gerbang_manager_link_up",
        "1 while the manager link to Asterisk stands",
        value=float(room.is_linked),
    )
    if room.booted_at:
        yield GaugeMetricFamily(
            "gerbang_asterisk_start_time_seconds",
            "When Asterisk started, seconds since 1970",
            value=room.booted_at.timestamp(),
        )
    calls = GaugeMetricFamily("gerbang_calls", "Citizens' calls now", labels=["stage"])
    stages = Counter(stage_of(c.context)[0].value for c in room.calls(trunks))
    for stage, count in stages.items():
        calls.add_metric([stage], count)
    yield calls
    yield from _queue_figures(moment)
    yield from _filter_figures(moment.filter)
    alarms = GaugeMetricFamily("gerbang_alarm", "Standing alarms", labels=["alarm"])
    for name in moment.alarms:
        alarms.add_metric([name], 1)
    yield alarms
    for name, value in moment.gauges.items():
        yield GaugeMetricFamily(f"gerbang_{name}", name.replace("_", " "), value=value)
    for name, count in moment.counters.items():
        yield CounterMetricFamily(
            f"gerbang_{name}", name.replace("_", " "), value=count
        )


def _filter_figures(filter_: FilterPicture) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "gerbang_filter_released_last_hour",
        "Callers the filter dropped within the last hour",
        value=filter_.released,
    )
    verdicts = GaugeMetricFamily(
        "gerbang_filter_verdicts_last_hour",
        "Verdicts within the last hour",
        labels=["ruling", "reason"],
    )
    for name, count in filter_.verdicts.items():
        ruling, _, reason = name.partition("/")
        verdicts.add_metric([ruling, reason], count)
    yield verdicts
    marks = GaugeMetricFamily(
        "gerbang_filter_drops", "Drops on the review list, by mark", labels=["review"]
    )
    for review in Review:
        marks.add_metric([review.value], filter_.reviews.get(review.value, 0))
    yield marks


def _queue_figures(moment: Moment) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "gerbang_queue_waiting", "Callers waiting", labels=["queue"]
    )
    longest = GaugeMetricFamily(
        "gerbang_queue_longest_wait_seconds",
        "How long the first has waited",
        labels=["queue"],
    )
    operators = GaugeMetricFamily(
        "gerbang_queue_operators", "Operators by state", labels=["queue", "state"]
    )
    for queue in moment.city.queues:
        waiting.add_metric([queue.name], len(moment.room.waiting_in(queue.name)))
        longest.add_metric([queue.name], _longest(moment, queue.name))
        moods = Counter(_moods(moment, queue))
        for state in Mood:
            operators.add_metric([queue.name, state.value], moods[state])
    yield from (waiting, longest, operators)


class Figures(Collector):
    """Hands the picture of the moment to prometheus-client at each scrape."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def collect(self) -> Iterator[Metric]:
        """Called by `generate_latest`."""
        yield from figures(self._moment)
