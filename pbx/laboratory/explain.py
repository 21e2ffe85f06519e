"""One call, told: every signal over time, what was heard, the verdict and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostfilter.detector import Detector
from ghostfilter.evidence import LOWEST_DBFS, Evidence
from ghostfilter.signals import FRAME_SECONDS, PERSON, Heard
from ghostfilter.vad import FRAME_BYTES, Vad
from ghostfilter.verdict import Context, Verdict, judge
from pbx.laboratory.clips import Clip
from pbx.laboratory.measure import ASKED, IN_A_CALL, POLICY
from pbx.model.policy import RELEASE_BELOW

Track = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Story:
    """What the filter made of one caller, frame by frame (20 ms each)."""

    clip: Clip
    level: Track
    """dBFS of each frame."""
    floor: Track
    """The line's own floor as the filter saw it then, dBFS."""
    is_speech: NDArray[np.bool_]
    """webrtcvad's opinion."""
    person: Track
    """Belief so far that somebody is near, 0…1."""
    voices: Track
    """The same for any voice that is not our prompt."""
    heard: tuple[Heard, ...]
    passed: tuple[float, Heard] | None
    """When (seconds) somebody was surely there, and by what; None: never."""
    verdict: Verdict
    """By the strictest policy that a city may declare."""
    verdict_of_evaluate: Verdict
    """Where a clip is all we ever hear, a release asks for less."""


def explain(clip: Clip) -> Story:
    """Play a clip into a fresh detector and keep what it says after each frame."""
    detector, vad = Detector(), Vad()
    if clip.prompt is not None:
        detector.prompt_started(clip.prompt)
    passed: tuple[float, Heard] | None = None
    evidence: list[Evidence] = []
    speech: list[bool] = []
    for number, frame in enumerate(_frames(clip.pcm), 1):
        found = detector.push(frame)
        if found is not None and passed is None:
            passed = (number * FRAME_SECONDS, found)
        evidence.append(detector.evidence())
        speech.append(vad.is_speech(frame))
    context = Context(expected_frames=len(evidence), asked=ASKED)
    return Story(
        clip=clip,
        level=np.array([level_dbfs(frame) for frame in _frames(clip.pcm)]),
        floor=np.array([one.floor_dbfs for one in evidence]),
        is_speech=np.array(speech),
        person=np.array([one.person for one in evidence]),
        voices=np.array([one.voices for one in evidence]),
        heard=evidence[-1].heard,
        passed=passed,
        verdict=judge(evidence[-1], IN_A_CALL, context),
        verdict_of_evaluate=judge(evidence[-1], POLICY, context),
    )


def lines(story: Story) -> list[str]:
    """The same in words, for the terminal and above the picture."""
    verdict = story.verdict
    told = [
        f"{verdict.ruling}, because {verdict.reason} "
        f"(confidence {verdict.confidence:.2f})",
        verdict.because,
    ]
    if story.passed is not None:
        told.append(
            f"passed at {story.passed[0]:.2f} s, by {story.passed[1].sound}: "
            "nothing after that is waited for"
        )
    else:
        told.append(
            f"nobody surely there in {story.clip.seconds:.1f} s "
            f"(person {story.person[-1]:.2f}, any voice {story.voices[-1]:.2f}; "
            f"below {RELEASE_BELOW:.2f} may be released, from 0.90 on passes at once)"
        )
    other = story.verdict_of_evaluate
    if other.ruling is not verdict.ruling:
        told.append(
            f"`evaluate` counts it as {other.ruling}, because {other.reason}: it takes "
            f"a clip for all we ever hear and releases below {POLICY.release_below:.2f}"
        )
    told += [describe(heard) for heard in story.heard]
    return told


def describe(heard: Heard) -> str:
    """One sound in one line."""
    detail = f" {heard.detail}" if heard.detail else ""
    sign = "speaks for a person" if heard.sound in PERSON else "is no sign of a person"
    return (
        f"{heard.sound}{detail}: from {heard.from_frame * FRAME_SECONDS:.1f} s, "
        f"{heard.frames * FRAME_SECONDS:.1f} s in all, {heard.dbfs:.0f} dBFS, "
        f"{heard.over_floor_db:.0f} dB over floor, "
        f"confidence {heard.confidence:.2f}; {sign}"
    )


def level_dbfs(frame: bytes) -> float:
    """RMS of one frame below full scale, at least −96."""
    samples = np.frombuffer(frame, np.int16).astype(np.float64) / 32768
    mean_square = float(np.mean(samples**2))
    return max(LOWEST_DBFS, 10 * math.log10(mean_square + 1e-12))


def _frames(pcm: bytes) -> Iterable[bytes]:
    return (pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES))
