"""The evaluation: calls by class, kinds of report, the rating, how calls ended."""

from __future__ import annotations

from pbx.model.call import Disposition
from pbx.model.category import Category
from pbx.model.evaluation import FEWEST_ALIKE, SCORES
from pbx.model.report import Part, Report
from pbx.model.report_types import name_of
from pbx.reports import plots
from pbx.reports.document import Block, Column, Note, Row, Section, Table
from pbx.reports.language import Language
from pbx.reports.sections.common import columns, label_of, short_label_of

MOST_TYPES = 12


def evaluation(report: Report, total: Part, lang: Language) -> Section:
    """Calls by class, a row a part."""
    rows = [_row(part, label_of(part, report, lang), lang) for part in report.parts]
    rows.append(_row(total, lang.say("total"), lang, is_total=True))
    heads = [Column(lang.say(report.period.unit), False), Column(lang.say("calls"))]
    for category in list(Category)[:4]:
        heads += [Column(lang.say(category.value)), Column("%")]
    heads += [Column(lang.say("unclassified")), Column(lang.say("rating-head"))]
    told = total.evaluation
    note = lang.say(
        "evaluation-note",
        classified=lang.count(told.classified),
        incomplete=lang.count(told.incomplete),
    )
    labels = [short_label_of(part, report, lang) for part in report.parts]
    blocks: list[Block] = [Table(heads, rows), Note(note)]
    blocks.append(plots.calls_by_part(report.parts, labels, lang))
    return Section(lang.say("evaluation"), blocks)


def _row(part: Part, label: str, lang: Language, *, is_total: bool = False) -> Row:
    told = part.evaluation
    cells = [label, lang.count(told.calls)]
    for category in list(Category)[:4]:
        share = told.share(category)
        cells.append(lang.count(told.categories[category]))
        cells.append(lang.decimal(None if share is None else 100 * share))
    cells.append(lang.count(told.categories[Category.UNCLASSIFIED]))
    cells.append(lang.decimal(told.rating))
    return Row(cells, is_total)


def types(total: Part, lang: Language) -> Section:
    """The most frequent kinds of report."""
    told = total.evaluation
    every = told.types.total()
    if not every:
        return Section(lang.say("types"), [Note(lang.say("no-types"))])
    rows = [
        Row([name_of(key, lang.code), lang.count(n), lang.decimal(100 * n / every)])
        for key, n in told.top_types(MOST_TYPES)
    ]
    note = Note(lang.say("types-note", n=FEWEST_ALIKE))
    return Section(
        lang.say("types"), [Table(columns(lang, "type", "calls", "share"), rows), note]
    )


def rating(total: Part, lang: Language) -> Section:
    """How callers rate the service."""
    told = total.evaluation
    if not told.answers:
        return Section(lang.say("rating"), [Note(lang.say("no-rating"))])
    rows = [
        Row(
            [
                str(score),
                lang.count(told.scores[score]),
                lang.decimal(100 * told.scores[score] / told.answers),
            ]
        )
        for score in reversed(SCORES)
    ]
    mean = lang.say(
        "rating-note", mean=lang.decimal(told.rating), n=lang.count(told.answers)
    )
    table = Table(columns(lang, "score", "answers", "share"), rows)
    return Section(lang.say("rating"), [Note(mean), table])


def ends(total: Part, lang: Language) -> Section:
    """How far calls came."""
    told = total.evaluation
    rows = [
        Row(
            [
                lang.say(disposition.value),
                lang.count(n),
                lang.decimal(100 * n / told.calls),
            ],
            is_good=False if disposition is Disposition.LOST else None,
        )
        for disposition, n in told.dispositions.most_common()
    ]
    blocks: list[Block] = [Table(columns(lang, "end", "calls", "share"), rows)]
    if told.dispositions[Disposition.LOST]:
        blocks.append(Note(lang.say("lost-note")))
    return Section(lang.say("ends"), blocks)
