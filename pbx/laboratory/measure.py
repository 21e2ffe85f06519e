"""Play recorded callers into detectors, frame by frame, as a call does, and judge.

One clip is judged as all we ever hear of a caller: both prompts have asked, the city
releases silence and noise, everything else is as in a call.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import NamedTuple

from ghostfilter.detector import Detector
from ghostfilter.signals import FRAME_SECONDS, Heard
from ghostfilter.vad import FRAME_BYTES
from ghostfilter.verdict import Context, Verdict, judge
from pbx.laboratory.audio import AudioError
from pbx.laboratory.clips import Clip, read_clip
from pbx.laboratory.corpus import Corpus, Label, Row
from pbx.model.policy import Policy, Treatment

POLICY = Policy(silent=Treatment.RELEASE, noise=Treatment.RELEASE)
ASKED = 2
WARM_UP_SECONDS = 2.0
"""Of silence, before the processor's time counts: first use loads and plans."""
FEW_CLIPS = 24
"""Not worth starting processes for."""
_AHEAD = 4
"""Clips handed to a process beforehand; few, so that Ctrl-C is quick."""


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


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A clip that could not be judged."""

    row: Row
    why: str


Outcome = Judged | Unreadable


def fresh_detector(row: Row) -> Ears:
    """What a call gets today, whatever it was trained on."""
    return Ears(Detector())


def judge_row(corpus: Corpus, row: Row, make_detector: MakeDetector) -> Outcome:
    """One clip from its file to its verdict."""
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
    verdict = judge(evidence, POLICY, Context(expected_frames=len(frames), asked=ASKED))
    cpu = time.process_time_ns() - started
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
    )


def measure(
    corpus: Corpus,
    make_detector: MakeDetector = fresh_detector,
    *,
    jobs: int = 0,
) -> Iterator[Outcome]:
    """Every clip's outcome, in whatever order they are done.

    `jobs` processes at once; 0: as many as there are cores.

    Leaving the loop early (Ctrl-C) stops the processes.
    """
    jobs = jobs or len(os.sched_getaffinity(0))
    if jobs == 1 or len(corpus.rows) < FEW_CLIPS:
        _warm_up(make_detector)
        for row in corpus.rows:
            yield judge_row(corpus, row, make_detector)
        return
    with _workers(jobs) as pool:
        yield from _in_turn(pool, corpus, make_detector, jobs)


def _in_turn(
    pool: ProcessPoolExecutor, corpus: Corpus, make_detector: MakeDetector, jobs: int
) -> Iterator[Outcome]:
    rows = iter(corpus.rows)
    waiting: set[Future[Outcome]] = set()
    while True:
        for row in rows:
            waiting.add(pool.submit(_judge_warm, corpus, row, make_detector))
            if len(waiting) >= jobs * _AHEAD:
                break
        if not waiting:
            return
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


@contextmanager
def _workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each: one clip's cost shall not hide in two cores."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_leave_ctrl_c)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _leave_ctrl_c() -> None:
    """The terminal sends it to all of us; who asked for us ends us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _judge_warm(corpus: Corpus, row: Row, make_detector: MakeDetector) -> Outcome:
    _warm_up(make_detector)
    return judge_row(corpus, row, make_detector)


@cache
def _warm_up(make_detector: MakeDetector) -> None:
    """Once a process."""
    silent = Row(line=0, path="", label=Label.GHOST, kind="", group="")
    frames = int(WARM_UP_SECONDS / FRAME_SECONDS)
    judge_clip(silent, Clip(bytes(FRAME_BYTES * frames)), make_detector(silent))
