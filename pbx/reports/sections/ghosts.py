"""Ghosts kept from operators, and what is known of those who were dropped."""

from __future__ import annotations

from pbx.model.report import Part
from pbx.model.review import Kind
from pbx.model.spared import Spared
from pbx.reports.document import Note, Section
from pbx.reports.language import Language
from pbx.reports.sections.common import of, pairs, with_interval


def ghosts(total: Part, lang: Language) -> Section:
    """The filter's work, and how sure we are of it."""
    told = total.spared
    kept = told.kept_away
    share = lang.percent(kept.k / kept.n if kept.n else None)
    holdout = lang.say(
        "holdout",
        holdout=lang.count(told.kinds[Kind.HOLDOUT]),
        shadow=lang.count(told.kinds[Kind.SHADOW]),
    )
    rows = [
        (lang.say("kept-away"), f"{of(kept, lang)} = {share}"),
        (lang.say("ghost-low"), lang.count(told.low_priority)),
        (lang.say("ghost-connected"), lang.count(told.connected)),
        (lang.say("ghost-time"), lang.duration(told.ghost_ms / 1000)),
        (lang.say("drops"), lang.count(told.drops)),
        (lang.say("saved"), lang.count(told.kinds[Kind.SAVED])),
        (holdout, lang.count(told.tried + told.untried)),
        (lang.say("holdout-people"), with_interval(told.people_tried, lang)),
        (lang.say("dropped-people"), _people_dropped(told, lang)),
        (lang.say("reviewed"), lang.say("of", k=lang.count(told.reviewed),
                                        n=lang.count(told.drops))),
        (lang.say("reviewed-people"), with_interval(told.people_reviewed, lang)),
    ]  # fmt: skip
    return Section(
        lang.say("filter"), [pairs(lang, rows), Note(lang.say("interval-note"))]
    )


def _people_dropped(told: Spared, lang: Language) -> str:
    people = told.people_dropped
    if people is None:
        return lang.say("unknown")
    middle, low, high = (lang.decimal(n, 1) for n in people)
    return lang.say("estimate", middle=middle, low=low, high=high)
