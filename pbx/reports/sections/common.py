"""What the sections share."""

from __future__ import annotations

from collections.abc import Sequence

from pbx.model.figures import Share
from pbx.model.report import Part, Report
from pbx.reports.document import Column, Row, Table
from pbx.reports.language import Language


def label_of(part: Part, report: Report, lang: Language) -> str:
    """How a part is called in tables: a month, a day, or an hour."""
    at = part.span.begin.astimezone(report.period.zone)
    match report.period.unit:
        case "month":
            return lang.month(at)
        case "day":
            return lang.day(at)
        case _:
            return f"{at:%H:%M}" + ("*" if at.fold else "")


def short_label_of(part: Part, report: Report, lang: Language) -> str:
    """The same below a column of a plot."""
    at = part.span.begin.astimezone(report.period.zone)
    match report.period.unit:
        case "month":
            return lang.short_month(at)
        case "day":
            return str(at.day)
        case _:
            return f"{at:%H}"


def columns(lang: Language, *keys: str) -> list[Column]:
    """Columns by their words' keys, the first of them text."""
    return [Column(lang.say(key), i > 0) for i, key in enumerate(keys)]


def pairs(lang: Language, rows: Sequence[tuple[str, str]], title: str = "") -> Table:
    """Figures one below the other."""
    return Table(columns(lang, "figure", "value"), [Row(row) for row in rows], title)


def with_interval(share: Share, lang: Language) -> str:
    """`3 of 120 = 2.50 % (0.52 % … 7.13 %)`."""
    if share.n == 0:
        return lang.say("unknown")
    low, high = share.interval
    told = lang.say(
        "interval",
        share=lang.percent(share.k / share.n),
        low=lang.percent(low),
        high=lang.percent(high),
    )
    return f"{of(share, lang)} = {told}"


def of(share: Share, lang: Language) -> str:
    """`3 of 120`."""
    return lang.say("of", k=lang.count(share.k), n=lang.count(share.n))
