"""A corpus's own clips as examples: the open ones, each told in several ways.

They have been down a telephone line already, so they are only varied as another phone
and another network would: louder, duller, coded once more, with a noise behind, begun
later, packets missing. What the manifest does not say frame by frame is left unknown.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from ghostfilter.features import FEATURES
from pbx.laboratory.clips import read_clip
from pbx.laboratory.codecs import CODECS, Pcm, through_codec
from pbx.laboratory.corpus import Corpus, Label, Row
from pbx.laboratory.recipe import (
    NOBODY,
    RULES,
    SOMEBODY,
    UNKNOWN,
    at_once,
    packets_missing,
)
from pbx.laboratory.training.examples import (
    FRAMES,
    LABELS,
    Examples,
    features_of,
    join,
)
from pbx.laboratory.transforms import FRAME, at_level, frame_power, shape, to_pcm
from pbx.laboratory.transforms import to_sound as as_sound

GAIN_DB = (-12.0, 8.0)
COLOUR_DB = 2.0
"""Spread of the tilt, dB an octave."""
CODED_SHARE = 0.3
NOISY_SHARE = 0.3
NOISE_DB = (8.0, 25.0)
"""So far below the clip's loudest parts: nobody is buried by it."""
SOFTEST_DBFS, LOUDEST_DBFS = -44.0, -6.0
LATE_SHARE = 0.5
LATEST_FRAMES = 60
SPOKEN_DB, OVER_FLOOR_DB = 20.0, 10.0
"""A frame of a clean clip is spoken that is so near its loudest, so far over its
floor …"""
CLEAN_SNR_DB = 10.0
EARLY_FRAMES = 15
"""… and begins no earlier than this before the manifest says."""


@dataclass(frozen=True, slots=True)
class Take:
    """A clip on the way to an example."""

    pcm: Pcm
    near: NDArray[np.uint8]
    prompt: Pcm | None


def trainable(corpus: Corpus) -> list[Row]:
    """Rows that weights which ship may learn from, and whose label says something."""
    return [row for row in corpus.rows if row.is_open and row.label in LABELS]


def recorded_examples(
    corpus: Corpus,
    rows: Sequence[Row],
    copies: int,
    seed: int,
    jobs: int | None = None,
) -> Examples:
    """`copies` of each row, each varied anew; by rows, in their order.

    Raises AudioError for a clip that cannot be read, CodecError without a codec.
    """
    parts = []
    work = partial(_examples, corpus, copies, seed)
    with Progress() as progress, ProcessPoolExecutor(jobs or os.cpu_count()) as pool:
        task = progress.add_task("varying recorded clips", total=len(rows))
        for part in pool.map(work, rows, chunksize=8):
            parts.append(part)
            progress.advance(task)
    return join(parts)


def _examples(corpus: Corpus, copies: int, seed: int, row: Row) -> Examples:
    clip = read_clip(corpus, row)
    pcm = np.frombuffer(clip.pcm, np.int16)
    prompt = None if clip.prompt is None else np.frombuffer(clip.prompt, np.int16)
    take = Take(pcm, who_is_near(row, pcm), prompt)
    features = np.empty((copies, FRAMES, FEATURES), np.float16)
    near = np.empty((copies, FRAMES), np.uint8)
    for number in range(copies):
        varied = vary(take, np.random.default_rng((seed, row.line, number)))
        pcm = np.resize(varied.pcm, FRAMES * FRAME)
        features[number] = features_of(pcm, varied.prompt)
        near[number] = UNKNOWN if row.label is Label.SPEECH else NOBODY
        near[number, : len(varied.near)] = varied.near[:FRAMES]
    voice = near.copy()
    if row.label is Label.DISTANT:
        voice[:] = SOMEBODY
    label = np.full(copies, LABELS[row.label], np.int8)
    return Examples(features, near, voice, label, np.ones(copies, np.float32))


def who_is_near(row: Row, pcm: Pcm) -> NDArray[np.uint8]:
    """(frames,) NOBODY, SOMEBODY or UNKNOWN, as far as the manifest can say it."""
    power = frame_power(as_sound(pcm))
    near = np.full(len(power), NOBODY, np.uint8)
    if row.label is not Label.SPEECH:
        return near
    start = 0
    if row.speech_start is not None:
        start = max(0, int(row.speech_start * 50) - EARLY_FRAMES)
    near[start:] = UNKNOWN
    is_clean = row.snr_db is None or row.snr_db >= CLEAN_SNR_DB
    if is_clean and not row.prompt:
        level = 10 * np.log10(power + 1e-10)
        least = max(level.max() - SPOKEN_DB, np.percentile(level, 10) + OVER_FLOOR_DB)
        spoken = level >= least
        spoken[:start] = False
        near[spoken] = SOMEBODY
    return near


def vary(take: Take, rng: np.random.Generator) -> Take:
    """The same caller on another phone and another line."""
    sound, near = as_sound(take.pcm), take.near
    frames = len(near)
    if take.prompt is None and rng.random() < LATE_SHARE:
        late = int(rng.integers(LATEST_FRAMES))
        sound = np.concatenate([np.zeros(late * FRAME), sound])[: frames * FRAME]
        before = np.full(late, NOBODY, np.uint8)
        near = np.concatenate([before, near])[:frames]
    elif take.prompt is None:
        sound, near = at_once(sound, near, rng)
    sound = shape(sound, tilt_db_per_octave=float(rng.normal(0, COLOUR_DB)))
    loudest = 10 * np.log10(np.percentile(frame_power(sound), 95) + 1e-10)
    if rng.random() < NOISY_SHARE:
        kind = str(rng.choice(["comfort_noise", "wind", "fan", "engine", "water"]))
        behind = float(loudest - rng.uniform(*NOISE_DB))
        sound = sound + at_level(RULES[kind](len(sound), rng), behind)
    hiss = 10 ** (rng.uniform(-80, -62) / 20) * rng.standard_normal(len(sound))
    gain = float(rng.uniform(*GAIN_DB))
    gain = min(max(gain, min(0.0, SOFTEST_DBFS - loudest)), LOUDEST_DBFS - loudest)
    codec = str(rng.choice(CODECS)) if rng.random() < CODED_SHARE else "pcma"
    pcm = through_codec(to_pcm(sound * 10 ** (gain / 20) + hiss), codec)
    return Take(*packets_missing(pcm, near, rng), take.prompt)
