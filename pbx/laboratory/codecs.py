"""What a telephone network does to speech: its codecs, and the frames it loses.

AMR-NB and GSM full rate are coded frame by frame in this process by Debian's
libopencore-amrnb0 and libgsm1, so that a lost frame is concealed as a phone does it.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from pbx.laboratory.audio import through_g711

Pcm = NDArray[np.int16]
"""8 kHz, one channel."""
Lost = NDArray[np.bool_]
"""One for each 20 ms frame: whether the network lost it."""

FRAME = 160
GSM_BYTES = 33
AMR_BYTES = 32
"""The longest AMR-NB frame of RFC 4867's storage format: 12.2 kbit/s."""

AMR_MODES = ("4.75", "5.15", "5.9", "6.7", "7.4", "7.95", "10.2", "12.2")
"""kbit/s; the place in this row is the mode's number (3GPP TS 26.101, table 1a)."""
AMR_CODECS = tuple(f"amr{mode}" for mode in AMR_MODES)
CODECS = ("pcma", "gsmfr", *AMR_CODECS)

_NO_DATA = b"\x7c"
"""AMR frame type 15, quality bit set: nothing was received."""


class CodecError(Exception):
    """A codec is unknown or its library missing; the text says which and the cure."""


def through_codec(
    pcm: Pcm, name: str, lost: Lost | None = None, *, dtx: bool = False
) -> Pcm:
    """`pcm` as it comes out at the far end: of the same length, A-law coded last.

    `lost` marks the frames that never arrive: AMR's decoder conceals them, with the
    others the last frame comes again, softer. `dtx` lets AMR send nothing in silence
    and make comfort noise of it. Raises CodecError.
    """
    if name not in CODECS:
        raise CodecError(f"{name}: no such codec. Use one of {', '.join(CODECS)}.")
    frames = _frames(pcm)
    gone = np.zeros(len(frames), bool) if lost is None else lost
    if name.startswith("amr"):
        coded = _through_amr(frames, AMR_CODECS.index(name), gone, dtx=dtx)
    else:
        coded = _through_gsm(frames) if name == "gsmfr" else frames
        coded = _conceal(coded, gone)
    samples = np.ascontiguousarray(coded.reshape(-1)[: len(pcm)])
    return np.take(_a_law(), samples.view(np.uint16))


def _frames(pcm: Pcm) -> Pcm:
    padded = np.pad(pcm, (0, -len(pcm) % FRAME))
    return np.ascontiguousarray(padded.reshape(-1, FRAME), dtype=np.int16)


def draw_losses(frames: int, share: float, rng: np.random.Generator) -> Lost:
    """About `share` of the frames, every third followed by another."""
    lost = rng.random(frames) < share * 0.75
    lost[1:] |= lost[:-1] & (rng.random(max(frames - 1, 0)) < 1 / 3)
    return lost


def _conceal(frames: Pcm, lost: Lost) -> Pcm:
    out = frames.copy()
    for i in np.flatnonzero(lost):
        out[i] = out[i - 1] // 2 if i else 0
    return out


def _library(soname: str, package: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(soname)
    except OSError as error:
        raise CodecError(
            f"{soname} is missing: {error}. Install it: apt-get install {package}"
        ) from error


@functools.cache
def _amr() -> ctypes.CDLL:
    library = _library("libopencore-amrnb.so.0", "libopencore-amrnb0")
    for maker in ("Encoder_Interface_init", "Decoder_Interface_init"):
        getattr(library, maker).restype = ctypes.c_void_p
    return library


@functools.cache
def _gsm() -> ctypes.CDLL:
    library = _library("libgsm.so.1", "libgsm1")
    library.gsm_create.restype = ctypes.c_void_p
    return library


@contextmanager
def _state(
    made: int | None, free: Callable[[ctypes.c_void_p], object]
) -> Iterator[ctypes.c_void_p]:
    state = ctypes.c_void_p(made)
    try:
        yield state
    finally:
        free(state)


def _through_amr(frames: Pcm, mode: int, lost: Lost, *, dtx: bool) -> Pcm:
    amr, out = _amr(), np.zeros_like(frames)
    there = ctypes.create_string_buffer(AMR_BYTES)
    nothing = ctypes.create_string_buffer(_NO_DATA, AMR_BYTES)
    with (
        _state(
            amr.Encoder_Interface_init(int(dtx)), amr.Encoder_Interface_exit
        ) as coder,
        _state(amr.Decoder_Interface_init(), amr.Decoder_Interface_exit) as decoder,
    ):
        source, target = frames.ctypes.data, out.ctypes.data
        step = FRAME * frames.itemsize
        for i in range(len(frames)):
            speech = ctypes.c_void_p(source + i * step)
            amr.Encoder_Interface_Encode(coder, mode, speech, there, 0)
            arrived = nothing if lost[i] else there
            amr.Decoder_Interface_Decode(
                decoder, arrived, ctypes.c_void_p(target + i * step), int(lost[i])
            )
    return out


def _through_gsm(frames: Pcm) -> Pcm:
    gsm, out = _gsm(), np.zeros_like(frames)
    there = ctypes.create_string_buffer(GSM_BYTES)
    with (
        _state(gsm.gsm_create(), gsm.gsm_destroy) as coder,
        _state(gsm.gsm_create(), gsm.gsm_destroy) as decoder,
    ):
        source, target = frames.ctypes.data, out.ctypes.data
        step = FRAME * frames.itemsize
        for i in range(len(frames)):
            gsm.gsm_encode(coder, ctypes.c_void_p(source + i * step), there)
            gsm.gsm_decode(decoder, there, ctypes.c_void_p(target + i * step))
    return out


@functools.cache
def _a_law() -> Pcm:
    """What A-law makes of every 16-bit sample."""
    return through_g711(np.arange(65536, dtype=np.uint16).view(np.int16))
