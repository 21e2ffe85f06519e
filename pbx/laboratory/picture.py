"""Draws a story: waveform, spectrogram, every signal over one time axis, the verdict.

matplotlib (the extra `lab`) is used without its global state and without a display.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ghostfilter.signals import FRAME_SECONDS, PERSON
from pbx.laboratory.audio import SAMPLE_RATE
from pbx.laboratory.explain import Story, Track, lines
from pbx.laboratory.whole import write_whole
from pbx.model.policy import RELEASE_BELOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PEOPLE, NOBODY, NEUTRAL, OURS = "#1b7837", "#762a83", "#4d4d4d", "#b35806"
WIDTH_INCHES = 11.0
KINDS = (".png", ".svg")
SPECTRUM = 256
"""32 ms, as the filter looks at it."""
_TEXT_COLUMNS = 118


class PictureError(RuntimeError):
    """A picture that cannot be drawn here; the text says what is missing."""


def check_name(path: Path) -> None:
    """Raises PictureError, with the cure, if no picture of that name can be drawn."""
    if path.suffix.lower() not in KINDS:
        raise PictureError(f"{path}: pictures end in {' or '.join(KINDS)}; name it so")
    need_matplotlib()


def need_matplotlib() -> None:
    """Raises PictureError, with the cure, where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise PictureError(
            "matplotlib is missing, it draws the pictures; install the measuring "
            "tools: .venv/bin/pip install 'matplotlib>=3.10' (extra `lab` of "
            "pyproject.toml)"
        ) from error


def draw(story: Story, path: Path, *, title: str) -> None:
    """Write the picture as PNG or SVG, by the file's ending, whole or not at all.

    Raises PictureError as `check_name` does, OSError if the file cannot be written.
    """
    check_name(path)
    from matplotlib.figure import Figure

    told = _wrapped(lines(story))
    head = 0.45 + 0.2 * len(told)
    heights = [1.1, 2.2, 1.4, 0.5, 1.4, 0.3 + 0.24 * max(1, len(story.heard))]
    figure = Figure(figsize=(WIDTH_INCHES, head + sum(heights) + 1.2))
    whole = figure.get_figheight()
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    figure.subplots_adjust(
        left=0.115, right=0.985, top=1 - head / whole, bottom=0.5 / whole, hspace=0.16
    )
    _waveform(axes[0], story)
    _spectrogram(axes[1], story)
    _levels(axes[2], story)
    _webrtcvad(axes[3], story)
    _beliefs(axes[4], story)
    _sounds(axes[5], story)
    for axis in axes:
        axis.set_xlim(0, story.clip.seconds)
        if story.passed is not None:
            axis.axvline(story.passed[0], color=PEOPLE, linewidth=1.2)
    axes[-1].set_xlabel("seconds since the caller's audio was connected")
    _words(figure, title, told, whole)
    out = io.BytesIO()
    figure.savefig(out, format=path.suffix.lower().lstrip("."), dpi=110)
    write_whole(path, out.getvalue())


def _words(figure: Figure, title: str, told: Sequence[str], whole: float) -> None:
    figure.text(
        0.02,
        1 - 0.28 / whole,
        title,
        fontsize=12,
        fontweight="bold",
        parse_math=False,  # a file's name may have dollars in it
    )
    for number, line in enumerate(told):
        y = 1 - (0.5 + 0.2 * number) / whole
        figure.text(
            0.02, y, line, fontsize=9, fontweight="bold" if number == 0 else None
        )


def _waveform(axis: Axes, story: Story) -> None:
    samples = np.frombuffer(story.clip.pcm, np.int16) / 32768
    axis.plot(
        np.arange(samples.size) / SAMPLE_RATE, samples, color=NEUTRAL, linewidth=0.4
    )
    _label(axis, "waveform")
    peak = max(float(np.abs(samples).max()), 1e-4)
    axis.set_ylim(-1.1 * peak, 1.1 * peak)


def _spectrogram(axis: Axes, story: Story) -> None:
    samples = np.frombuffer(story.clip.pcm, np.int16) / 32768
    padded = np.concatenate([np.zeros(SPECTRUM - 80), samples, np.zeros(SPECTRUM)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, SPECTRUM)[::80]
    power = np.abs(np.fft.rfft(windows * np.hanning(SPECTRUM))) ** 2
    shown = 10 * np.log10(power.T + 1e-9)
    top = float(np.percentile(shown, 99.8))
    axis.imshow(
        shown,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - 70,
        vmax=top,
        extent=(0, shown.shape[1] * 80 / SAMPLE_RATE, 0, SAMPLE_RATE / 2000),
    )
    _label(axis, "spectrogram\nkHz")


def _levels(axis: Axes, story: Story) -> None:
    axis.plot(_times(story), story.level, color=NEUTRAL, label="level")
    axis.plot(_times(story), story.floor, color=NOBODY, label="the line's floor")
    if story.clip.prompt is not None:
        sent = np.frombuffer(story.clip.prompt, np.int16).astype(np.float64) / 32768
        frames = sent[: sent.size // 160 * 160].reshape(-1, 160)
        level = 10 * np.log10((frames**2).mean(axis=1) + 1e-10)
        axis.plot(
            np.arange(1, level.size + 1) * FRAME_SECONDS,
            np.maximum(level, -96),
            color=OURS,
            linewidth=0.8,
            label="our prompt, as sent",
        )
    axis.set_ylim(-96, 0)
    _label(axis, "level\ndBFS")
    axis.legend(loc="upper right", fontsize=7, ncols=3)


def _webrtcvad(axis: Axes, story: Story) -> None:
    axis.fill_between(
        _times(story), story.is_speech.astype(float), step="pre", color=NEUTRAL
    )
    axis.set_ylim(0, 1)
    axis.set_yticks([])
    _label(axis, "webrtcvad")


def _beliefs(axis: Axes, story: Story) -> None:
    axis.plot(_times(story), story.person, color=PEOPLE, label="a person is near")
    axis.plot(
        _times(story), story.voices, color=OURS, linestyle="--", label="any voice"
    )
    for limit in (RELEASE_BELOW, 0.9):
        axis.axhline(limit, color="#bbbbbb", linewidth=0.8)
    axis.set_ylim(-0.03, 1.03)
    axis.set_yticks([0, RELEASE_BELOW, 0.9])
    _label(axis, "belief")
    axis.legend(loc="upper left", fontsize=7, ncols=2)


def _sounds(axis: Axes, story: Story) -> None:
    names = [f"{one.sound} {one.detail}".strip() for one in story.heard]
    for place, one in enumerate(story.heard):
        axis.barh(
            place,
            max(one.frames, 1) * FRAME_SECONDS,
            left=one.from_frame * FRAME_SECONDS,
            color=PEOPLE if one.sound in PERSON else NOBODY,
            height=0.6,
        )
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set_ylim(max(1, len(names)) - 0.5, -0.5)
    if not names:
        _label(axis, "nothing\nnamed")


def _label(axis: Axes, text: str) -> None:
    axis.set_ylabel(
        text,
        rotation=0,
        horizontalalignment="right",
        verticalalignment="center",
        fontsize=8,
    )
    axis.tick_params(labelsize=7)


def _times(story: Story) -> Track:
    """The end of each frame: what it brought was known then."""
    return np.arange(1.0, story.level.size + 1) * FRAME_SECONDS


def _wrapped(told: Sequence[str]) -> list[str]:
    return [
        part
        for line in told
        for part in textwrap.wrap(line, _TEXT_COLUMNS, subsequent_indent="    ")
    ]
