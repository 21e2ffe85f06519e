"""Weights that have not heard a clip: how a net is judged by what it learned from.

The weights that ship have heard the open clips of the development corpus. `make train`
also makes one net for each fifth of that corpus's recordings, which heard the same
packages and the open clips of the other four fifths. A clip whose group is one of that
corpus's is judged by the net that heard none of it, wherever the clip lies now: in the
corpus, in a part of it, in a copy. Every other is judged by the weights that ship.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ghostfilter.detector import Detector
from ghostfilter.net import Weights, read_weights
from pbx.laboratory.corpus import MANIFEST, Corpus, Row
from pbx.laboratory.measure import Ears, MakeDetector, fresh_detector

FOLDS = 5
FOLDER = Path(__file__).with_name("folds")
LIST = "folds.json"


@dataclass(frozen=True, slots=True)
class Known:
    """What `make train` remembers of the corpus it learned from."""

    manifest_sha256: str
    """Of the corpus as it was then: the model card names it as well."""
    folds: dict[str, int]
    """Group → the number of the net that heard nothing of it."""


def make_folds(groups: Iterable[str], seed: int) -> dict[str, int]:
    """Which fold each group (recording, speaker) is judged in; the same for a seed."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[place]: number % FOLDS for number, place in enumerate(order)}


def weights_file(fold: int, folder: Path) -> Path:
    """Where the net lies that heard nothing of a fold."""
    return folder / f"fold{fold}.npz"


def write_list(corpus: Corpus, folds: dict[str, int], folder: Path) -> None:
    """Remember which corpus was learned from, and its folds."""
    known = asdict(Known(checksum(corpus), folds))
    (folder / LIST).write_text(json.dumps(known, indent=0, sort_keys=True) + "\n")


def checksum(corpus: Corpus) -> str:
    """Of the manifest: which corpus was learned from."""
    return hashlib.sha256((corpus.folder / MANIFEST).read_bytes()).hexdigest()


def clips_heard(corpus: Corpus) -> int:
    """How many clips are of recordings that the weights that ship may have heard."""
    return sum(row.group in _folds() for row in corpus.rows)


def was_heard(corpus: Corpus) -> bool:
    """Whether there are such clips."""
    return clips_heard(corpus) > 0


def detectors_for(corpus: Corpus, *, shipped: bool = False) -> MakeDetector:
    """What judges this corpus's clips as strangers would be judged.

    `shipped`: the weights that ship, whatever they heard.
    """
    if not was_heard(corpus):
        return fresh_detector
    return hearer_detector if shipped else unheard_detector


def unheard_detector(row: Row) -> Ears:
    """By a net that heard nothing of the row's group: the one that ships, if it may."""
    return Ears(Detector(unheard_weights(row.group)))


def hearer_detector(row: Row) -> Ears:
    """By the weights that ship, which may have heard the row's group."""
    return Ears(Detector(), is_fresh=row.group not in _folds())


def unheard_weights(group: str) -> Weights | None:
    """The net that heard nothing of a group; None: none has, nor what ships."""
    fold = _folds().get(group)
    return None if fold is None else _weights(fold)


def _folds() -> dict[str, int]:
    return _known().folds


@lru_cache(maxsize=1)
def _known() -> Known:
    file = FOLDER / LIST
    return Known(**json.loads(file.read_text())) if file.is_file() else Known("", {})


@lru_cache(maxsize=FOLDS)
def _weights(fold: int) -> Weights:
    return read_weights(weights_file(fold, FOLDER).read_bytes())
