"""From a clean sound to what a telephone network delivers of it.

The corpus's recipe: 6–7.4 s at 8 kHz, 300–3400 Hz, active level −45…−10 dBFS, clean or
a noise at 20…−5 dB below, sometimes a leak of our prompt, then a codec and lost frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.codecs import draw_losses, through_codec
from pbx.laboratory.transforms import (
    FRAME,
    RATE_HZ,
    Sound,
    at_level,
    shape,
    to_pcm,
    to_sound,
)

Pcm = NDArray[np.int16]

CODEC_SHARES = {
    "pcma": 0.55,
    "gsmfr": 0.18,
    "amr4.75": 0.065,
    "amr5.9": 0.07,
    "amr7.4": 0.075,
    "amr12.2": 0.06,
}
"""As in the corpus: plain G.711, GSM full rate, AMR-NB."""
LOSS_SHARES = {0.0: 0.79, 0.01: 0.08, 0.03: 0.1, 0.05: 0.03}
SECONDS = (6.0, 7.4)
CLIP_FRAMES = int(SECONDS[1] * RATE_HZ) // FRAME
BAND_HZ = (300.0, 3400.0)


@dataclass(frozen=True, slots=True)
class Line:
    """What happens to one clip between the microphone and us."""

    codec: str = "pcma"
    loss: float = 0.0
    """Share of 20 ms frames lost."""
    dtx: bool = False
    level_dbfs: float = -26.0
    """Active level of the wanted sound."""
    snr_db: float | None = None
    """Active level over the noise's; None = no noise is added."""
    floor_dbfs: float = -65.0
    """Level of the microphone's and line's own noise."""
    echo_dbfs: float | None = None
    """Level of the leak of our prompt."""
    tilt_db_per_octave: float = 0.0
    """The handset's colour."""
    low_hz: float = BAND_HZ[0]
    high_hz: float = BAND_HZ[1]


def draw_line(rng: np.random.Generator) -> Line:
    """A line as the corpus has them."""
    echo = rng.uniform(-62, -40) if rng.random() < 0.13 else None
    if echo is not None and rng.random() < 0.06:
        echo = rng.uniform(-40, -28)
    return Line(
        codec=str(rng.choice(list(CODEC_SHARES), p=list(CODEC_SHARES.values()))),
        loss=float(rng.choice(list(LOSS_SHARES), p=list(LOSS_SHARES.values()))),
        dtx=bool(rng.random() < 0.5),
        level_dbfs=float(rng.uniform(-45, -10)),
        snr_db=float(rng.choice([20, 15, 10, 5, 0, -5]))
        if rng.random() < 0.4
        else None,
        floor_dbfs=float(rng.uniform(-75, -52)),
        echo_dbfs=None if echo is None else float(echo),
        tilt_db_per_octave=float(rng.normal(0, 2)),
        low_hz=float(rng.uniform(150, 350)),
        high_hz=float(rng.uniform(3100, 3700)),
    )


def degrade(
    clip: Pcm,
    rng: np.random.Generator,
    *,
    line: Line | None = None,
    noise: Pcm | None = None,
    prompt: Pcm | None = None,
    frames: int | None = None,
    onset_frame: int | None = None,
) -> Pcm:
    """One sound, placed in a clip and sent down a line.

    `frames` is the clip's length in 20 ms (drawn: 6–7.4 s); the sound begins at
    `onset_frame` (drawn so that it fits). `noise` is used when the line has an SNR,
    `prompt` when it has an echo. Without a `line` one is drawn. Returns frames × 160
    samples as they arrive, A-law coded. Raises CodecError.
    """
    line = line or draw_line(rng)
    frames = frames or draw_frames(rng)
    sound = place(to_sound(clip), frames, onset_frame, rng)
    return send(sound, rng, line=line, noise=noise, prompt=prompt)


def send(
    sound: Sound,
    rng: np.random.Generator,
    *,
    line: Line,
    noise: Pcm | None = None,
    prompt: Pcm | None = None,
) -> Pcm:
    """A whole clip (float, its length kept to 20 ms) down a line."""
    frames = len(sound) // FRAME
    mixed = _through_band(sound[: frames * FRAME], line, line.level_dbfs)
    if noise is not None and line.snr_db is not None and len(noise):
        around = fill([to_sound(noise)], frames, rng)
        mixed = mixed + _through_band(around, line, line.level_dbfs - line.snr_db)
    if prompt is not None and line.echo_dbfs is not None and len(prompt):
        mixed = mixed + leak(prompt, frames, line.echo_dbfs, rng)
    floor = 10 ** (line.floor_dbfs / 20)
    mixed = mixed + floor * rng.standard_normal(len(mixed))
    lost = draw_losses(frames, line.loss, rng)
    return through_codec(to_pcm(mixed), line.codec, lost, dtx=line.dtx)


def _through_band(sound: Sound, line: Line, dbfs: float) -> Sound:
    """Levels are those of the telephone band: rumble must not decide them."""
    heard = shape(sound, line.low_hz, line.high_hz, line.tilt_db_per_octave)
    return at_level(heard, dbfs)


def leak(prompt: Pcm, frames: int, dbfs: float, rng: np.random.Generator) -> Sound:
    """Our prompt come back: 20–500 ms late, coloured, soft."""
    sound = to_sound(prompt)
    whole = np.pad(sound, (0, max(0, frames * FRAME - len(sound))))
    start = int(rng.integers(max(1, len(whole) - frames * FRAME + 1)))
    part = whole[start : start + frames * FRAME]
    late = int(rng.uniform(0.02, 0.5) * RATE_HZ)
    delayed = np.concatenate([np.zeros(late), part])[: len(part)]
    return at_level(
        shape(delayed, 300, float(rng.uniform(1800, 3400)), float(rng.normal(0, 3))),
        dbfs,
    )


def draw_frames(rng: np.random.Generator) -> int:
    """A clip's length in 20 ms frames."""
    return int(rng.uniform(*SECONDS) * RATE_HZ) // FRAME


def place(
    sound: Sound, frames: int, onset_frame: int | None, rng: np.random.Generator
) -> Sound:
    """The sound alone in an empty clip; too long a one is cut at a random place."""
    room = frames * FRAME
    longest = room - int(0.3 * RATE_HZ)
    if len(sound) > longest:
        start = int(rng.integers(len(sound) - longest + 1))
        sound = sound[start : start + longest]
    if onset_frame is None:
        at = int(
            rng.integers(min(room // 20, room - len(sound)), room - len(sound) + 1)
        )
    else:
        at = onset_frame * FRAME
    out = np.zeros(room)
    part = sound[: room - at]
    out[at : at + len(part)] = part
    return out


def fill(sounds: Sequence[Sound], frames: int, rng: np.random.Generator) -> Sound:
    """A whole clip of something that goes on.

    A long sound gives a random part of itself. Short ones come again and again, with
    pauses (a dog) or without (an engine), joined by 10 ms of fade.
    """
    room = frames * FRAME
    longest = max(sounds, key=len)
    if len(longest) >= room:
        start = int(rng.integers(len(longest) - room + 1))
        return longest[start : start + room].copy()
    pause = float(rng.choice([0.0, 0.0, rng.uniform(0.05, 2.0)])) * RATE_HZ
    out = np.zeros(room)
    at = -int(rng.integers(len(longest)))
    while at < room:
        part = _faded(sounds[int(rng.integers(len(sounds)))])
        begin, end = max(at, 0), min(at + len(part), room)
        if end > begin:
            out[begin:end] += part[begin - at : end - at]
        at += max(len(part) - 80, 80) + int(pause * rng.uniform(0.3, 1.7))
    return out


def _faded(sound: Sound) -> Sound:
    out = sound.copy()
    edge = min(80, len(out) // 2)
    if edge:
        ramp = np.linspace(0, 1, edge)
        out[:edge] *= ramp
        out[-edge:] *= ramp[::-1]
    return out
