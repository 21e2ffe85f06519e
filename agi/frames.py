"""AudioSocket's frames, bytes in and values out, without I/O.

One byte kind, two bytes length (big-endian), payload. Source: Asterisk's
res/res_audiosocket.c; it sends the UUID first, then 8 kHz 16-bit audio and digits.
"""

from __future__ import annotations

from typing import Final

HANG_UP: Final = 0x00
IDENTITY: Final = 0x01
DIGIT: Final = 0x03
AUDIO: Final = 0x10
ERROR: Final = 0xFF

HEADER_BYTES = 3
AUDIO_BYTES = 320
"""20 ms of 8 kHz 16-bit mono."""
FRAME_SECONDS = 0.02
MAX_PAYLOAD_BYTES = 1920
"""120 ms, twice the longest packet a telephone codec is used with."""
_LENGTHS: Final = {HANG_UP: (0, 0), IDENTITY: (16, 16), DIGIT: (1, 1), ERROR: (0, 64)}

END = bytes([HANG_UP, 0, 0])
"""Ends the application in the dialplan; `EXEC AudioSocket` then returns 0."""
AUDIO_HEADER = bytes([AUDIO]) + AUDIO_BYTES.to_bytes(2, "big")
SILENCE = AUDIO_HEADER + bytes(AUDIO_BYTES)
WIRE_BYTES = len(SILENCE)


class BrokenError(Exception):
    """The peer does not speak AudioSocket."""


class Reader:
    """Cuts a byte stream into frames."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Whole frames as (kind, payload). Raises BrokenError for what is none."""
        if self._rest:
            data = self._rest + data
        frames = []
        start, size = 0, len(data)
        while size - start >= HEADER_BYTES:
            kind = data[start]
            length = data[start + 1] << 8 | data[start + 2]
            if kind != AUDIO or length != AUDIO_BYTES:
                _check(kind, length)
            end = start + HEADER_BYTES + length
            if end > size:
                break
            frames.append((kind, data[start + HEADER_BYTES : end]))
            start = end
        self._rest = data[start:]
        return frames


def for_the_wire(pcm: bytes) -> bytes:
    """Telephone audio as a row of audio frames; the last is filled up with silence."""
    pcm += bytes(-len(pcm) % AUDIO_BYTES)
    return b"".join(
        AUDIO_HEADER + pcm[at : at + AUDIO_BYTES]
        for at in range(0, len(pcm), AUDIO_BYTES)
    )


def _check(kind: int, length: int) -> None:
    if kind == AUDIO:
        fits = 0 < length <= MAX_PAYLOAD_BYTES and length % 2 == 0
    else:
        low, high = _LENGTHS.get(kind, (1, 0))
        fits = low <= length <= high
    if not fits:
        raise BrokenError(f"kind 0x{kind:02x} with {length} bytes")
