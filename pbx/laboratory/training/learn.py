"""Learning the net's weights from examples, with PyTorch, on two cores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ghostfilter.features import BANDS
from pbx.laboratory.training.examples import DISTANT, SPEECH, Examples

DILATIONS = (1, 2, 4, 8, 16, 32)
TAPS = 3
CHANNELS = 64
DROPOUT = 0.04
BATCH = 64
RATE = 4e-3
RATE_AFTER = 1e-3
"""Of a net that has learned before."""
WARM_UP = 0.15
DECAY = 5e-3
LONGEST_STEP = 2.0
DELAY_FRAMES = 5
"""The net may wait 100 ms before it calls a frame spoken."""
TRUTH_SHARE = 0.5
"""How much the truth counts beside the teachers' opinion …"""
FARTHEST = 10.0
"""… of which logits beyond this are all one."""
CLIP_SHARE = 0.5
"""How much the call's verdict counts beside each frame's."""
SMOOTHED_FRAMES = 24
"""What is heard of a call: the highest average of so many frames, softly."""
SOFTNESS = 1.5
THREADS = 1
"""Matrices this small gain nothing by a second, and lose much on a busy machine."""
SPOKEN_WEIGHTS = (2.0, 1.5)
"""A spoken frame counts more than a silent one: near, any voice."""
GAIN_JITTER = 0.25
COLOUR_JITTER = 0.15
LEVEL = 2 * BANDS + 4
"""The feature that is the frame's level; it moves with the bands."""
LEVEL_PER_BAND = 0.05 * 10 / math.log(10) / 0.25


class Listener(nn.Module):
    """The net of `ghostfilter.net`, as PyTorch trains it."""

    def __init__(self, features: int, channels: int = CHANNELS) -> None:
        super().__init__()
        self.channels = channels
        self.norm = nn.BatchNorm1d(features)
        self.into = nn.Linear(features, channels)
        self.layers = nn.ModuleList(
            nn.Linear(TAPS * channels, channels) for _ in DILATIONS
        )
        self.out = nn.Linear(channels, 2)

    def forward(self, features: Tensor) -> Tensor:
        """(clips, frames, features) → (clips, 2, frames) logits."""
        clips, frames, width = features.shape
        normal = self.norm(features.reshape(-1, width)).reshape(clips, frames, width)
        # Sums of 16-bit products: two to three times as fast where the processor can.
        with torch.autocast("cpu", torch.bfloat16):
            hidden = functional.relu(self.into(normal))
            for layer, dilation in zip(self.layers, DILATIONS, strict=True):
                past = functional.pad(hidden, (0, 0, (TAPS - 1) * dilation, 0))
                taps = [past[:, n * dilation :][:, :frames] for n in range(TAPS)]
                step = functional.relu(layer(torch.cat(taps, -1)))
                hidden = hidden + (_dropped(step) if self.training else step)
        logits: Tensor = self.out(hidden.float())
        return logits.transpose(1, 2)


def _dropped(step: Tensor) -> Tensor:
    """Some channels of some clips are silent. (One by one, as usual, costs more than
    all the rest of the net.)"""
    kept = torch.rand(len(step), 1, step.shape[2]) >= DROPOUT
    return step * (kept.to(step.dtype) / (1 - DROPOUT))


@dataclass(frozen=True, slots=True)
class Progressed:
    """How an epoch went."""

    epoch: int
    loss: float
    frame_loss: float
    clip_loss: float


def learn(
    examples: Examples,
    epochs: int,
    seed: int,
    tell: Callable[[Progressed], None],
    *,
    after: Listener | None = None,
    teachers: Sequence[Listener] = (),
    truth_share: float = TRUTH_SHARE,
    channels: int = CHANNELS,
) -> Listener:
    """Train for `epochs`; `tell` hears of each. The same seed gives the same net.

    `after`: a net that goes on learning, gently; it is left as it is. `teachers`: nets
    whose mean opinion is learned besides the truth, which counts `truth_share`: several
    err less than one, and one is what a call can afford.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    rng = np.random.default_rng(seed)
    rate = RATE if after is None else RATE_AFTER
    width = channels if after is None else after.channels
    net = Listener(examples.features.shape[2], width)
    if after is not None:
        net.load_state_dict(after.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=DECAY)
    count = len(examples.label)
    steps = epochs * (count // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps + 1, pct_start=WARM_UP
    )
    net.train()
    # A net that goes on keeps its scale: its first layers were made for it.
    net.norm.train(after is None)
    for epoch in range(epochs):
        order = rng.permutation(count)
        sums = np.zeros(3)
        for at in range(0, count - BATCH + 1, BATCH):
            chosen = np.sort(order[at : at + BATCH])
            features = torch.from_numpy(examples.features[chosen].astype(np.float32))
            features = _jittered(features)
            logits = net(features)
            frame_loss, clip_loss = _losses(logits, examples, chosen)
            loss = frame_loss + CLIP_SHARE * clip_loss
            if teachers:
                loss = truth_share * loss + _away(logits, features, teachers)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), LONGEST_STEP)
            optimiser.step()
            schedule.step()
            sums += [loss.item(), frame_loss.item(), clip_loss.item()]
        tell(Progressed(epoch, *(sums / (count // BATCH)).tolist()))
    net.eval()
    return net


def write(net: Listener, path: Path, doubt: list[float], sure: list[float]) -> None:
    """As `ghostfilter.net.read_weights` reads it; the normalisation folded in."""
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    spread = np.sqrt(state["norm.running_var"] + net.norm.eps)
    scale = state["norm.weight"] / spread
    shift = state["norm.bias"] - state["norm.running_mean"] * scale
    into = state["into.weight"]
    arrays = {
        "into": (into * scale).T.astype(np.float16),
        "into_bias": state["into.bias"] + into @ shift,
        "dilations": np.array(DILATIONS),
        "out": state["out.weight"].T.astype(np.float16),
        "out_bias": state["out.bias"],
        "doubt": np.array(doubt, np.float32),
        "sure": np.array(sure, np.float32),
    }
    for number in range(len(DILATIONS)):
        weight = state[f"layers.{number}.weight"]
        arrays[f"layer{number}"] = weight.T.astype(np.float16)
        arrays[f"layer{number}_bias"] = state[f"layers.{number}.bias"]
    np.savez_compressed(path, **arrays)


def _away(logits: Tensor, features: Tensor, teachers: Sequence[Listener]) -> Tensor:
    """How far the net is from its teachers' mean, where thresholds may lie."""
    with torch.no_grad():
        mean = torch.stack([teacher(features) for teacher in teachers]).mean(0)
    return functional.smooth_l1_loss(
        logits.clamp(-FARTHEST, FARTHEST), mean.clamp(-FARTHEST, FARTHEST)
    )


def _losses(
    logits: Tensor, examples: Examples, chosen: np.ndarray
) -> tuple[Tensor, Tensor]:
    weight = torch.from_numpy(examples.weight[chosen])[:, None]
    truth = np.stack([examples.near[chosen], examples.voice[chosen]], axis=1)
    wanted = functional.pad(torch.from_numpy(truth).float(), (DELAY_FRAMES, 0))
    wanted = wanted[:, :, : logits.shape[2]]
    frame_loss = functional.binary_cross_entropy_with_logits(
        logits,
        wanted.clamp(max=1),
        weight=(wanted < 1.5).float() * weight[:, :, None],
        pos_weight=torch.tensor(SPOKEN_WEIGHTS)[:, None],
    )
    label = torch.from_numpy(examples.label[chosen])
    present = torch.stack([label == SPEECH, (label == SPEECH) | (label == DISTANT)], 1)
    clip_loss = functional.binary_cross_entropy_with_logits(
        _of_the_call(logits), present.float(), weight=weight.expand(-1, 2)
    )
    return frame_loss, clip_loss


def _jittered(features: Tensor) -> Tensor:
    """Louder or softer, brighter or duller: no phone is like another."""
    clips = len(features)
    gain = torch.randn(clips, 1, 1) * GAIN_JITTER
    colour = functional.interpolate(
        torch.randn(clips, 1, 4) * COLOUR_JITTER,
        size=BANDS,
        mode="linear",
        align_corners=True,
    )
    features[:, :, :BANDS] += gain + colour
    features[:, :, LEVEL] += gain[:, :, 0] * LEVEL_PER_BAND
    return features


def _of_the_call(logits: Tensor) -> Tensor:
    """(clips, 2): softly, the highest average of 0.48 s; `ghostfilter.belief` asks for
    that of 0.8."""
    smooth = functional.avg_pool1d(
        functional.pad(logits, (SMOOTHED_FRAMES - 1, 0), value=-4.0), SMOOTHED_FRAMES, 1
    )
    peak = torch.logsumexp(SOFTNESS * smooth, -1) - math.log(8.0)
    return peak / SOFTNESS
