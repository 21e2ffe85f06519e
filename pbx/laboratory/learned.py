"""A learned rival: thirty figures of a clip and webrtcvad, judged by extra trees.

What an afternoon with scikit-learn (extra `rivals`) gives. It learns from the half
of the recordings on which its threshold is frozen; there each clip is scored by trees
that have not seen its recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby, pairwise

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
VOICED = 0.6
HERTZ = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
BANDS = (80, 300, 700, 1200, 2000, 2800, 3600)
RHYTHMS = (0.2, 2, 4, 8, 16)
"""Hz; syllables are at 2–8."""
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
    """(34,): thirty of the clip's louder frames and its rhythm, four of webrtcvad's."""
    samples = np.frombuffer(pcm, np.int16) / 32768.0
    padded = np.concatenate([np.zeros(WINDOW - HOP), samples])
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2 + 1e-10
    tracks = _tracks(frames, power)
    level, pitch = tracks[0], tracks[-1]
    floor = float(np.percentile(level, 20))
    top = float(np.percentile(level, 80))
    is_loud = level > max(floor + 6, top - 3)
    if not is_loud.any():
        is_loud[:] = True
    bands = _bands(power)
    return np.concatenate(
        [
            [
                figure
                for t in tracks
                for figure in (t[is_loud].mean(), t[is_loud].std())
            ],
            _rhythm(np.maximum(level - floor, 0)),
            bands[is_loud].mean(axis=0) - bands[is_loud].mean(),
            bands.std(axis=0),
            [(pitch > VOICED).mean(), (pitch[is_loud] > VOICED).mean()],
            *(_webrtcvad(pcm, mode) for mode in (2, 3)),
        ]
    )


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


def _tracks(frames: Features, power: Features) -> list[Features]:
    """Level, flatness, centroid, flux, zero crossings, harmonicity of each frame."""
    shares = power / power.sum(axis=1, keepdims=True)
    correlated = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * WINDOW)) ** 2)
    return [
        10 * np.log10((frames**2).mean(axis=1) + 1e-10),
        np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1),
        shares @ HERTZ,
        np.abs(np.diff(shares, axis=0, prepend=shares[:1])).sum(axis=1),
        (np.diff(np.signbit(frames), axis=1) != 0).mean(axis=1),
        correlated[:, PITCH].max(axis=1) / (correlated[:, 0] + 1e-9),
    ]


def _bands(power: Features) -> Features:
    """(frames, 6) dB."""
    hertz = HERTZ
    within = [(hertz >= low) & (hertz < high) for low, high in pairwise(BANDS)]
    return np.stack([10 * np.log10(power[:, w].sum(axis=1)) for w in within], axis=1)


def _rhythm(over_floor: Features) -> Features:
    """How much of the level's movement is slow, of syllables, or fast."""
    moving = np.abs(np.fft.rfft(over_floor - over_floor.mean(), 512)) ** 2
    hertz = np.fft.rfftfreq(512, HOP / SAMPLE_RATE)
    whole = moving[1:].sum() + 1e-9
    return np.array(
        [
            moving[(hertz >= low) & (hertz < high)].sum() / whole
            for low, high in pairwise(RHYTHMS)
        ]
    )


def _webrtcvad(pcm: bytes, mode: int) -> Features:
    """The share of speech, and its longest stretch in frames."""
    vad = Vad(mode)
    starts = range(0, len(pcm), FRAME_BYTES)
    said = [vad.is_speech(pcm[at : at + FRAME_BYTES]) for at in starts]
    longest = max(
        (sum(1 for _ in run) for is_voice, run in groupby(said) if is_voice), default=0
    )
    return np.array([np.mean(said), longest])
