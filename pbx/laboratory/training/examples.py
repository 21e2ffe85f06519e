"""Training clips as the net sees them: features and who was near, frame by frame.

The features come from the very code that listens to callers, so the net is trained on
what it will hear.
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

from ghostfilter.echo import Echo
from ghostfilter.features import FEATURES, Features, mel_power
from ghostfilter.spectra import Blocks
from ghostfilter.vad import FRAME_BYTES
from pbx.laboratory.cache import Piece, load
from pbx.laboratory.codecs import Pcm
from pbx.laboratory.recipe import NOBODY, UNKNOWN, Clip, make_clips

FRAMES = 320
"""6.4 s: shorter clips are repeated, longer ones cut."""
GHOST, SPEECH, DISTANT = 0, 1, 2
LABELS = {"ghost": GHOST, "speech": SPEECH, "distant": DISTANT}
HEARD_FRAMES = 6
"""Speech of which less is heard than this counts little: it is buried in noise."""
BURIED_WEIGHT = 0.3
BATCH = 500
PROMPT_SOURCES = frozenset({"asterisk-prompt-fr-armelle", "asterisk-prompt-it-menardi"})
PROMPT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Examples:
    """Many clips of FRAMES frames each."""

    features: NDArray[np.float16]
    """(clips, FRAMES, 54)"""
    near: NDArray[np.uint8]
    """(clips, FRAMES): NOBODY, SOMEBODY or UNKNOWN near the phone."""
    voice: NDArray[np.uint8]
    """The same for any voice."""
    label: NDArray[np.int8]
    """(clips,): GHOST, SPEECH or DISTANT."""
    weight: NDArray[np.float32]
    """(clips,): how much a clip counts."""


def make_examples(
    count: int,
    seed: int,
    avoid: frozenset[str],
    *,
    has_pockets: bool = True,
    jobs: int | None = None,
) -> Examples:
    """`count` clips; the same for the same seed, whatever the number of processes.

    `avoid` names sources of the corpus whose recordings must not be heard;
    `has_pockets` as `recipe.make_clips` has it. Raises MaterialError when there is no
    training material, CodecError without a codec.
    """
    sizes = [min(BATCH, count - at) for at in range(0, count, BATCH)]
    seeds = [
        int(s.generate_state(1)[0])
        for s in np.random.SeedSequence(seed).spawn(len(sizes))
    ]
    parts = []
    with (
        Progress() as progress,
        ProcessPoolExecutor(jobs or os.cpu_count()) as pool,
    ):
        task = progress.add_task("making clips", total=count)
        batch = partial(_batch, avoid=avoid, has_pockets=has_pockets)
        for part in pool.map(batch, sizes, seeds):
            parts.append(part)
            progress.advance(task, len(part.label))
    return join(parts)


def join(parts: Sequence[Examples]) -> Examples:
    """Several as one."""
    return Examples(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("features", "near", "voice", "label", "weight")
        )
    )


def chosen(examples: Examples, which: NDArray[np.intp]) -> Examples:
    """Some of them."""
    return Examples(
        *(
            getattr(examples, name)[which]
            for name in ("features", "near", "voice", "label", "weight")
        )
    )


def features_of(pcm: Pcm, prompt: Pcm | None) -> NDArray[np.float32]:
    """(frames, 54) of a clip's whole blocks; `prompt` is sent from its first frame."""
    blocks, echo, features = Blocks(), Echo(), Features()
    if prompt is not None:
        echo.started(prompt.astype("<i2").tobytes(), 0)
    audio = pcm.astype("<i2").tobytes()
    found = []
    for at in range(0, len(audio) - FRAME_BYTES + 1, FRAME_BYTES):
        block = blocks.push(audio[at : at + FRAME_BYTES])
        if block is not None:
            bands = echo.without(mel_power(block.power), block.first_frame)
            found.append(features.of(block, bands, echo.explained, echo.correlation))
    return np.concatenate(found)


def _batch(
    count: int, seed: int, avoid: frozenset[str], *, has_pockets: bool
) -> Examples:
    pieces = load()
    clips = make_clips(
        pieces,
        count,
        seed,
        avoid=avoid,
        prompts=_prompts(pieces),
        has_pockets=has_pockets,
    )
    known = [clip for clip in clips if clip.label in LABELS]
    near = np.stack([_fitted(clip.near) for clip in known])
    label = np.array([LABELS[clip.label] for clip in known], np.int8)
    voice = near.copy()
    voice[label == DISTANT] = 1
    heard = (near == 1).sum(axis=1)
    weight = np.where(
        (label == SPEECH) & (heard < HEARD_FRAMES), BURIED_WEIGHT, 1.0
    ).astype(np.float32)
    features = np.empty((len(known), FRAMES, FEATURES), np.float16)
    for number, clip in enumerate(known):
        features[number] = _heard(clip)
    return Examples(features, near, voice, label, weight)


def _heard(clip: Clip) -> NDArray[np.float32]:
    samples = FRAMES * FRAME_BYTES // 2
    return features_of(np.resize(clip.pcm, samples), clip.prompt)


def _fitted(near: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """FRAMES of them; where a clip was repeated nothing is claimed."""
    out = np.full(FRAMES, UNKNOWN if near.any() else NOBODY, np.uint8)
    out[: len(near)] = near[:FRAMES]
    return out


def _prompts(pieces: Sequence[Piece]) -> list[Pcm]:
    return [
        np.asarray(piece.pcm)
        for piece in pieces
        if piece.entry.source in PROMPT_SOURCES
        and piece.entry.seconds >= PROMPT_SECONDS
    ]
