"""What was judged → figures: who was lost, who was kept away, how fast, how sure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.corpus import Label, Row
from pbx.laboratory.measure import Judged, Outcome, Unreadable
from pbx.model.intervals import clopper_pearson
from pbx.model.verdict import Ruling

Scores = Sequence[float] | NDArray[np.float64]
POCKETS = frozenset(
    {
        *("digital_silence", "comfort_noise", "room_silence", "line_hum"),
        *("rustle", "walking", "traffic", "engine", "engine_idling"),
        *("air_conditioner", "wind", "vehicle"),
        *("prompt_echo", "key_beep", "ringback", "fax", "modem"),
    }
)
"""What phones in pockets and machines send; all ghosts together are the stress mix."""
CLEAN_SNR_DB = 10.0
"""From here on, and where nothing was mixed in, a line counts as clean."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How the clips of one kind were ruled."""

    n: int
    passed: int
    low_priority: int
    released: int
    verdict_seconds: float | None
    """From the clip's first sample until somebody was surely there, or to its end: the
    median; None when there was none."""
    pass_seconds: float | None
    """From the labelled start of speech to the pass: the median, of `Delays`."""
    cpu_ms_per_second: float
    """Of audio; 0 when there was none."""

    @property
    def release_rate(self) -> float:
        """0…1; 0 when there was none."""
        return self.released / self.n if self.n else 0.0

    @property
    def pass_rate(self) -> float:
        """0…1; 0 when there was none."""
        return self.passed / self.n if self.n else 0.0

    @property
    def released_upper95(self) -> float:
        """With 95 % certainty no more than this share would be released."""
        return upper95(self.released, self.n)


@dataclass(frozen=True, slots=True)
class Delays:
    """From the labelled start of speech to the pass, in seconds."""

    n: int
    """Speech clips whose start is known."""
    median: float | None
    """Of those heard after their start, while they lasted; None: there were none."""
    p95: float | None
    early: int
    """Passed before the speech began: by noise, or by a label that is late."""
    never: int
    """Not sure while the clip lasted. At its end he is led to an operator all the same,
    behind others, unless nothing speaks for a person."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that `gerbang ghostfilter evaluate` tells."""

    speech: Tally
    ghosts: Tally
    pockets: Tally
    distant: Tally
    distant_unasked: int
    """Distant voices released without a second prompt."""
    ambiguous: Tally
    in_a_call: dict[str, int]
    """Of speech, ghosts and pockets: released, were it a call, by the strictest policy
    that a city may declare."""
    auc: float | None
    """How often a person scores above a ghost (0.5: chance); None: one was missing."""
    cpu_ms_per_second: float
    seconds: float
    """Of audio."""
    delays: dict[str, Delays]
    """all, clean (SNR ≥ 10 dB or nothing mixed in), with our prompt's echo."""
    tables: dict[str, dict[str, Tally]]
    """by label, class, snr, codec."""
    reasons: dict[str, dict[str, int]]
    """label → reason of the verdict → clips."""
    unheard: int
    """Clips judged by weights that had not heard their recording."""
    judged: int
    unreadable: tuple[Unreadable, ...]
    without_prompt: tuple[str, ...]
    """Clips whose leaking prompt DIR/prompts does not hold."""


def figures(outcomes: Iterable[Outcome]) -> Figures:
    """Count everything. Never divides by what is not there."""
    every = list(outcomes)
    judged = [one for one in every if isinstance(one, Judged)]
    speech, ghosts = _of(judged, Label.SPEECH), _of(judged, Label.GHOST)
    pockets = [one for one in ghosts if one.row.kind in POCKETS]
    return Figures(
        speech=tally(speech),
        ghosts=tally(ghosts),
        pockets=tally(pockets),
        distant=tally(_of(judged, Label.DISTANT)),
        distant_unasked=sum(
            one.is_released_unasked for one in _of(judged, Label.DISTANT)
        ),
        ambiguous=tally(_of(judged, Label.AMBIGUOUS)),
        in_a_call={
            name: sum(one.is_released_in_a_call for one in some)
            for name, some in (
                ("speech", speech),
                ("ghost", ghosts),
                ("pocket", pockets),
            )
        },
        auc=auc([one.person for one in speech], [one.person for one in ghosts]),
        cpu_ms_per_second=_cpu_ms_per_second(judged),
        seconds=sum(one.seconds for one in judged),
        delays={
            "all": delays(speech),
            "clean": delays([one for one in speech if is_clean(one.row)]),
            "echo": delays([one for one in speech if one.has_prompt]),
        },
        tables={
            "label": table(judged, lambda row: row.label.value),
            "class": table(judged, lambda row: f"{row.label} {row.kind}"),
            "snr": table(judged, lambda row: f"{row.label} {snr_band(row.snr_db)}"),
            "codec": table(judged, lambda row: f"{row.label} {row.codec or '?'}"),
        },
        reasons=_reasons(judged),
        unheard=sum(one.is_fresh for one in judged),
        judged=len(judged),
        unreadable=tuple(one for one in every if isinstance(one, Unreadable)),
        without_prompt=tuple(one.row.path for one in judged if one.is_prompt_missing),
    )


def upper95(k: int, n: int) -> float:
    """One-sided 95 % upper bound of a share (Clopper-Pearson): 0 of 3,000 → 0.1 %."""
    return clopper_pearson(k, n, level=0.90)[1]


def tally(judged: Sequence[Judged]) -> Tally:
    """Count the rulings."""
    released = sum(one.verdict.ruling is Ruling.RELEASE for one in judged)
    low = sum(one.verdict.ruling is Ruling.LOW_PRIORITY for one in judged)
    ends = [one.seconds if one.passed_at is None else one.passed_at for one in judged]
    return Tally(
        n=len(judged),
        passed=len(judged) - released - low,
        low_priority=low,
        released=released,
        verdict_seconds=float(np.median(ends)) if ends else None,
        pass_seconds=delays(judged).median,
        cpu_ms_per_second=_cpu_ms_per_second(judged),
    )


def _cpu_ms_per_second(judged: Sequence[Judged]) -> float:
    seconds = sum(one.seconds for one in judged)
    return 1000 * sum(one.cpu_seconds for one in judged) / seconds if seconds else 0.0


def table(judged: Iterable[Judged], key: Callable[[Row], str]) -> dict[str, Tally]:
    """Tallies by whatever the rows are grouped by, in alphabetical order."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        groups[key(one.row)].append(one)
    return {name: tally(group) for name, group in sorted(groups.items())}


def delays(speech: Sequence[Judged]) -> Delays:
    """How long people waited from their first word to their pass."""
    known = [(one.passed_at, one.onset) for one in speech if one.onset is not None]
    waits = [passed - start for passed, start in known if passed is not None]
    late = np.array([wait for wait in waits if wait >= 0])
    return Delays(
        n=len(known),
        median=float(np.median(late)) if late.size else None,
        p95=float(np.percentile(late, 95)) if late.size else None,
        early=len(waits) - late.size,
        never=len(known) - len(waits),
    )


def auc(people: Scores, ghosts: Scores) -> float | None:
    """Mann-Whitney: the chance that a person scores above a ghost, ties half."""
    if not len(people) or not len(ghosts):
        return None
    below = np.sort(np.asarray(ghosts, float))
    left = np.searchsorted(below, people, "left")
    right = np.searchsorted(below, people, "right")
    return float((left + right).mean() / (2 * below.size))


def is_clean(row: Row) -> bool:
    """Nothing was mixed in, or 10 dB below the voice."""
    return row.snr_db is None or row.snr_db >= CLEAN_SNR_DB


def snr_band(snr_db: float | None) -> str:
    """What was mixed in, in words."""
    if snr_db is None:
        return "nothing mixed in"
    if snr_db >= CLEAN_SNR_DB:
        return "10 dB or more"
    return "0 to 10 dB" if snr_db >= 0 else "below 0 dB"


def _of(judged: Iterable[Judged], label: Label) -> list[Judged]:
    return [one for one in judged if one.row.label is label]


def _reasons(judged: Iterable[Judged]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in judged:
        found[one.row.label][one.verdict.reason] += 1
    return {label: dict(found[label]) for label in Label if label in found}
