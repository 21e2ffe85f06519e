"""A small causal net: features in, the belief in a near person and in any voice out.

Six layers of dilated convolutions (a "temporal convolutional network", Bai et al. 2018)
with 2.5 s of memory, run eight frames at a time in plain numpy. Its weights are made by
`make train` and described in docs/ghostfilter-model-card.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO

import numpy as np

from ghostfilter.spectra import BLOCK_FRAMES, Floats

SHIPPED = "listener.npz"


@dataclass(frozen=True, slots=True)
class Layer:
    """One dilated convolution over three frames."""

    dilation: int
    weight: Floats
    """(3 × channels, channels): oldest frame first."""
    bias: Floats


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
    """(2,) the logits from which on there surely was: belief 0.9."""


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
        loaded["into"],
        loaded["into_bias"],
        layers,
        loaded["out"],
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

    __slots__ = ("_lines", "_taken", "_weights")

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights or shipped_weights()
        channels = len(self._weights.into_bias)
        self._lines = [
            np.zeros((2 * layer.dilation + BLOCK_FRAMES, channels), np.float32)
            for layer in self._weights.layers
        ]
        self._taken = [_rows(layer.dilation) for layer in self._weights.layers]

    def push(self, features: Floats) -> Floats:
        """(8, features) → (8, 2) logits: near person, any voice."""
        weights = self._weights
        hidden = features @ weights.into
        hidden += weights.into_bias
        np.maximum(hidden, 0.0, out=hidden)
        for layer, line, taken in zip(
            weights.layers, self._lines, self._taken, strict=True
        ):
            line[:-BLOCK_FRAMES] = line[BLOCK_FRAMES:]
            line[-BLOCK_FRAMES:] = hidden
            step = line.take(taken, axis=0).reshape(BLOCK_FRAMES, -1) @ layer.weight
            step += layer.bias
            np.maximum(step, 0.0, out=step)
            hidden += step
        return np.asarray(hidden @ weights.out + weights.out_bias, np.float32)


@lru_cache
def _rows(dilation: int) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """(8, 3) which rows of a layer's line each new frame looks at."""
    return np.arange(BLOCK_FRAMES)[:, None] + dilation * np.arange(3)[None]
