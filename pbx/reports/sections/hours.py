"""When calls come, and what operators did."""

from __future__ import annotations

from pbx.model.report import Report
from pbx.reports import plots
from pbx.reports.document import Block, Note, Row, Section, Table
from pbx.reports.language import Language
from pbx.reports.sections.common import columns

MOST_HOURS = 5


def hours(report: Report, lang: Language) -> Section:
    """Busy hours, by weekday and by class."""
    rows = [
        Row([lang.moment(hour.begin), lang.count(hour.calls)])
        for hour in report.workload.busiest(MOST_HOURS)
    ]
    blocks: list[Block] = [
        plots.week(report, lang),
        plots.calls_by_hour(report, lang),
        Table(columns(lang, "begin", "calls"), rows, lang.say("busiest")),
    ]
    return Section(lang.say("hours"), blocks)


def operators(report: Report, lang: Language) -> Section:
    """A row each; by number, never by name."""
    told = sorted(report.workload.operators.items())
    if not told:
        return Section(lang.say("operators"), [Note(lang.say("no-operators"))])
    rows = [
        Row(
            [
                number,
                lang.count(did.rung),
                lang.count(did.answered),
                lang.count(did.missed),
                lang.duration(did.ring_ms / 1000),
                lang.duration(did.talk_ms / 1000),
                lang.duration(did.hold_ms / 1000),
                lang.duration(did.wrap_up_ms / 1000),
                lang.percent(did.occupancy, 1),
            ]
        )
        for number, did in told
    ]
    heads = columns(
        lang, "operator", "rung", "answered-head", "missed-head", "ring", "talk",
        "hold", "wrap-up", "occupancy",
    )  # fmt: skip
    note = Note(lang.say("operators-note"))
    return Section(lang.say("operators"), [Table(heads, rows), note])
