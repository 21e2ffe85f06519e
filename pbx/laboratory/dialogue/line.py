"""The telephone line between a caller and us: G.711, lost packets, gaps.

A frame the trunk lost does not reach AudioSocket at all, so the frames that come are
fewer than the clock's ticks. What a radio network lost is filled by its decoder: the
last frame again, fading (as 3GPP TS 26.091 does), and no frame is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.codecs import CodecError, through_codec
from pbx.laboratory.dialogue.sounds import Dice, Samples, gain

FRAME_SAMPLES = 160
FRAME_SECONDS = 0.02
MOBILE = ("gsmfr", "amr4.75", "amr5.9", "amr7.4", "amr12.2")
"""The codecs of mobile phones, as the corpus has them."""


@dataclass(frozen=True, slots=True)
class Line:
    """How one call's audio travels."""

    law: str = "alaw"
    """`alaw` or `ulaw`: the trunk's codec."""
    codec: str = ""
    """A mobile phone's: `gsmfr`, `amr4.75` …; empty: a phone on a wire."""
    is_dtx: bool = False
    """AMR sends nothing in silence and the network makes comfort noise of it."""
    loss: float = 0.0
    """Share of frames lost."""
    burst_frames: float = 1.0
    """Mean length of a loss."""
    is_concealed: bool = False
    """Lost on the radio and filled, instead of lost on the trunk and missing."""
    gap_from_seconds: float | None = None
    gap_seconds: float = 0.0
    """No media at all for so long."""

    def told(self) -> str:
        """In words, for whoever looks at one call."""
        words = [self.law]
        if self.codec:
            words.append(self.codec + (" with DTX" if self.is_dtx else ""))
        if self.loss:
            how = "filled" if self.is_concealed else "missing"
            bursts = f"bursts of {self.burst_frames:g}" if self.burst_frames > 1 else ""
            words.append(" ".join(filter(None, (f"{self.loss:.1%} {how}", bursts))))
        if self.gap_from_seconds is not None:
            words.append(f"gap {self.gap_seconds:.1f} s at {self.gap_from_seconds:.1f}")
        return ", ".join(words)


def missing_codecs() -> str:
    """Why calls from mobile phones cannot be made here; empty: they can."""
    try:
        for codec in ("gsmfr", "amr12.2"):
            through_codec(np.zeros(FRAME_SAMPLES, np.int16), codec)
    except CodecError as error:
        return str(error)
    return ""


def travel(sound: Samples, line: Line, dice: Dice) -> list[bytes | None]:
    """Frames of 20 ms as they reach us, one a tick; None: none came."""
    count = sound.size // FRAME_SAMPLES
    sound = sound[: count * FRAME_SAMPLES]
    lost = lost_frames(count, line, dice)
    if line.is_concealed:
        sound = _on_the_radio(sound, line, lost)
        lost = np.zeros(count, np.bool_)
    else:
        sound = coded(sound, line.codec, is_dtx=line.is_dtx)
    if line.gap_from_seconds is not None:
        first = round(line.gap_from_seconds / FRAME_SECONDS)
        lost[first : first + round(line.gap_seconds / FRAME_SECONDS)] = True
    wire = g711(sound, line.law).tobytes()
    step = 2 * FRAME_SAMPLES
    return [
        None if gone else wire[at * step : (at + 1) * step]
        for at, gone in enumerate(lost.tolist())
    ]


def _on_the_radio(sound: Samples, line: Line, lost: NDArray[np.bool_]) -> Samples:
    """Losses that the decoder fills."""
    if line.codec:
        return coded(sound, line.codec, lost, is_dtx=line.is_dtx)
    return _concealed(sound.reshape(-1, FRAME_SAMPLES), lost).reshape(-1)


def coded(
    sound: Samples,
    codec: str,
    lost: NDArray[np.bool_] | None = None,
    *,
    is_dtx: bool = False,
) -> Samples:
    """Through a mobile phone's codec and back; as it is if `codec` is empty.

    Raises CodecError if the codec's library is missing.
    """
    if not codec:
        return sound
    whole = np.clip(np.round(sound * 32768), -32768, 32767).astype(np.int16)
    heard = through_codec(whole, codec, lost, dtx=is_dtx)
    return heard.astype(np.float32) / np.float32(32768)


def lost_frames(count: int, line: Line, dice: Dice) -> NDArray[np.bool_]:
    """Which frames are lost: bursts of a geometric length (Gilbert's channel)."""
    lost = np.zeros(count, np.bool_)
    if line.loss <= 0:
        return lost
    leave = 1.0 / max(1.0, line.burst_frames)
    enter = min(1.0, leave * line.loss / (1.0 - line.loss))
    at = int(dice.geometric(enter)) - 1
    while at < count:
        burst = int(dice.geometric(leave))
        lost[at : at + burst] = True
        at += burst + int(dice.geometric(enter))
    return lost


def g711(sound: Samples, law: str) -> NDArray[np.int16]:
    """Through G.711 and back, clipped as a phone clips."""
    whole = np.clip(np.round(sound * 32768), -32768, 32767).astype(np.int16)
    return (_ALAW if law == "alaw" else _ULAW)[whole.view(np.uint16)]


def _concealed(frames: NDArray[np.float32], lost: NDArray[np.bool_]) -> Samples:
    out = frames.copy()
    run = 0
    for at in np.flatnonzero(lost):
        run = run + 1 if at and lost[at - 1] else 1
        out[at] = out[at - 1] * gain(-4.0 * run) if at else 0.0
    return out


def _round_trip(decoded: NDArray[np.int32]) -> NDArray[np.int16]:
    """For each 16-bit sample (by its unsigned pattern) the nearest decoded value."""
    levels = np.sort(decoded)
    between = (levels[1:] + levels[:-1]) / 2
    samples = np.arange(65536).astype(np.uint16).view(np.int16)
    return levels[np.searchsorted(between, samples)].astype(np.int16)


def _alaw() -> NDArray[np.int32]:
    """ITU-T G.711, table 1a, scaled to 16 bits."""
    segment, step = np.arange(128) >> 4, np.arange(128) & 15
    low = (step << 4) + 8
    size = np.where(segment == 0, low, (low + 0x100) << np.maximum(segment - 1, 0))
    return np.concatenate((size, -size)).astype(np.int32)


def _ulaw() -> NDArray[np.int32]:
    """ITU-T G.711, table 2a, scaled to 16 bits."""
    segment, step = np.arange(128) >> 4, np.arange(128) & 15
    size = (((step << 3) + 0x84) << segment) - 0x84
    return np.concatenate((size, -size)).astype(np.int32)


_ALAW = _round_trip(_alaw())
_ULAW = _round_trip(_ulaw())
