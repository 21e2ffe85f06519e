"""A learned rival: thirty figures of a clip and webrtcvad, judged by extra trees.

What an afternoon with scikit-learn (extra `rivals`) gives. It learns from the half
of the recordings on which its threshold is frozen; there each clip is scored by trees
that have not seen its recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ghostfilter.vad import FRAME_BYTES, Vad
from pbx.laboratory.audio import SAMPLE_RATE
from pbx.laboratory.corpus import Label, Row
from pbx.laboratory.frozen import Mask, ScoreFrom, Scores

WINDOW, HOP = 256, 160
"""32 ms every 20 ms."""
PITCH = slice(SAMPLE_RATE // 400, SAMPLE_RATE // 70)
"""Lags of a voice's period: 70–400 Hz."""
TREES, FOLDS, SEED = 300, 5, 112

Features = NDArray[np.float64]


@cache
def has_sklearn() -> bool:
    """Whether the extra `rivals` is installed, with all that it needs itself."""
    try:
        import sklearn.ensemble  # noqa: F401
    except ImportError:
        return False
    return True


def features(pcm: bytes) -> Features:
    """(34,): five figures of each of six tracks, and four of webrtcvad's."""
    samples = np.frombuffer(pcm, np.int16) / 32768.0
    padded = np.concatenate([np.zeros(WINDOW - HOP), samples])
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    found = [_shape(track) for track in _tracks(frames)]
    for mode in (2, 3):
        vad = Vad(mode)
        said = np.array(
            [
                vad.is_speech(pcm[at : at + FRAME_BYTES])
                for at in range(0, len(pcm), FRAME_BYTES)
            ]
        )
        found.append(np.array([said.mean(), _longest(said)]))
    return np.concatenate(found)


def extra_trees(rows: Sequence[Row], table: Features) -> ScoreFrom:
    """The belief in a person (0…1), learned from the marked half alone."""
    people = np.array([row.label is Label.SPEECH for row in rows])
    known = people | np.array([row.label is Label.GHOST for row in rows])
    groups = np.array([row.group for row in rows])

    def score(half: Mask) -> Scores:
        values = _learn(table[half & known], people[half & known], table)
        rng = np.random.default_rng(SEED)
        inside = sorted(set(groups[half].tolist()))
        for fold in np.array_split(rng.permutation(inside), FOLDS):
            left_out = half & np.isin(groups, fold)
            taught = half & known & ~left_out
            values[left_out] = _learn(table[taught], people[taught], table[left_out])
        return values

    return score


def _learn(table: Features, people: Mask, asked: Features) -> Scores:
    from sklearn.ensemble import ExtraTreesClassifier

    if not asked.size or len(set(people.tolist())) < 2:
        return np.zeros(len(asked))
    trees = ExtraTreesClassifier(TREES, min_samples_leaf=2, random_state=SEED)
    trees.fit(table, people)
    return np.asarray(trees.predict_proba(asked)[:, 1], float)


def _tracks(frames: Features) -> list[Features]:
    """Level, flatness, centroid, flux, zero crossings, harmonicity of each frame."""
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2 + 1e-10
    hertz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    shares = power / power.sum(axis=1, keepdims=True)
    correlated = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * WINDOW)) ** 2)
    pitch = correlated[:, PITCH].max(axis=1) / (correlated[:, 0] + 1e-9)
    return [
        10 * np.log10((frames**2).mean(axis=1) + 1e-10),
        np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1),
        shares @ hertz,
        np.abs(np.diff(shares, axis=0, prepend=shares[:1])).sum(axis=1),
        (np.diff(np.signbit(frames), axis=1) != 0).mean(axis=1),
        pitch,
    ]


def _shape(track: Features) -> Features:
    return np.array([*np.percentile(track, [10, 50, 90]), track.max(), track.std()])


def _longest(said: Mask) -> float:
    best = now = 0
    for one in said.tolist():
        now = now + 1 if one else 0
        best = max(best, now)
    return float(best)
