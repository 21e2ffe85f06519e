"""The plots of the page, as SVG to put into HTML."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pbx.laboratory.corpus import Label
from pbx.laboratory.figures import auc
from pbx.laboratory.measure import Judged
from pbx.laboratory.picture import NEUTRAL, NOBODY, OURS, PEOPLE, need_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    Label.SPEECH: PEOPLE,
    Label.GHOST: NOBODY,
    Label.DISTANT: OURS,
    Label.AMBIGUOUS: NEUTRAL,
}
LONGEST_SECONDS = 3.0
"""Later passes share the histogram's last bar."""


def all_plots(judged: Sequence[Judged]) -> list[str]:
    """ROC, time to pass, and the beliefs by label and by class."""
    need_matplotlib()
    return [roc(judged), time_to_pass(judged), beliefs(judged), by_class(judged)]


def roc(judged: Sequence[Judged]) -> str:
    """People let through against ghosts let through, at every threshold of `person`."""
    people = np.array([j.person for j in judged if j.row.label is Label.SPEECH])
    ghosts = np.array([j.person for j in judged if j.row.label is Label.GHOST])
    figure = _figure(4.4, 4.0)
    axis = figure.subplots()
    if people.size and ghosts.size:
        limits = np.unique(np.concatenate([people, ghosts, [0.0, 1.1]]))[::-1]
        axis.plot(
            [(ghosts >= limit).mean() for limit in limits],
            [(people >= limit).mean() for limit in limits],
            color=PEOPLE,
        )
        axis.plot((ghosts >= 0.5).mean(), (people >= 0.5).mean(), "o", color=OURS)
        axis.set_title(f"ROC, AUC {auc(people.tolist(), ghosts.tolist()):.4f}")
    axis.plot([0, 1], [0, 1], color="#cccccc", linewidth=0.8)
    axis.set_xlabel("ghosts believed to be people (dot: threshold 0.5)")
    axis.set_ylabel("people believed to be there")
    return _svg(figure)


def time_to_pass(judged: Sequence[Judged]) -> str:
    """From where a voice is first heard to the pass."""
    waits = [
        min(max(one.passed_at - one.onset, 0.0), LONGEST_SECONDS)
        for one in judged
        if one.row.label is Label.SPEECH
        and one.passed_at is not None
        and one.onset is not None
    ]
    figure = _figure(5.4, 4.0)
    axis = figure.subplots()
    axis.hist(waits, bins=np.arange(0, LONGEST_SECONDS + 0.11, 0.1).tolist())
    for limit in (0.5, 1.0):
        axis.axvline(limit, color=OURS, linewidth=0.8)
    axis.set_title("from the first sound of speech to the pass")
    axis.set_xlabel("seconds (0: passed before it; lines: what is promised)")
    axis.set_ylabel("clips of speech")
    return _svg(figure)


def beliefs(judged: Sequence[Judged]) -> str:
    """How `person` is spread over each label."""
    figure = _figure(5.4, 4.0)
    axis = figure.subplots()
    for label, colour in COLOURS.items():
        found = np.sort([one.person for one in judged if one.row.label is label])
        if found.size:
            share = np.arange(1, found.size + 1) / found.size
            axis.step(found, share, where="post", color=colour, label=label.value)
    for limit in (0.5, 0.9):
        axis.axvline(limit, color="#bbbbbb", linewidth=0.8)
    axis.set_title("belief in a person, by label")
    axis.set_xlabel("belief")
    axis.set_ylabel("share of clips at or below")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8)
    return _svg(figure)


def by_class(judged: Sequence[Judged]) -> str:
    """Every clip's belief, a line for each class."""
    names = sorted({(one.row.label, one.row.kind) for one in judged})
    figure = _figure(8.5, 1.0 + 0.19 * max(len(names), 1))
    axis = figure.subplots()
    rng = np.random.default_rng(0)
    for place, (label, kind) in enumerate(names):
        found = [
            one.person
            for one in judged
            if one.row.label is label and one.row.kind == kind
        ]
        y = place + rng.uniform(-0.3, 0.3, len(found))
        axis.plot(found, y, ".", markersize=3, color=COLOURS[label])
    told = [f"{kind}, {label}" for label, kind in names]
    axis.set_yticks(range(len(names)), told, parse_math=False)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlim(-0.02, 1.02)
    axis.set_title("belief in a person, by class")
    return _svg(figure)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure as NewFigure

    return NewFigure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> str:
    import matplotlib as mpl

    out = io.StringIO()
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gerbang"}),
        warnings.catch_warnings(),
    ):
        # Our font measures, the reader's draws: what only ours lacks is no fault.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
