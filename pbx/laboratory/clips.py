"""A row of the manifest → the clip as a call brings it, and the prompt it hears.

The corpus mixes one of our prompts into some clips. It begins with the clip, goes on
without a pause to its end, and leaks 50–250 ms later (found by correlation). So the
detector is told, before the first frame, what a live call would have told it: which
prompt we begin to send now. When it comes back is the detector's to find out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ghostfilter.vad import FRAME_BYTES
from pbx.laboratory.audio import (
    SAMPLE_RATE,
    AudioError,
    Samples,
    read_samples,
    through_g711,
)
from pbx.laboratory.corpus import Corpus, Row

PROMPTS = "prompts"
LONGEST_DELAY_SECONDS = 0.6


@dataclass(frozen=True, slots=True)
class Clip:
    """What the caller sends and what he is sent."""

    pcm: bytes
    """Whole frames of 20 ms, as AudioSocket delivers them."""
    prompt: bytes | None = None
    """What we send meanwhile, from the first frame on."""
    is_prompt_missing: bool = False
    """The manifest names a prompt that DIR/prompts does not hold."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm) / 2 / SAMPLE_RATE


def read_clip(corpus: Corpus, row: Row) -> Clip:
    """Raises AudioError if the clip is no telephone audio or holds not one frame."""
    clip = clip_of(read_samples(corpus.file(row)), source=corpus.file(row))
    if not row.prompt:
        return clip
    found = candidates(corpus.folder / PROMPTS, row.prompt)
    samples = np.frombuffer(clip.pcm, np.int16)
    sent = [_repeated(read_samples(path), samples.size) for path in found]
    if not sent:
        return Clip(clip.pcm, is_prompt_missing=True)
    best = max(sent, key=lambda one: likeness(samples, one)) if sent[1:] else sent[0]
    return Clip(clip.pcm, best.tobytes())


def open_clip(file: Path, prompt: Path | None = None) -> Clip:
    """One recorded caller, and what we sent meanwhile, once, from the first sample on.

    Raises AudioError for a file that is no telephone audio.
    """
    clip = clip_of(read_samples(file), source=file)
    if prompt is None:
        return clip
    return Clip(clip.pcm, read_samples(prompt).tobytes())


def clip_of(samples: Samples, *, source: Path) -> Clip:
    """Samples as a call brings them: through G.711, whole frames only."""
    pcm = through_g711(samples).tobytes()
    whole = len(pcm) // FRAME_BYTES * FRAME_BYTES
    if not whole:
        raise AudioError(f"{source}: shorter than one frame of 20 ms; record it anew")
    return Clip(pcm[:whole])


def candidates(folder: Path, prompt: str) -> list[Path]:
    """Files that may be meant: `transfer.wav` is `transfer.flac` or `es_transfer.flac`.

    The corpus names prompts without their language, so there may be several.
    """
    stem = Path(prompt).stem
    files = (p for p in sorted(folder.glob("*")) if p.suffix in {".flac", ".wav"})
    return [p for p in files if p.stem == stem or p.stem.partition("_")[2] == stem]


def likeness(heard: Samples, sent: Samples) -> float:
    """How clearly `sent` is in `heard`, up to 600 ms late: peak over the rest.

    Cross-correlation with the spectrum's phase alone (PHAT), 250–3,500 Hz: narrow-band
    codecs keep neither level nor colour.
    """
    size = 1 << (heard.size + sent.size).bit_length()
    cross = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size))
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    cross[(hertz < 250) | (hertz > 3500)] = 0
    peaks = np.abs(np.fft.irfft(cross / (np.abs(cross) + 1e-9), size))
    late = peaks[: int(LONGEST_DELAY_SECONDS * SAMPLE_RATE)]
    return float(late.max() / (np.median(late) + 1e-12))


def _repeated(samples: Samples, size: int) -> Samples:
    if not samples.size:
        return np.zeros(size, np.int16)
    return np.tile(samples, -(-size // samples.size))[:size]
