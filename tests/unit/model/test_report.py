"""Reports: the sums, against the same reckoned slowly; parts, wholes and borders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.model.call import Disposition, RingOutcome
from pbx.model.category import Category
from pbx.model.evaluation import MOST_TYPES, Evaluation
from pbx.model.intervals import clopper_pearson
from pbx.model.period import PeriodError, read_period
from pbx.model.report import Report
from pbx.model.report_types import NONE, OTHER, key_of, name_of
from pbx.model.reported import Rang, ReportedCall
from pbx.model.review import Kind, Review
from pbx.model.service_level import NENA_15, OFCOM
from pbx.model.spared import Spared
from pbx.model.waits import Level, Waits
from pbx.model.workload import Operator
from tests.unit.model.report_calls import JAKARTA, OCTOBER, Slow, reported_calls

PERIOD = read_period("2025-10", JAKARTA)
many_calls = st.lists(reported_calls(), max_size=40)
some = settings(max_examples=40, deadline=None)


def report(calls: Iterable[ReportedCall]) -> Report:
    told = Report.of(PERIOD)
    for call in calls:
        told.add(call)
    return told


def call(minutes: float = 0, **told: Any) -> ReportedCall:
    start = OCTOBER + timedelta(minutes=minutes)
    given: dict[str, Any] = {
        "started_at": start,
        "disposition": Disposition.CONNECTED,
        "category": Category.VALID,
        "is_classified": True,
        "queued_at": start + timedelta(seconds=2),
        "connected_at": start + timedelta(seconds=6),
        "ended_at": start + timedelta(seconds=66),
        "wait_seconds": 4.0,
        "talk_seconds": 60.0,
        "operator": "101",
        "rings": (Rang("101", 3.0, RingOutcome.ANSWERED),),
    }
    return ReportedCall(**(given | told))


# ---- against the slow way -----------------------------------------------------------


@some
@given(many_calls)
def test_the_evaluation(calls: list[ReportedCall]) -> None:
    told, slow = report(calls).total().evaluation, Slow(calls)
    assert told.calls == len(calls)
    for category in Category:
        n = slow.n(lambda c, one=category: c.category is one)
        assert told.categories[category] == n
        assert told.share(category) == (n / len(calls) if calls else None)
    for disposition in Disposition:
        assert told.dispositions[disposition] == len(slow.of(disposition))
    scores = [c.score for c in calls if c.score is not None and 1 <= c.score <= 5]
    assert told.answers == len(scores)
    assert told.rating == (sum(scores) / len(scores) if scores else None)
    assert told.classified == slow.n(lambda c: c.is_classified)
    assert told.incomplete == slow.n(lambda c: c.is_incomplete)
    kinds = Counter(key_of(c.type) for c in calls if c.category is Category.VALID)
    assert told.types == kinds
    assert sum(n for _, n in told.top_types(3)) == kinds.total()


@some
@given(many_calls, st.sampled_from([5, 10, 15, 20]))
def test_answer_times(calls: list[ReportedCall], limit: int) -> None:
    told, slow = report(calls).total().service, Slow(calls)
    answered, gave_up, lost = slow.offered()
    level = told.offered.level(limit)
    assert (level.met, level.missed, level.neutral) == slow.level(limit)
    waits = told.offered.answered
    assert waits.n == len(answered)
    if answered:
        assert waits.mean_seconds == pytest.approx(sum(answered) / len(answered))
        assert waits.longest_ms == round(max(answered) * 1000)
        longest = slow.mean_of_longest_tenth()
        assert waits.mean_of_longest() == pytest.approx(longest, abs=0.1)
        middle = sorted(answered)[(len(answered) - 1) // 2]
        found = waits.quantile(0.5)
        assert found is not None
        assert middle <= found + 1e-9 < middle + 0.1 + 1e-6
    people = Slow([c for c in calls if c.category is not Category.GHOST])
    level = told.people.level(limit)
    assert (level.met, level.missed, level.neutral) == people.level(limit)
    presented = len(answered) + len(gave_up) + lost
    presented += len(slow.of(Disposition.RELEASED)) + len(slow.of(Disposition.LEFT))
    gone = len(gave_up) + len(slow.of(Disposition.LEFT))
    assert told.abandon_rate == (gone / presented if presented else None)
    in_queue = [c.wait_seconds for c in slow.of(Disposition.CONNECTED)]
    assert told.queued.answered.within(limit) == len(
        [wait for wait in in_queue if wait is not None and wait <= limit]
    )


@some
@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=150))
def test_the_longest_tenth(lengths_ms: list[int]) -> None:
    waits = Waits()
    for ms in lengths_ms:
        waits.add(ms / 1000)
    longest = sorted(lengths_ms, reverse=True)[: -(-len(lengths_ms) // 10)]
    told = waits.mean_of_longest()
    assert told == pytest.approx(sum(longest) / len(longest) / 1000, abs=0.1)


def test_the_longest_tenth_of_forty() -> None:
    waits = Waits()
    for seconds in [1.0] * 36 + [10.0, 20.0, 30.0, 40.0]:
        waits.add(seconds)
    assert waits.mean_of_longest() == 25.0
    assert waits.quantile(0.9) == 1.0
    assert waits.quantile(0.95) == 20.0


@settings(max_examples=12, deadline=None)
@given(st.lists(reported_calls(), max_size=12))
def test_any_24_hours(calls: list[ReportedCall]) -> None:
    service = report(calls).total().service
    told = service.any_24_hours(PERIOD.begin, PERIOD.end)
    slow = Slow(calls).any_24_hours()
    assert told.all == len(slow)
    assert told.kept == len([share for _, share in slow if share >= 0.95])
    assert told.worst == min((share for _, share in slow), default=None)
    if slow:
        assert told.worst_from == min(slow, key=lambda one: one[1])[0]


@some
@given(many_calls)
def test_ghosts_and_drops(calls: list[ReportedCall]) -> None:
    told, slow = report(calls).total().spared, Slow(calls)
    ghosts = [c for c in calls if c.category is Category.GHOST]
    drops = [c for c in calls if c.kind in (Kind.RELEASED, Kind.LEFT)]
    marks = Counter(c.review for c in drops)
    tried = [
        c
        for c in calls
        if c.kind in (Kind.HOLDOUT, Kind.SHADOW)
        and (
            c.is_classified
            or c.disposition is Disposition.CONNECTED
            or c.review in (Review.PERSON, Review.NOBODY)
        )
    ]
    people = [c for c in tried if c.is_person or c.review is Review.PERSON]
    assert told.kept_away.k == len([c for c in ghosts if not c.rings])
    assert told.kept_away.n == told.ghosts == len(ghosts)
    assert told.low_priority == len([c for c in ghosts if c.is_low_priority])
    assert told.connected == len([c for c in ghosts if c.connected_at])
    assert told.ghost_ms == sum(round((c.talk_seconds or 0) * 1000) for c in ghosts)
    assert told.drops == len(drops)
    assert told.reviewed == len(drops) - marks[Review.UNREVIEWED]
    assert told.people_reviewed.k == marks[Review.PERSON]
    assert told.people_reviewed.n == marks[Review.PERSON] + marks[Review.NOBODY]
    assert (told.people, told.tried) == (len(people), len(tried))
    assert told.genuine == slow.n(lambda c: c.is_person)
    if tried:
        low, high = clopper_pearson(len(people), len(tried))
        expected = (len(people) / len(tried), low, high)
        assert told.people_dropped == pytest.approx([s * len(drops) for s in expected])
    else:
        assert told.people_dropped is None


@some
@given(many_calls)
def test_hours_and_operators(calls: list[ReportedCall]) -> None:
    told, slow = report(calls).workload, Slow(calls)
    by_hour = slow.by_hour()
    assert {hour.begin: hour.calls for hour in told.busiest(10_000)} == by_hour
    assert [hour.calls for hour in told.busiest(3)] == [
        n for _, n in by_hour.most_common(3)
    ]
    for c in calls:
        local = c.started_at.astimezone(JAKARTA)
        assert told.week[local.weekday()][local.hour] > 0
    assert sum(map(sum, told.week)) == len(calls)
    assert sum(map(sum, told.by_hour.values())) == len(calls)
    for number, did in told.operators.items():
        rings = [r for c in calls for r in c.rings if r.operator == number]
        talked = [c for c in calls if c.operator == number]
        assert did.rung == len(rings)
        assert did.answered == len(
            [r for r in rings if r.outcome is RingOutcome.ANSWERED]
        )
        busy = sum(r.seconds for r in rings) + sum(
            (c.talk_seconds or 0) + (c.wrap_up_seconds or 0) for c in talked
        )
        assert did.busy_seconds == pytest.approx(busy)
        hours = {
            c.started_at.astimezone(JAKARTA).replace(minute=0, second=0, microsecond=0)
            for c in calls
            if c.operator == number or any(r.operator == number for r in c.rings)
        }
        assert did.occupancy == pytest.approx(busy / (len(hours) * 3600))


@some
@given(many_calls, st.integers(0, 40), st.randoms(use_true_random=False))
def test_sums_of_parts_are_the_sum(
    calls: list[ReportedCall], cut: int, chance: Any
) -> None:
    whole, one = report(calls), report(calls[:cut])
    one.merge(report(calls[cut:]))
    shuffled = list(calls)
    chance.shuffle(shuffled)
    assert _plain(one) == _plain(whole) == _plain(report(shuffled))


def _plain(told: Report) -> Sequence[Any]:
    """Without counts of zero, which an addition may leave behind or not."""
    total = told.total()
    return (
        total.service,
        total.evaluation.calls,
        +total.evaluation.categories,
        +total.evaluation.types,
        total.spared.people_dropped,
        +total.spared.kinds,
        +total.spared.reviews,
        told.workload,
        [part.evaluation.calls for part in told.parts],
    )


# ---- what the words mean ------------------------------------------------------------


def test_kediris_seven_months() -> None:
    told = Evaluation()
    told.calls = 86_161
    told.categories.update(
        {
            Category.GHOST: 65_024,
            Category.PRANK: 18_557,
            Category.INFORMATION: 2_084,
            Category.VALID: 496,
        }
    )
    shares = [f"{told.share(category) or 0:.2%}" for category in list(Category)[:4]]
    assert shares == ["75.47%", "21.54%", "2.42%", "0.58%"]


def test_who_gives_up_early_counts_neither_way() -> None:
    early = call(
        disposition=Disposition.ABANDONED,
        connected_at=None,
        ended_at=OCTOBER + timedelta(seconds=15),
    )
    late = call(
        disposition=Disposition.ABANDONED,
        connected_at=None,
        ended_at=OCTOBER + timedelta(seconds=15, milliseconds=1),
    )
    level = report([call(), early, late]).total().service.offered.level(15)
    assert level == Level(met=1, missed=1, neutral=1)
    assert level.share == 0.5
    assert level.strict_share == pytest.approx(1 / 3)
    assert level.keeps(NENA_15) is False


def test_nothing_to_judge_by_is_neither_kept_nor_missed() -> None:
    level = Level(0, 0, 0)
    assert (level.share, level.strict_share, level.keeps(OFCOM)) == (None, None, None)
    waits = Waits()
    assert (waits.mean_seconds, waits.mean_of_longest(), waits.quantile(0.5)) == (
        None,
        None,
        None,
    )
    assert Operator().occupancy is None
    assert Spared().people_dropped is None


def test_a_lost_call_is_always_a_miss() -> None:
    lost = call(
        disposition=Disposition.LOST, connected_at=None, ended_at=OCTOBER, operator=None
    )
    service = report([lost]).total().service
    assert service.offered.level(20) == Level(0, 1, 0)
    [slot] = service.slots.values()
    assert slot.level(0) == Level(0, 1, 0)


@pytest.mark.parametrize(
    "told",
    [
        {"connected_at": None},
        {"disposition": Disposition.ABANDONED, "ended_at": None},
        {"disposition": Disposition.OFFERED},
    ],
)
def test_a_record_that_lacks_its_times_makes_no_wait(told: dict[str, Any]) -> None:
    service = report([call(**told)]).total().service
    assert service.open_ended == 1
    assert service.offered.n == 0


def test_a_call_that_never_queued_has_no_wait_in_the_queue() -> None:
    told = {"queued_at": None, "wait_seconds": None}
    gave_up = {"disposition": Disposition.ABANDONED, "connected_at": None}
    service = report([call(**told), call(**told, **gave_up)]).total().service
    assert service.offered.n == 2
    assert service.queued.n == 0


def test_a_clock_set_back_makes_no_negative_wait() -> None:
    before = OCTOBER - timedelta(seconds=3)
    service = report([call(connected_at=before)]).total().service
    assert service.offered.answered.longest_ms == 0


def test_calls_outside_the_period_are_refused() -> None:
    with pytest.raises(PeriodError, match="does not lie in 2025-10"):
        report([call(minutes=-1)])


# ---- kinds of report ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("Ambulance", "ambulance"),
        ("ambulance_requests", "ambulance"),
        ("  Laka   Lantas ", "traffic-accident"),
        ("fires", "fire"),
        (None, NONE),
        ("", NONE),
        ("kucing di pohon", "kucing di pohon"),
        ("0812-3456-7890", OTHER),
        ("rumah pak 081234567890 ular", OTHER),
        ("kucing 2 ekor", OTHER),
        ("=HYPERLINK(evil)", OTHER),
        ("x" * 41, OTHER),
        ("erased", NONE),
    ],
)
def test_one_key_for_one_kind(said: str | None, key: str) -> None:
    assert key_of(said) == key


def test_kinds_have_names_in_both_languages() -> None:
    assert name_of("ambulance", "id") == "permintaan ambulans"
    assert name_of("ambulance", "en") == "ambulance requests"
    assert name_of("kucing di pohon", "id") == "kucing di pohon"


def test_a_word_of_one_operator_is_not_printed() -> None:
    told = Evaluation()
    for said in ["fire", "Pak Budi", "Pak Budi", "kucing", "kucing", "kucing"]:
        told.add(call(type=said))
    assert told.top_types(10) == [("kucing", 3), ("fire", 1), (OTHER, 2)]
    assert told.top_types(1) == [("kucing", 3), (OTHER, 3)]


def test_free_words_have_an_end() -> None:
    told = Evaluation()
    for i in range(MOST_TYPES + 5):
        told.add(call(type=f"a {chr(0x4E00 + i)}"))
    told.add(call(type="fire"))
    assert len(told.types) == MOST_TYPES + 2
    assert told.types[OTHER] == 5
