"""A folder with a manifest → the takes that calls are made of.

Level and length are measured on the clip, so that any folder will do. A ghost with a
foreign prompt mixed in is left out: in our calls only our own prompts come back, and
another one would be a stranger's voice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pbx.laboratory.audio import read_samples
from pbx.laboratory.corpus import Label, Row, read_corpus
from pbx.laboratory.dialogue.sounds import RATE, Samples
from pbx.laboratory.dialogue.stock import Stock, Take
from pbx.laboratory.onset import onset_seconds
from pbx.laboratory.unheard import was_heard

PROMPT_ECHO = "prompt_echo"
ACTIVE_DB = 20.0
"""Frames within this of the loudest belong to the sound."""
LONGEST_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a folder."""

    stock: Stock
    left_out: int
    """Ghosts with a foreign prompt in them."""
    is_heard: bool = False
    """The net that ships learned from some of it: `pbx.laboratory.unheard`."""


def read_stock(folder: Path, only: Iterable[str] | None = None) -> Taken:
    """Read every clip; `only`: groups to use (cross-validation). Raises CorpusError,
    AudioError."""
    corpus = read_corpus(folder)
    groups = None if only is None else frozenset(only)
    takes, left_out = [], 0
    for row in corpus.rows:
        if groups is not None and row.group not in groups:
            continue
        if row.label is Label.GHOST and row.prompt and row.kind != PROMPT_ECHO:
            left_out += 1
            continue
        samples = read_samples(corpus.file(row)).astype(np.float32) / np.float32(32768)
        takes.append(take_of(row, samples))
    return Taken(Stock(takes), left_out, was_heard(corpus))


def take_of(row: Row, samples: Samples) -> Take:
    """A clip, measured."""
    begins = row.speech_start or 0.0
    levels = frame_levels(samples[round(begins * RATE) :])
    loudest = float(levels.max(initial=-96.0))
    active = np.flatnonzero(levels >= loudest - ACTIVE_DB)
    seconds = 0.02 * float(active[-1] + 1) if active.size else 0.0
    power = 10 ** (levels[active] / 10) if active.size else np.full(1, 1e-9)
    return Take(
        name=row.path,
        label=row.label.value,
        kind=row.kind,
        group=row.group,
        level_dbfs=10 * float(np.log10(power.mean())),
        is_clean=row.snr_db is None,
        from_seconds=begins,
        late_seconds=onset_seconds(samples, begins),
        active_seconds=min(seconds, LONGEST_SECONDS),
        is_coded=row.codec not in ("", "pcma", "pcmu"),
        samples=samples,
    )


def frame_levels(samples: Samples) -> Samples:
    """RMS of each 20 ms, dBFS, at least −96."""
    frames = samples[: samples.size // 160 * 160].reshape(-1, 160)
    power = np.einsum("ij,ij->i", frames, frames) / 160
    return np.asarray(10 * np.log10(np.maximum(power, 2.6e-10)), np.float32)
