"""Figures as tables for people and as JSON for programs."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from pbx.laboratory.corpus import Label
from pbx.laboratory.figures import Delays, Figures, Tally
from pbx.model.policy import RELEASE_BELOW

NAMED = 10
"""So many clips are named one by one; JSON and the page name all."""
_OWED = frozenset({Label.SPEECH, Label.DISTANT})
"""Whose release is an error, so that its upper bound matters."""


def as_json(figures: Figures) -> dict[str, Any]:
    """Everything, flat where a program would look first. Rates are 0…1."""
    return {
        "speech_n": figures.speech.n,
        "false_drops": figures.speech.released,
        "false_drop_rate": figures.speech.release_rate,
        "false_drop_upper95": figures.speech.released_upper95,
        "ghost_n": figures.ghosts.n,
        "ghost_catch_rate": figures.ghosts.release_rate,
        "ghost_low_priority": figures.ghosts.low_priority,
        "pocket_n": figures.pockets.n,
        "pocket_catch_rate": figures.pockets.release_rate,
        "distant_n": figures.distant.n,
        "distant_released": figures.distant_unasked,
        "distant_released_after_second_prompt": figures.distant.released,
        "ambiguous_n": figures.ambiguous.n,
        "ambiguous_released": figures.ambiguous.released,
        "released_in_a_call": figures.in_a_call,
        "auc": figures.auc,
        "cpu_ms_per_second": figures.cpu_ms_per_second,
        "audio_seconds": figures.seconds,
        "judged": figures.judged,
        "judged_by_unheard_weights": figures.unheard,
        "unreadable": [one.why for one in figures.unreadable],
        "without_prompt": list(figures.without_prompt),
        "time_to_pass": {n: _delays_json(d) for n, d in figures.delays.items()},
        "reasons": figures.reasons,
        "by": {
            name: {group: _tally_json(tally) for group, tally in table.items()}
            for name, table in figures.tables.items()
        },
    }


def as_text(figures: Figures) -> RenderableType:
    """Tables for a terminal; `remarks` belong below them."""
    parts: list[RenderableType] = [_summary(figures)]
    parts += [_table(name, rows) for name, rows in figures.tables.items()]
    return Group(*parts, _delays_table(figures), _reasons_table(figures))


def summary(figures: Figures) -> list[tuple[str, str, str]]:
    """What is asked, what was found, and how sure that is."""
    speech, distant = figures.speech, figures.distant
    return [
        (
            "people released",
            f"{speech.released} of {speech.n}",
            f"95 % sure: below {speech.released_upper95:.2%}" if speech.n else "",
        ),
        (
            "ghosts kept from operators",
            _share(figures.ghosts),
            f"and {figures.ghosts.low_priority} at low priority",
        ),
        ("  of them in the pocket mix", _share(figures.pockets), "pockets, machines"),
        (
            "distant voices released",
            f"{figures.distant_unasked} of {distant.n}",
            f"{distant.released} had the second prompt asked as well",
        ),
        (
            "ambiguous released",
            f"{figures.ambiguous.released} of {figures.ambiguous.n}",
            "reported, not counted",
        ),
        (
            f"were it a call, at {RELEASE_BELOW}",
            "{speech} people, {pocket} pockets".format(**figures.in_a_call),
            f"released, of {speech.n} and {figures.pockets.n}",
        ),
        (
            "AUC of the belief in a person",
            "–" if figures.auc is None else f"{figures.auc:.4f}",
            "speech against ghosts",
        ),
        (
            "processor time",
            f"{figures.cpu_ms_per_second:.2f} ms",
            "per second of audio",
        ),
    ]


def remarks(figures: Figures) -> list[str]:
    """What a reader must know before believing the tables."""
    lines = [
        f"{figures.unheard} of {figures.judged} clips were judged by weights that had "
        "not heard their recording."
    ]
    if figures.without_prompt:
        lines.append(
            f"{len(figures.without_prompt)} clips were judged without the prompt that "
            f"leaks into them, it is not in DIR/prompts: {_few(figures.without_prompt)}"
        )
    return lines + unreadable(figures)


def unreadable(figures: Figures) -> list[str]:
    """Which clips nobody could judge, and why."""
    lines: list[str] = []
    if figures.unreadable:
        lines.append(f"{len(figures.unreadable)} clips could not be read:")
        lines += [f"  {one.why}" for one in figures.unreadable[:NAMED]]
        if len(figures.unreadable) > NAMED:
            lines.append(f"  … and {len(figures.unreadable) - NAMED} more")
    return lines


def _summary(figures: Figures) -> Table:
    table = Table("one clip is all we hear", "", "")
    for row in summary(figures):
        table.add_row(*row)
    return table


def _table(name: str, rows: dict[str, Tally]) -> Table:
    """One kind a line, below its label; fits into 80 columns."""
    table = Table(name, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    headings = ("clips", "passed", "low", "released", "95 %", "verdict", "ms/s")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for group, tally in rows.items():
        label, _, kind = group.partition(" ")
        if kind and label != before:
            table.add_row(f"[bold]{escape(label)}[/bold]")
        before = label
        table.add_row(
            f" {escape(kind)}" if kind else escape(label),
            str(tally.n),
            f"{tally.pass_rate:.0%}",
            str(tally.low_priority or ""),
            f"{tally.released} ({tally.release_rate:.0%})",
            f"<{tally.released_upper95:.1%}" if label in _OWED else "",
            _seconds(tally.verdict_seconds),
            f"{tally.cpu_ms_per_second:.2f}",
        )
    return table


def _delays_table(figures: Figures) -> Table:
    table = Table("speech to pass")
    for heading in ("clips", "median", "p95", "before the speech", "not in the clip"):
        table.add_column(heading, justify="right")
    names = {
        "all": "all",
        "clean": "SNR ≥ 10 dB",
        "echo": "our prompt comes back",
    }
    for name, found in figures.delays.items():
        table.add_row(
            names.get(name, name),
            str(found.n),
            _seconds(found.median),
            _seconds(found.p95),
            str(found.early),
            str(found.never),
        )
    return table


def _reasons_table(figures: Figures) -> Table:
    table = Table("reasons")
    every = sorted({r for found in figures.reasons.values() for r in found})
    for label in figures.reasons:
        table.add_column(label, justify="right")
    for reason in every:
        counts = (found.get(reason, 0) for found in figures.reasons.values())
        table.add_row(reason, *(str(count or "") for count in counts))
    return table


def _share(tally: Tally) -> str:
    return f"{tally.release_rate:.1%} of {tally.n}" if tally.n else "none there"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def _few(names: tuple[str, ...]) -> str:
    more = f" … and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _delays_json(found: Delays) -> dict[str, float | None]:
    return {
        "n": found.n,
        "median_seconds": found.median,
        "p95_seconds": found.p95,
        "before_speech": found.early,
        "never": found.never,
        "never_share": found.never / found.n if found.n else None,
    }


def _tally_json(tally: Tally) -> dict[str, float | None]:
    return {
        "n": tally.n,
        "passed": tally.passed,
        "low_priority": tally.low_priority,
        "released": tally.released,
        "pass_rate": tally.pass_rate,
        "release_rate": tally.release_rate,
        "released_upper95": tally.released_upper95,
        "verdict_median_seconds": tally.verdict_seconds,
        "speech_to_pass_median_seconds": tally.pass_seconds,
        "cpu_ms_per_second": tally.cpu_ms_per_second,
    }
