"""A small causal net: features in, the belief in a near person and in any voice out.

Six layers of dilated convolutions (a "temporal convolutional network", Bai et al. 2018)
with 2.5 s of memory, run eight frames at a time in plain numpy. Its weights are made by
`make train` and described in docs/ghostfilter-model-card.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from io import BytesIO

import numpy as np

from ghostfilter.spectra import BLOCK_FRAMES, Floats

SHIPPED = "listener.npz"
TURNS = 8
"""Blocks until the layers' lines are rewound: rarely, for it costs, and not too rarely,
for each turn's views are made when a call begins."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One dilated convolution over three frames."""

    dilation: int
    weight: Floats
    """(3 × channels, channels): oldest frame first."""
    bias: Floats
    whole: Floats = field(init=False, repr=False)
    """(3 × channels + 1, channels): the bias below the weight."""

    def __post_init__(self) -> None:
        whole = np.concatenate((self.weight, self.bias[None]))
        object.__setattr__(self, "whole", whole)


@dataclass(frozen=True, slots=True)
class Weights:
    """All the net knows."""

    into: Floats
    """(features, channels)"""
    into_bias: Floats
    layers: tuple[Layer, ...]
    out: Floats
    """(channels, 2): near person, any voice."""
    out_bias: Floats
    doubt: Floats
    """(2,) the logits below which there was surely none: belief 0.5."""
    sure: Floats
    """(2,) the sums (`cusum.py`) from which on there surely was: belief 0.9."""


def read_weights(data: bytes) -> Weights:
    """What `make train` wrote. Raises ValueError or KeyError for anything else."""
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        loaded = {name: np.asarray(arrays[name], np.float32) for name in arrays.files}
    layers = tuple(
        Layer(
            int(dilation),
            np.ascontiguousarray(loaded[f"layer{i}"]),
            loaded[f"layer{i}_bias"],
        )
        for i, dilation in enumerate(loaded["dilations"])
    )
    return Weights(
        np.ascontiguousarray(loaded["into"]),
        loaded["into_bias"],
        layers,
        np.ascontiguousarray(loaded["out"]),
        loaded["out_bias"],
        loaded["doubt"],
        loaded["sure"],
    )


@lru_cache(maxsize=1)
def shipped_weights() -> Weights:
    """The weights that come with the package; read once, as code is."""
    return read_weights((files("ghostfilter") / "weights" / SHIPPED).read_bytes())


class Net:
    """One call's net; remembers what its convolutions still need."""

    __slots__ = (
        "_hidden",
        "_into_bias",
        "_lines",
        "_none",
        "_out_bias",
        "_seen",
        "_step",
        "_taken",
        "_turn",
        "_turns",
        "_weights",
    )

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights or shipped_weights()
        channels = len(self._weights.into_bias)
        # Written anew for each block: to make them anew costs more than a sum.
        self._hidden = np.empty((BLOCK_FRAMES, channels), np.float32)
        self._step = np.empty((BLOCK_FRAMES, channels), np.float32)
        # As large as what they are compared with or added to: to spread a lone zero or
        # row over eight frames costs 0.3…0.6 µs more each time.
        self._none = np.zeros((BLOCK_FRAMES, channels), np.float32)
        self._into_bias = _for_eight(self._weights.into_bias)
        self._out_bias = _for_eight(self._weights.out_bias)
        # A last column of ones, whose weights are the biases, saves a sum a layer.
        self._seen = np.ones((BLOCK_FRAMES, 3 * channels + 1), np.float32)
        shape = (BLOCK_FRAMES, 3, channels)
        row, column = self._seen.strides
        steps = (row, channels * column, column)
        self._taken = np.ndarray(shape, np.float32, self._seen, 0, steps)
        self._lines = [Line(layer, channels) for layer in self._weights.layers]
        self._turns = [self._at(turn) for turn in range(TURNS)]
        self._turn = 0

    def push(self, features: Floats) -> Floats:
        """(8, features) → (8, 2) logits: near person, any voice."""
        logits = self.look(features)
        self._turn += 1
        if self._turn == TURNS:
            self._turn = 0
            for line in self._lines:
                line.rewind()
        return logits

    def look(self, features: Floats) -> Floats:
        """The same, and nothing of it is remembered."""
        weights, turn, none = self._weights, self._turn, self._none
        step, taken, seen = self._step, self._taken, self._seen
        layers = self._turns[turn]
        hidden = np.dot(features, weights.into, out=layers[0][0])
        hidden += self._into_bias
        np.maximum(hidden, none, out=hidden)
        for new, looked_at, whole, following in layers:
            taken[...] = looked_at
            np.dot(seen, whole, out=step)
            np.maximum(step, none, out=step)
            np.add(new, step, out=following)
        # Written where the next frames go: they will take its place.
        logits: Floats = np.dot(self._hidden, weights.out)
        logits += self._out_bias
        return logits

    def _at(self, turn: int) -> list[tuple[Floats, Floats, Floats, Floats]]:
        """Of each layer: its new frames, all it looks at, its weights, what follows.

        What follows are the next layer's new frames, so nothing is copied there.
        """
        news = [*(line.new[turn] for line in self._lines), self._hidden]
        return [
            (new, line.seen[turn], layer.whole, following)
            for new, line, layer, following in zip(
                news, self._lines, self._weights.layers, news[1:], strict=False
            )
        ]


def _for_eight(row: Floats) -> Floats:
    """(8, columns) the row once for each frame of a block."""
    rows = np.empty((BLOCK_FRAMES, len(row)), np.float32)
    rows[:] = row
    return rows


class Line:
    """What one layer remembers: a line of frames that is rewound every TURNS blocks."""

    __slots__ = ("_begin", "_end", "new", "seen")

    def __init__(self, layer: Layer, channels: int) -> None:
        past = 2 * layer.dilation
        line = np.zeros((past + TURNS * BLOCK_FRAMES, channels), np.float32)
        row, column = line.strides
        shape = (BLOCK_FRAMES, 3, channels)
        begins = range(0, TURNS * BLOCK_FRAMES, BLOCK_FRAMES)
        self.new = [line[past + at : past + at + BLOCK_FRAMES] for at in begins]
        """Where each turn's hidden frames go …"""
        steps = (row, layer.dilation * row, column)
        self.seen = [
            np.ndarray(shape, np.float32, line, at * row, steps) for at in begins
        ]
        """… and (8, 3, channels) what it looks at: each frame and two before it."""
        self._begin, self._end = line[:past], line[len(line) - past :]

    def rewind(self) -> None:
        """Begin anew with the last frames as the past."""
        self._begin[:] = self._end.copy()
