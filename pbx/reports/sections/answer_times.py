"""Answer times: yardsticks, the European indicators, and a row a part."""

from __future__ import annotations

from pbx.model.category import Category
from pbx.model.report import Part, Report
from pbx.model.service_level import (
    EU_WITHIN_SECONDS,
    LIMITS,
    OFCOM,
    YARDSTICKS,
    Days,
)
from pbx.model.waits import Yardstick
from pbx.reports import plots
from pbx.reports.document import Column, Note, Row, Section, Table
from pbx.reports.language import Language
from pbx.reports.sections.common import columns, label_of, pairs


def answer_times(report: Report, total: Part, lang: Language) -> Section:
    """Everything about waiting."""
    service = total.service
    note = lang.say(
        "clock-note",
        released=lang.count(service.released),
        left=lang.count(service.left),
    )
    return Section(
        lang.say("answer-times"),
        [
            _yardsticks(report, total, lang),
            plots.curve(total, lang),
            Note(note),
            _eu(total, lang),
            _by_part(report, total, lang),
        ],
    )


def _yardsticks(report: Report, total: Part, lang: Language) -> Table:
    rows = [_yardstick(total, yardstick, lang) for yardstick in YARDSTICKS]
    period = report.period
    days = total.service.any_24_hours(period.begin, period.end)
    if days.all:
        rows.append(_any_day(days, report, lang))
    heads = columns(
        lang, "yardstick", "required", "reached", "kept-head", "counted", "strict",
        "people", "in-queue",
    )  # fmt: skip
    return Table(heads, rows)


def _yardstick(total: Part, yardstick: Yardstick, lang: Language) -> Row:
    level = total.service.offered.level(yardstick.within_seconds)
    people = total.service.people.level(yardstick.within_seconds)
    in_queue = total.service.queued.level(yardstick.within_seconds)
    is_kept = level.keeps(yardstick)
    return Row(
        [
            lang.say(yardstick.name),
            lang.percent(yardstick.share, 0),
            lang.percent(level.share),
            "–" if is_kept is None else lang.say("yes" if is_kept else "no"),
            lang.count(level.counted),
            lang.percent(level.strict_share),
            lang.percent(people.share),
            lang.percent(in_queue.share),
        ],
        is_good=is_kept,
    )


def _any_day(days: Days, report: Report, lang: Language) -> Row:
    """Ofcom's any 24 hours: how many of them, and the worst."""
    at = days.worst_from
    is_kept = days.kept == days.all
    worst = lang.say(
        "worst",
        share=lang.percent(days.worst, 0),
        at="" if at is None else lang.moment(at.astimezone(report.period.zone)),
    )
    return Row(
        [
            f"{lang.say('ofcom-days')}; {worst}",
            lang.percent(OFCOM.share, 0),
            lang.percent(days.kept / days.all),
            lang.say("yes" if is_kept else "no"),
            lang.count(days.all),
            "",
            "",
            "",
        ],
        is_good=is_kept,
    )


def _eu(total: Part, lang: Language) -> Table:
    waits, told = total.service.offered.answered, total.evaluation
    within = waits.within(EU_WITHIN_SECONDS) / waits.n if waits.n else None
    false = told.categories[Category.GHOST] + told.categories[Category.PRANK]
    rows = [
        (lang.say("mean-answer"), lang.seconds(waits.mean_seconds)),
        (lang.say("within-10"), lang.percent(within)),
        (lang.say("longest-tenth"), lang.seconds(waits.mean_of_longest())),
        (lang.say("abandon-rate"), lang.percent(total.service.abandon_rate)),
        (
            lang.say("false-calls"),
            lang.percent(false / told.calls if told.calls else None),
        ),
    ]
    return pairs(lang, rows, lang.say("eu"))


def _by_part(report: Report, total: Part, lang: Language) -> Table:
    heads = [
        Column(lang.say(report.period.unit), False),
        Column(lang.say("put-through")),
    ]
    heads += [Column(f"≤ {lang.say('seconds', n=limit)}") for limit in LIMITS]
    keys = ("mean", "median", "p95", "longest-tenth-head", "longest", "gave-up")
    heads += [Column(lang.say(key)) for key in (*keys, "lost-head")]
    rows = [_times(part, label_of(part, report, lang), lang) for part in report.parts]
    rows.append(_times(total, lang.say("total"), lang, is_total=True))
    return Table(heads, rows, lang.say("by-part"))


def _times(part: Part, label: str, lang: Language, *, is_total: bool = False) -> Row:
    times = part.service.offered
    waits = times.answered
    cells = [label, lang.count(times.n)]
    for limit in LIMITS:
        share = times.level(limit).share
        cells.append(lang.decimal(None if share is None else 100 * share, 1))
    longest = waits.longest_ms / 1000 if waits.n else None
    for seconds in (
        waits.mean_seconds,
        waits.quantile(0.5),
        waits.quantile(0.95),
        waits.mean_of_longest(),
        longest,
    ):
        cells.append(lang.decimal(seconds, 1))
    cells += [lang.count(times.gave_up.n), lang.count(times.lost)]
    return Row(cells, is_total)
