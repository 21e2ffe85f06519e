"""Play recorded callers into detectors, frame by frame, as a call does, and judge.

One clip is judged as all we ever hear of a caller: both prompts have asked, the city
releases silence and noise, everything else is as in a call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple, TypeVar

import numpy as np

from ghostfilter.detector import Detector
from ghostfilter.signals import FRAME_SECONDS, Heard
from ghostfilter.vad import FRAME_BYTES
from ghostfilter.verdict import Context, Verdict, judge
from pbx.laboratory.audio import AudioError
from pbx.laboratory.clips import Clip, read_clip
from pbx.laboratory.corpus import Corpus, Label, Row
from pbx.laboratory.onset import onset_seconds
from pbx.laboratory.workers import as_done, workers
from pbx.model.policy import SURELY_NOBODY, Policy, Treatment
from pbx.model.verdict import Ruling

IN_A_CALL = Policy(silent=Treatment.RELEASE, noise=Treatment.RELEASE)
"""The strictest that a city may declare."""
POLICY = IN_A_CALL.model_copy(update={"release_below": SURELY_NOBODY})
"""One clip is no call, and nothing is released on it: it is judged where the belief is
calibrated."""
ASKED = 2
WARM_UP_SECONDS = 2.0
"""Of silence, before the processor's time counts: first use loads and plans."""
FEW_CLIPS = 24
"""Not worth starting processes for."""


class Ears(NamedTuple):
    """A detector for one clip, and whether it never heard that recording."""

    detector: Detector
    is_fresh: bool = True
    """Its weights were made without the clip's group."""


MakeDetector = Callable[[Row], Ears]
"""Must be a function of a module: other processes call it by its name."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the filter made of one clip."""

    row: Row
    verdict: Verdict
    person: float
    voices: float
    heard: tuple[Heard, ...]
    passed_at: float | None
    """Seconds from the first sample until somebody was surely there; None: never."""
    seconds: float
    cpu_seconds: float
    """Of the filter alone: detector and verdict."""
    is_fresh: bool = True
    has_prompt: bool = False
    is_prompt_missing: bool = False
    onset: float | None = None
    """Seconds from the first sample until somebody is heard, if that is labelled."""
    is_released_unasked: bool = False
    """Released where only the greeting had asked: a rule says never."""
    is_released_in_a_call: bool = False
    """Released by the strictest policy that a city may declare, were it a call."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A clip that could not be judged."""

    row: Row
    why: str


Outcome = Judged | Unreadable
Done = TypeVar("Done")


def fresh_detector(row: Row) -> Ears:
    """What a call gets today, whatever it was trained on."""
    return Ears(Detector())


def judge_row(
    corpus: Corpus, row: Row, make_detector: MakeDetector = fresh_detector
) -> Outcome:
    """One clip from its file to its verdict."""
    _warm_up(make_detector)
    try:
        clip = read_clip(corpus, row)
    except AudioError as error:
        return Unreadable(row, str(error))
    return judge_clip(row, clip, make_detector(row))


def judge_clip(row: Row, clip: Clip, ears: Ears) -> Judged:
    """Play a clip into a detector, and judge what it says in the end."""
    detector, passed_at = ears.detector, None
    frames = range(0, len(clip.pcm), FRAME_BYTES)
    started = time.process_time_ns()
    if clip.prompt is not None:
        detector.prompt_started(clip.prompt)
    for at in frames:
        if detector.push(clip.pcm[at : at + FRAME_BYTES]) is not None:
            passed_at = passed_at or (at // FRAME_BYTES + 1) * FRAME_SECONDS
    evidence = detector.evidence()
    asked = Context(expected_frames=len(frames), asked=ASKED)
    verdict = judge(evidence, POLICY, asked)
    cpu = time.process_time_ns() - started
    unasked = judge(evidence, POLICY, Context(expected_frames=len(frames), asked=1))
    return Judged(
        row=row,
        verdict=verdict,
        person=evidence.person,
        voices=evidence.voices,
        heard=evidence.heard,
        passed_at=passed_at,
        seconds=clip.seconds,
        cpu_seconds=cpu / 1e9,
        is_fresh=ears.is_fresh,
        has_prompt=clip.prompt is not None,
        is_prompt_missing=clip.is_prompt_missing,
        onset=_onset(row, clip),
        is_released_unasked=unasked.ruling is Ruling.RELEASE,
        is_released_in_a_call=judge(evidence, IN_A_CALL, asked).ruling
        is Ruling.RELEASE,
    )


def _onset(row: Row, clip: Clip) -> float | None:
    if row.speech_start is None:
        return None
    samples = np.frombuffer(clip.pcm, np.int16) / np.float32(32768)
    return row.speech_start + onset_seconds(samples, row.speech_start)


def measure(
    corpus: Corpus,
    make_detector: MakeDetector = fresh_detector,
    *,
    jobs: int = 0,
) -> Iterator[Outcome]:
    """Every clip's outcome, in whatever order they are done; see `each_row`."""
    return each_row(partial(judge_row, make_detector=make_detector), corpus, jobs=jobs)


def each_row(
    work: Callable[[Corpus, Row], Done], corpus: Corpus, *, jobs: int = 0
) -> Iterator[Done]:
    """What `work`, a function of a module, makes of every row.

    `jobs` processes at once; 0: as many as there are cores. Leaving the loop early
    (Ctrl-C) stops the processes. Raises WorkersError if one of them is killed.
    """
    jobs = jobs or len(os.sched_getaffinity(0))
    if jobs == 1 or len(corpus.rows) < FEW_CLIPS:
        for row in corpus.rows:
            yield work(corpus, row)
        return
    with workers(jobs) as pool:
        yield from as_done(pool, work, ((corpus, row) for row in corpus.rows), jobs)


@cache
def _warm_up(make_detector: MakeDetector) -> None:
    """Once a process."""
    nobody = Row(line=0, path="", label=Label.GHOST, kind="", group="")
    frames = int(WARM_UP_SECONDS / FRAME_SECONDS)
    judge_clip(nobody, Clip(bytes(FRAME_BYTES * frames)), make_detector(nobody))
