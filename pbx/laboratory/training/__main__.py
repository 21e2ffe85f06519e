"""`make train`: open material → training clips → the net's weights and their card."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from pbx.laboratory.audio import AudioError
from pbx.laboratory.cache import cache_folder, load
from pbx.laboratory.codecs import CodecError
from pbx.laboratory.corpus import Corpus, CorpusError, read_corpus
from pbx.laboratory.material import MaterialError
from pbx.laboratory.packages import sha256_of
from pbx.laboratory.training.examples import (
    LABELS,
    Examples,
    chosen,
    join,
    make_examples,
)
from pbx.laboratory.training.learn import (
    CHANNELS,
    TRUTH_SHARE,
    Listener,
    Progressed,
    learn,
    write,
)
from pbx.laboratory.training.recorded import recorded_examples, trainable
from pbx.laboratory.unheard import (
    FOLDER,
    FOLDS,
    checksum,
    make_folds,
    weights_file,
    write_list,
)

WEIGHTS = Path("ghostfilter/weights/listener.npz")
EXAMPLES = 60_000
EPOCHS = 8
AGAIN, MORE, COPIES = 15_000, 6_000, 12
"""A corpus's clips, each so many times, are learned with examples that the nets know
and, for the weights that ship, with more that hold what its folds must not hear."""
EPOCHS_TEACHER, EPOCHS_PUPIL = 3, 2
WIDE, EPOCHS_WIDE = 128, 6
"""Channels of a net that no call could afford …"""
LAST, TRUTH_LAST = 36_000, 0.3
"""… and that teaches last, on so many new examples, more than the truth does."""
SEED = 112
DOUBT = (-4.8, -1.26)
SURE = (35.0, 42.0)
"""Near person, any voice: the logits where the slow belief is 0.5, in a line with
noise, and the sums from which on somebody is surely there (near: of what
`ghostfilter.weighing` makes of the logits; any voice: of logits). Chosen on the
development corpus, each clip judged by a net that had heard nothing of its group:
ghostfilter-model-card.md."""


@dataclass
class Training:
    """One run: what was asked for, and what is told of it."""

    wanted: argparse.Namespace
    console: Console = field(default_factory=Console)
    started: float = field(default_factory=time.monotonic)
    losses: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def learn(
        self,
        name: str,
        examples: Examples,
        epochs: int,
        *,
        after: Listener | None = None,
        teachers: Sequence[Listener] = (),
        truth_share: float = TRUTH_SHARE,
        channels: int = CHANNELS,
    ) -> Listener:
        """A net, told epoch by epoch."""
        told = self.losses.setdefault(name, [])

        def tell(progressed: Progressed) -> None:
            told.append(asdict(progressed))
            self.console.print(
                f"{name}: epoch {progressed.epoch + 1} of {epochs}: "
                f"loss {progressed.loss:.4f} "
                f"({time.monotonic() - self.started:.0f} s)"
            )

        return learn(
            examples,
            epochs,
            self.wanted.seed,
            tell,
            after=after,
            teachers=teachers,
            truth_share=truth_share,
            channels=channels,
        )

    def write(self, net: Listener, path: Path) -> None:
        """The weights, with this module's thresholds."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write(net, path, list(DOUBT), list(SURE))


@dataclass(frozen=True, slots=True)
class Schooled:
    """What every net that judges or ships is made of."""

    plain: Listener
    pockets: Listener
    wide: Listener
    """Heard what both heard."""
    again: Examples
    """What the second heard, in part."""
    new: Examples
    """What none has heard."""


def main() -> None:
    """Train, write, and say what was done."""
    wanted = _arguments()
    training = Training(wanted)
    try:
        pieces = load()
        corpus = None if wanted.corpus is None else read_corpus(wanted.corpus)
        avoided = frozenset(o for p in pieces for o in p.entry.overlaps.split())
        schooled = _schooled(training, avoided)
        if corpus is None:
            training.console.print("no --corpus: these weights heard packages only")
            net = _pupil(training, "shipping", schooled, schooled.again)
            some = schooled.again
            net = _taught_by_the_wide(training, "shipping", schooled, net, some)
            heard: dict[str, Any] = {"avoided_sources": sorted(avoided)}
        else:
            net, heard = _with_corpus(training, schooled, corpus)
    except (AudioError, CodecError, CorpusError, MaterialError) as error:
        raise SystemExit(f"train: {error}") from error
    training.write(net, wanted.out)
    card = {
        "examples": wanted.examples,
        "epochs": wanted.epochs,
        "seed": wanted.seed,
        "channels": CHANNELS,
        "wide_channels": WIDE,
        "epochs_wide": wanted.epochs_wide,
        "last_examples": wanted.last,
        "parameters": sum(p.numel() for p in net.parameters()),
        "doubt": DOUBT,
        "sure": SURE,
        "weights_sha256": sha256_of(wanted.out),
        "material_sha256": sha256_of(cache_folder() / "manifest.csv"),
        "material_pieces": len(pieces),
        **heard,
        "losses": training.losses,
    }
    wanted.out.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    training.console.print(
        f"{wanted.out}: written; now: gerbang ghostfilter evaluate CORPUS"
    )


def _schooled(training: Training, avoided: frozenset[str]) -> Schooled:
    """Nets that heard packages and rules only, and err differently."""
    wanted, nets, heard = training.wanted, [], []
    for name, has_pockets in (("plain", False), ("pockets", True)):
        seed = wanted.seed + has_pockets
        made = make_examples(wanted.examples, seed, avoided, has_pockets=has_pockets)
        nets.append(training.learn(name, made, wanted.epochs))
        heard.append(made)
    wide = training.learn("wide", join(heard), wanted.epochs_wide, channels=WIDE)
    again = chosen(heard[1], np.arange(min(AGAIN, len(heard[1].label))))
    new = make_examples(wanted.last, wanted.seed + 3, avoided)
    return Schooled(nets[0], nets[1], wide, again, new)


def _pupil(
    training: Training, name: str, schooled: Schooled, examples: Examples
) -> Listener:
    """One net that learns these examples, and what two think of them."""
    tuned = training.learn(
        f"{name}, teacher", examples, EPOCHS_TEACHER, after=schooled.pockets
    )
    teachers = (schooled.plain, tuned)
    return training.learn(
        name, examples, EPOCHS_PUPIL, after=schooled.plain, teachers=teachers
    )


def _taught_by_the_wide(
    training: Training, name: str, schooled: Schooled, net: Listener, own: Examples
) -> Listener:
    """The net once more, on what is new, by its own opinion and a wider net's."""
    return training.learn(
        f"{name}, last",
        join([schooled.new, own]),
        1,
        after=net,
        teachers=(net, schooled.wide),
        truth_share=TRUTH_LAST,
    )


def _with_corpus(
    training: Training, schooled: Schooled, corpus: Corpus
) -> tuple[Listener, dict[str, Any]]:
    """The net that ships, after one for each fold that heard nothing of the fold."""
    wanted, again = training.wanted, schooled.again
    rows = trainable(corpus)
    own = recorded_examples(corpus, rows, COPIES, wanted.seed)
    folds = make_folds((row.group for row in corpus.rows), wanted.seed)
    fold_of = np.repeat([folds[row.group] for row in rows], COPIES)
    for fold in range(FOLDS):
        kept = chosen(own, np.flatnonzero(fold_of != fold))
        name = f"without {fold}"
        net = _pupil(training, name, schooled, join([again, kept]))
        net = _taught_by_the_wide(training, name, schooled, net, kept)
        training.write(net, weights_file(fold, wanted.folds))
    write_list(corpus, folds, wanted.folds)
    more = make_examples(MORE, wanted.seed + 2, frozenset())
    net = _pupil(training, "shipping", schooled, join([again, more, own]))
    net = _taught_by_the_wide(training, "shipping", schooled, net, join([more, own]))
    return net, {
        "corpus_manifest_sha256": checksum(corpus),
        "corpus_rows": len(rows),
        "corpus_examples": _counted(own),
        "more_examples": _counted(more),
        "again_examples": len(again.label),
        "folds": FOLDS,
    }


def _counted(examples: Examples) -> dict[str, int]:
    return {
        name: int((examples.label == label).sum()) for name, label in LABELS.items()
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pbx.laboratory.training", description=__doc__
    )
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--epochs-wide", type=int, default=EPOCHS_WIDE)
    parser.add_argument("--last", type=int, default=LAST)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--corpus", type=Path, help="learn from its open rows, too, and make folds"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--folds", type=Path, default=FOLDER)
    return parser.parse_args()


if __name__ == "__main__":
    main()
