"""The figures as one self-contained page: tables, plots, and the failures to listen to.

It carries the audio of those clips: keep it where the clips may be kept.
"""

from __future__ import annotations

import base64
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pbx.laboratory import plots, report
from pbx.laboratory.audio import AudioError, wav_bytes
from pbx.laboratory.clips import read_clip
from pbx.laboratory.corpus import Corpus, Label
from pbx.laboratory.explain import describe
from pbx.laboratory.figures import figures
from pbx.laboratory.measure import Judged, Outcome
from pbx.laboratory.whole import write_whole
from pbx.model.verdict import Reason, Ruling

WORST = 20
"""Failures of one kind that are shown; a clip is 0.15 MB of page."""


@dataclass(frozen=True, slots=True)
class Case:
    """One clip that went wrong."""

    judged: Judged
    sound: str
    """A data URI; empty if it could not be read again."""
    heard: list[str]


def write_page(path: Path, corpus: Corpus, outcomes: Sequence[Outcome]) -> None:
    """Whole or not at all; of half a run it says so.

    Raises PictureError if matplotlib is missing, OSError if it cannot be written.
    """
    judged = [one for one in outcomes if isinstance(one, Judged)]
    found = figures(outcomes)
    template = Environment(
        loader=PackageLoader("pbx.laboratory"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.j2")
    text = template.render(
        title=corpus.folder.resolve().name,
        made=f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {platform.machine()}, "
        f"{found.judged} clips, {found.seconds / 60:.0f} minutes",
        summary=report.summary(found),
        remarks=[*_missing(corpus, outcomes), *report.remarks(found)],
        plots=[Markup(svg) for svg in plots.all_plots(judged)],  # noqa: S704 - our own
        tables=found.tables,
        failures={
            heading: [_case(corpus, one) for one in some[:WORST]]
            for heading, some in worst(judged).items()
        },
    )
    write_whole(path, text.encode())


def _missing(corpus: Corpus, outcomes: Sequence[Outcome]) -> Iterable[str]:
    if len(outcomes) < len(corpus.rows):
        yield (
            f"Interrupted: {len(outcomes)} of {len(corpus.rows)} clips were heard, "
            "whichever were done by then. The other figures are of these alone."
        )


def worst(judged: Iterable[Judged]) -> dict[str, list[Judged]]:
    """What went wrong, the worst first."""
    every = list(judged)
    people = [one for one in every if one.row.label is Label.SPEECH]
    return {
        "People released": _rising(one for one in people if _is_released(one)),
        "Distant voices released": _rising(
            one for one in every if one.row.label is Label.DISTANT and _is_released(one)
        ),
        "People in doubt: not sure by the end of the clip": _rising(
            one for one in people if one.verdict.reason is Reason.DOUBT
        ),
        "Ghosts taken for people": _rising(
            one
            for one in every
            if one.row.label is Label.GHOST and one.verdict.ruling is Ruling.PASS
        )[::-1],
    }


def _rising(judged: Iterable[Judged]) -> list[Judged]:
    return sorted(judged, key=lambda one: (one.person, one.row.path))


def _is_released(judged: Judged) -> bool:
    return judged.verdict.ruling is Ruling.RELEASE


def _case(corpus: Corpus, judged: Judged) -> Case:
    try:
        samples = np.frombuffer(read_clip(corpus, judged.row).pcm, np.int16)
    except AudioError:  # it was there a moment ago; the figures stand without it
        return Case(judged, "", [describe(one) for one in judged.heard])
    encoded = base64.b64encode(wav_bytes(samples)).decode()
    return Case(
        judged,
        f"data:audio/wav;base64,{encoded}",
        [describe(one) for one in judged.heard],
    )
