"""Parts of a file, and how much sound is in them. Pure.

A part is asked for as RFC 9110, 14 has it; of a WAV file the header says where sound
begins and how many bytes are a second.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_ONE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.IGNORECASE | re.ASCII)


class UnsatisfiableError(ValueError):
    """The part lies beyond the end: 416."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `start` until before `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.stop - self.start


def wanted_span(header: str | None, size: int) -> Span | None:
    """Which part of so many bytes is asked for; None: all of it.

    What is not understood, or asks for several parts, is passed over, as the RFC
    allows. Raises UnsatisfiableError.
    """
    found = _ONE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # the last so many bytes
        length = min(int(found[2]), size)
        if length == 0:
            raise UnsatisfiableError
        return Span(size - length, size)
    start = int(found[1])
    last = int(found[2]) if found[2] else size - 1
    if found[2] and last < start:
        return None  # not a range at all
    if start >= size:
        raise UnsatisfiableError
    return Span(start, min(last + 1, size))


@dataclass(frozen=True, slots=True)
class Sound:
    """Where a WAV file's sound lies."""

    begins: int
    bytes_a_second: int

    def seconds(self, sent: Span) -> float:
        """How much of it is in these bytes."""
        heard = sent.stop - max(sent.start, self.begins)
        return max(0, heard) / self.bytes_a_second


TELEPHONE = Sound(44, 16_000)
"""8 kHz, 16 bits, one channel, behind the shortest header: what all of ours are."""


def sound_of(head: bytes) -> Sound:
    """What the first bytes of a WAV file say; TELEPHONE where they say nothing.

    In doubt more was heard than less: a file that is no WAV counts as sound whole.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return Sound(0, TELEPHONE.bytes_a_second)
    at, rate = 12, 0
    while at + 8 <= len(head):
        name, length = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if name == b"fmt " and at + 20 <= len(head):
            rate = struct.unpack_from("<I", head, at + 16)[0]
        if name == b"data":
            return Sound(at + 8, rate or TELEPHONE.bytes_a_second)
        at += 8 + length + length % 2
    return TELEPHONE
