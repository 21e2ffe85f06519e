"""Figures of whole calls as Markdown (which reads well as text) and as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pbx.laboratory.dialogue.figures import Delay, Figures, Group
from pbx.laboratory.dialogue.run import Result

MOST_LOST = 50
"""So many lost people are listed; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the figures were made with."""

    seed: int
    left_out: int
    missing_codecs: str
    cpu_seconds: float
    date: str


def as_data(run: Run, found: Figures) -> dict[str, object]:
    """For `--json`: plain values, rates 0…1, seconds."""
    people = found.people
    return {
        "seed": run.seed,
        "calls": found.calls,
        "missing_codecs": run.missing_codecs,
        "cpu_seconds": round(run.cpu_seconds, 2),
        "people_n": people.n,
        "people_released": people.released,
        "people_released_upper95": people.released_upper95,
        "people_released_by_city": people.own_released,
        "people_low_priority": people.low_priority,
        "people_before_sign": people.unsigned,
        "pocket_kept_rate": found.pocket.kept,
        "stress_kept_rate": found.stress.kept,
        "pocket_kept_rate_by_city": found.pocket.own_kept,
        "stress_kept_rate_by_city": found.stress.own_kept,
        "distant_n": found.distant.n,
        "distant_released": found.distant.released,
        "distant_released_without_second_prompt": found.distant_without_second,
        "faults_released": found.faults.released,
        "to_pass_seconds": _delay_data(people.delay),
        "words_to_pass_seconds": _delay_data(found.words),
        "words_to_pass_over_echo_seconds": _delay_data(found.over_echo),
        "people_heard_later": found.heard_later,
        "people_passed_past_words": found.past_words,
        "reasons": found.reasons,
        "behaviours": [_group_data(one) for one in found.behaviours],
        "classes": [_group_data(one) for one in found.kinds],
        "ghosts": [_group_data(one) for one in found.ghosts],
        "mixes": [
            _group_data(one)
            for one in (
                found.pocket,
                found.stress,
                found.distant,
                found.ambiguous,
                found.faults,
            )
        ],
        "lost": [_lost_data(one) for one in found.lost],
    }


def as_markdown(run: Run, found: Figures) -> str:
    """The report."""
    people = found.people
    lines = [
        f"{found.calls} whole calls, seed {run.seed}, {run.date}, "
        f"{run.cpu_seconds:.0f} s of CPU. {run.left_out} ghost clips with another "
        "prompt in them left out.",
        *_no_mobiles(run),
        "",
        f"- **People released: {people.released} of {people.n}** (95 % Clopper-Pearson:"
        f" at most {people.released_upper95:.3%}) under the strictest policy a city"
        f" may declare, {people.own_released} under this city's; at low priority "
        f"{people.low_priority}.",
        f"- Words to pass: {_told(found.words)}; over our prompt that comes back at "
        f"−20 dB: {_told(found.over_echo)}. {found.heard_later} had said something "
        f"before that did not let them pass; {found.past_words} more passed only by "
        "what came long after their words.",
        f"- First sign of life to pass, keys and knocks, too: {_told(people.delay)}. "
        f"{people.unsigned} passed before they had given their sign.",
        f"- Kept from operators or at low priority: pocket mix {_share(found.pocket)}, "
        f"stress mix {_share(found.stress)}; under this city's policy, no operator "
        f"idle: {_own_share(found.pocket)} and {_own_share(found.stress)}.",
        f"- Distant voices: {found.distant.passed} of {found.distant.n} to a human, "
        f"{found.distant.low_priority} at low priority, {found.distant.released} "
        f"released ({found.distant_without_second} of them without a second prompt).",
        f"- Media that fails: {found.faults.released} of {found.faults.n} released.",
        "",
        "People, by what they do:",
        "",
        *_people_table(found.behaviours),
        "",
        "People, by the class of the clip:",
        "",
        *_people_table(found.kinds),
        "",
        "Nobody near the phone:",
        "",
        *_ghost_table(
            (
                found.pocket,
                found.stress,
                found.distant,
                found.ambiguous,
                found.faults,
                *found.ghosts,
            )
        ),
        "",
        "Reasons: "
        + ", ".join(f"{name} {n}" for name, n in found.reasons.items())
        + ".",
        *_lost_lines(run, found.lost),
    ]
    return "\n".join(lines)


def _no_mobiles(run: Run) -> list[str]:
    if not run.missing_codecs:
        return []
    return [f"No mobile phones among them: {run.missing_codecs}"]


def _people_table(groups: Iterable[Group]) -> list[str]:
    lines = [
        "| | calls | passed | low priority | released | at most (95 %) | median | p95 "
        "| before the sign |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {g.name} | {g.n} | {g.passed} | {g.low_priority} | {g.released} "
        f"| {g.released_upper95:.2%} | {_seconds(g.delay.median)} "
        f"| {_seconds(g.delay.p95)} | {g.unsigned} |"
        for g in groups
    ]
    return lines


def _ghost_table(groups: Iterable[Group]) -> list[str]:
    lines = [
        "| | calls | released | by this city | low priority | passed | second prompt "
        "| kept | by this city |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {g.name} | {g.n} | {g.released} | {g.own_released} | {g.low_priority} "
        f"| {g.passed} | {g.asked_twice} | {_share(g)} | {_own_share(g)} |"
        for g in groups
    ]
    return lines


def _lost_lines(run: Run, lost: tuple[Result, ...]) -> list[str]:
    if not lost:
        return []
    lines = [
        "",
        f"**Lost**; `--seed {run.seed} --only N --write OUT` plays one again:",
        "",
    ]
    lines += [
        f"- call {r.index}: {r.behaviour}, {r.kind}, sign at "
        f"{'–' if r.sign_seconds is None else f'{r.sign_seconds:.2f} s'}, "
        f"{r.reason}: {r.because} ({', '.join(r.clips) or 'made'}; {r.line})"
        for r in lost[:MOST_LOST]
    ]
    if len(lost) > MOST_LOST:
        lines.append(f"- … and {len(lost) - MOST_LOST} more")
    return lines


def _group_data(one: Group) -> dict[str, object]:
    return {
        "name": one.name,
        "n": one.n,
        "passed": one.passed,
        "low_priority": one.low_priority,
        "released": one.released,
        "released_by_city": one.own_released,
        "low_priority_by_city": one.own_low_priority,
        "released_upper95": one.released_upper95,
        "second_prompt": one.asked_twice,
        "before_sign": one.unsigned,
        "kept_rate": one.kept,
        "kept_rate_by_city": one.own_kept,
        "to_pass_seconds": _delay_data(one.delay),
    }


def _lost_data(one: Result) -> dict[str, object]:
    return {
        "index": one.index,
        "behaviour": one.behaviour,
        "class": one.kind,
        "label": one.label,
        "clips": list(one.clips),
        "line": one.line,
        "reason": one.reason.value,
        "because": one.because,
        "sign_seconds": one.sign_seconds,
    }


def _delay_data(one: Delay) -> dict[str, object]:
    return {"n": one.n, "median": one.median, "p95": one.p95}


def _told(one: Delay) -> str:
    if one.n == 0:
        return "no such call"
    return f"median {one.median:.2f} s, p95 {one.p95:.2f} s ({one.n} calls)"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def _share(one: Group) -> str:
    return f"{one.kept:.1%}" if one.n else "–"


def _own_share(one: Group) -> str:
    return f"{one.own_kept:.1%}" if one.n else "–"
