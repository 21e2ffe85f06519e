"""A report's sums as a document in one language: what it tells, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pbx.model.category import Category
from pbx.model.report import Part, Report
from pbx.model.service_level import NENA_15, OFCOM
from pbx.model.spared import PROMISED_SHARE
from pbx.model.waits import Yardstick
from pbx.reports.document import Document, Note, Section, Tile
from pbx.reports.language import Language
from pbx.reports.sections.answer_times import answer_times
from pbx.reports.sections.evaluation import ends, evaluation, rating, types
from pbx.reports.sections.ghosts import ghosts
from pbx.reports.sections.hours import hours, operators


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Whose report it is (empty: unknown), and when it was made."""

    city: str
    made_at: datetime


def document(report: Report, head: Letterhead, language: str) -> Document:
    """The whole report; a period without calls says so and no more."""
    lang, total = Language(language), report.total()
    zone = report.period.zone
    begin = report.period.begin.astimezone(zone)
    end = (report.period.end - timedelta(seconds=1)).astimezone(zone)
    made = head.made_at.astimezone(zone)
    from_to = lang.say(
        "from-to", begin=lang.date(begin), end=lang.date(end), zone=zone.key
    )
    return Document(
        language=language,
        title=lang.say("title", city=head.city) if head.city else "112",
        subtitle=lang.date(begin) + f" ({zone.key})"
        if begin.date() == end.date()
        else from_to,
        made=lang.say("made", at=lang.moment(made)),
        headline=headline(total, lang),
        tiles=list(_tiles(total, lang)) if total.evaluation.calls else (),
        sections=list(_sections(report, total, head, lang)),
    )


def headline(total: Part, lang: Language) -> str:
    """`86,161 calls = 65,024 ghost (75.47 %) + …`."""
    told = total.evaluation
    if not told.calls:
        return lang.say("nothing")
    shown = [c for c in Category if told.categories[c] or c in list(Category)[:4]]
    classes = " + ".join(
        f"{lang.count(told.categories[category])} {lang.say(category.value)} "
        f"({lang.percent(told.share(category))})"
        for category in shown
    )
    return f"{lang.count(told.calls)} {lang.say('calls')} = {classes}"


def _sections(
    report: Report, total: Part, head: Letterhead, lang: Language
) -> Iterator[Section]:
    if head.made_at < report.period.end:
        at = lang.moment(head.made_at.astimezone(report.period.zone))
        yield Section("", [Note(lang.say("not-over", at=at))])
    if not total.evaluation.calls:
        return
    yield evaluation(report, total, lang)
    yield types(total, lang)
    yield rating(total, lang)
    yield ends(total, lang)
    yield answer_times(report, total, lang)
    yield ghosts(total, lang)
    yield hours(report, lang)
    yield operators(report, lang)


def _tiles(total: Part, lang: Language) -> Iterator[Tile]:
    told, kept = total.evaluation, total.spared.kept_away
    yield Tile(lang.say("calls"), lang.count(told.calls))
    valid = told.categories[Category.VALID]
    share = lang.percent(told.share(Category.VALID))
    yield Tile(lang.say("valid"), lang.count(valid), share)
    away = kept.k / kept.n if kept.n else None
    yield Tile(
        lang.say("kept-away"),
        lang.percent(away, 1),
        lang.say("promised", share=lang.percent(PROMISED_SHARE, 0)),
        None if away is None else away >= PROMISED_SHARE,
    )
    yield _yardstick(total, NENA_15, lang)
    yield _yardstick(total, OFCOM, lang)
    answers = lang.say("of-five", n=lang.count(told.answers))
    yield Tile(lang.say("rating"), lang.decimal(told.rating), answers)


def _yardstick(total: Part, yardstick: Yardstick, lang: Language) -> Tile:
    level = total.service.offered.level(yardstick.within_seconds)
    required = lang.say("required") + " " + lang.percent(yardstick.share, 0)
    share = lang.percent(level.share, 1)
    return Tile(lang.say(yardstick.name), share, required, level.keeps(yardstick))
