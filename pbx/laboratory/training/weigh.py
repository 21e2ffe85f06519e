"""`python -m pbx.laboratory.training.weigh CORPUS`: what `ghostfilter.weighing` counts.

Whole calls of the open clips are played, each to a net that has not heard its group and
is never sure; frames of pockets against the first 0.9 s of what people say, both half
of all, by logistic regression. Needs scipy: `gerbang install --dev`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.optimize import minimize
from scipy.special import expit

from ghostfilter.belief import NOBODY
from ghostfilter.echo import Echo
from ghostfilter.features import Features
from ghostfilter.net import Net, Weights, shipped_weights
from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.spectra import FRAME_BYTES, Blocks
from ghostfilter.sums import MEL
from ghostfilter.tones import Tones
from ghostfilter.weighing import SCALE, SEEN, Shares, Weighing
from pbx.laboratory.audio import AudioError
from pbx.laboratory.corpus import CorpusError, Label, read_corpus
from pbx.laboratory.dialogue.house import usual_house
from pbx.laboratory.dialogue.pockets import POCKET_MIX
from pbx.laboratory.dialogue.run import Played, Theatre
from pbx.laboratory.dialogue.scene import Scene
from pbx.laboratory.dialogue.takes import read_stock
from pbx.laboratory.training.recorded import trainable
from pbx.settings import Settings

SEED, CALLS = 2026, 10_000
DRIFT = 4.0
"""Log-odds that a frame must have to speak for somebody: one frame proves little."""
FIRST_FRAME, LAST_FRAME = 2, 45
"""Of what somebody says."""
PERSON_STEP, POCKET_STEP = 2, 4
"""Neighbouring frames say the same."""
NUDGE = 1e-4
_AT_ONCE_SECONDS = 0.5
"""Who speaks sooner is heard before anything is known of the line."""


class Silent(Theatre):
    """Calls in which nobody passes by what he says."""

    def _weights(self, scene: Scene) -> Weights:
        return replace(
            super()._weights(scene) or shipped_weights(),
            sure=np.full(2, np.inf, np.float32),
        )

    def heard(self, index: int, is_open: frozenset[str]) -> Heard | None:
        """What is to be learned of a call; None: nothing."""
        scene = self.drafted(index).scene
        if (
            not is_open.issuperset(scene.clips)
            or scene.line.gap_from_seconds is not None
        ):
            return None
        is_pocket = scene.label == Label.GHOST and scene.kind in POCKET_MIX
        begins = [
            begin
            for begin, _ in scene.words
            if begin >= _AT_ONCE_SECONDS and scene.label == Label.SPEECH
        ]
        if not (is_pocket or begins):
            return None
        seen = _seen(self.play(index), self._weights(scene))
        if is_pocket:
            return Heard(seen[::POCKET_STEP], is_person=False)
        at = round(begins[0] / FRAME_SECONDS)
        said = seen[at + FIRST_FRAME : at + LAST_FRAME : PERSON_STEP]
        return Heard(said, is_person=True)


@dataclass(frozen=True, slots=True)
class Heard:
    """Some frames of a call."""

    seen: NDArray[np.float32]
    """(frames, 6)"""
    is_person: bool


def _seen(played: Played, weights: Weights) -> NDArray[np.float32]:
    """(frames, 6): what the filter would weigh, as `Detector` hears it."""
    blocks, echo, features, tones = Blocks(), Echo(), Features(), Tones()
    net, weighing, found = Net(weights), Weighing(), []
    starts = {at // (FRAME_BYTES // 2): pcm for at, pcm in played.prompts}
    for tick, frame in enumerate(played.frames):
        if tick in starts:
            echo.started(starts[tick], blocks.frames)
        block = None if frame is None else blocks.push(frame)
        if block is None:
            continue
        tones.push(block)
        bands = echo.without(block.sums[:, MEL].copy(), block.first_frame)
        made = features.of(block, bands, echo.explained, echo.correlation)
        logits = net.push(made)
        logits[tones.machine()] = NOBODY
        found.append(weighing.see(logits, block.levels).T.copy())
    return np.concatenate(found) if found else np.empty((0, SEEN), np.float32)


def learn(seen: NDArray[np.float32], is_person: NDArray[np.bool_]) -> Shares:
    """(frames, 6), (frames,) → what each counts; people and pockets count alike."""
    mean, spread = seen.mean(0), seen.std(0) + 1e-6
    rows = np.column_stack(((seen - mean) / spread, np.ones(len(seen))))
    signs = np.where(is_person, 1.0, -1.0)
    share = is_person.mean()
    alike = np.where(is_person, 0.5 / share, 0.5 / (1.0 - share)) / len(seen)

    def loss(factors: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (rows @ factors)
        away = float(alike @ np.logaddexp(0.0, -margins)) + NUDGE * float(
            factors @ factors
        )
        slope = rows.T @ (-signs * alike * expit(-margins)) + 2 * NUDGE * factors
        return away, slope

    found = minimize(loss, np.zeros(SEEN + 1), jac=True, method="L-BFGS-B").x
    counts = found[:SEEN] / spread
    always = found[SEEN] - counts @ mean - DRIFT
    return Shares(*(round(SCALE * float(one), 4) for one in (*counts, always)))


def main() -> None:
    """Play, learn, and print what to write into `ghostfilter/weighing.py`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--calls", type=int, default=CALLS)
    wanted = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    try:
        read_corpus(wanted.corpus)
    except (AudioError, CorpusError) as error:
        raise SystemExit(f"weigh: {error}") from error
    with context.Pool(os.cpu_count(), _tell, (wanted.corpus, wanted.seed)) as pool:
        played = pool.imap(_hear, range(wanted.calls), 20)
        calls = [
            heard
            for heard in track(played, "listening to calls", total=wanted.calls)
            if heard is not None
        ]
    Console().print(told(calls))


def told(calls: Sequence[Heard]) -> str:
    """The shares, and of how many calls and frames they are made."""
    seen = np.concatenate([call.seen for call in calls])
    is_person = np.repeat([c.is_person for c in calls], [len(c.seen) for c in calls])
    shares = learn(seen, is_person)
    people = sum(call.is_person for call in calls)
    lines = [f"    {one.name}={getattr(shares, one.name)}," for one in fields(Shares)]
    return "\n".join(
        (
            f"{people} people, {len(calls) - people} pockets, {len(seen)} frames",
            "SHARES = Shares(",
            *lines,
            ")",
        )
    )


_where: tuple[Path, int] | None = None


def _tell(corpus: Path, seed: int) -> None:
    global _where
    _where = corpus, seed


@cache
def _opened() -> tuple[Silent, frozenset[str]]:
    assert _where is not None  # noqa: S101 - the pool calls `_tell` first
    corpus, seed = _where
    is_open = frozenset(row.path for row in trainable(read_corpus(corpus)))
    return Silent(usual_house(Settings()), read_stock(corpus), seed), is_open


def _hear(index: int) -> Heard | None:
    theatre, is_open = _opened()
    return theatre.heard(index, is_open)


if __name__ == "__main__":
    main()
