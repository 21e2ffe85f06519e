"""Weights that have not heard a clip: how a net is judged by what it learned from.

The weights that ship have heard the open clips of the development corpus. `make train`
also makes one net for each fifth of that corpus's recordings, which heard the same
packages and the open clips of the other four fifths. The development corpus is known by
its manifest's checksum; each of its clips is judged by the net that heard none of its
group. Any other folder is judged by the weights that ship.
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
    """Of the manifest: by it a corpus is known again."""
    return hashlib.sha256((corpus.folder / MANIFEST).read_bytes()).hexdigest()


def was_heard(corpus: Corpus) -> bool:
    """Whether the weights that ship learned from this corpus."""
    return checksum(corpus) == _known().manifest_sha256


def detectors_for(corpus: Corpus, *, shipped: bool = False) -> MakeDetector:
    """What judges this corpus's clips as strangers would be judged.

    `shipped`: the weights that ship, whatever they heard.
    """
    if not was_heard(corpus):
        return fresh_detector
    return hearer_detector if shipped else unheard_detector


def unheard_detector(row: Row) -> Ears:
    """By the net that heard nothing of the row's group."""
    weights = unheard_weights(row.group)
    return Ears(Detector(weights), is_fresh=weights is not None)


def hearer_detector(row: Row) -> Ears:
    """By the weights that ship, which may have heard the row's group."""
    return Ears(Detector(), is_fresh=row.group not in _folds())


def unheard_weights(group: str) -> Weights | None:
    """The net that heard nothing of a group; None: no net is known to."""
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
