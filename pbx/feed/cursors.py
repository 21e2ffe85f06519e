"""Places in the feed and in a day's list, as opaque text. Pure.

Whoever gets one gives it back as it is. A checksum tells a cursor that was cut off or
mistyped from one that was never ours; a cursor opens nothing, so it needs no secret.
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import crc32
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FEED, _LIST = b"f", b"l"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
HIGHEST = 2**63 - 1
"""PostgreSQL's bigint: no cursor of a store is higher."""
LONGEST = 320
"""Characters of the longest cursor: a call_id of 160 bytes, its time, the rest."""


class CursorError(ValueError):
    """Text that is no cursor of ours, or not one for this use."""


@dataclass(frozen=True, slots=True)
class ListPlace:
    """A call in a list ordered by start: where the next page begins after."""

    started_at: datetime
    call_id: str


def feed_cursor(number: int) -> str:
    """The text of a place in the feed; 0 is before its first entry."""
    return _pack(_FEED, struct.pack(">q", number))


def feed_number(text: str) -> int:
    """The number behind `feed_cursor`. Raises CursorError."""
    payload = _unpack(_FEED, text)
    if len(payload) != 8:
        raise CursorError("this is no cursor of this feed")
    number: int = struct.unpack(">q", payload)[0]
    if number < 0:
        raise CursorError("this is no cursor of this feed")
    return number


def list_cursor(place: ListPlace) -> str:
    """The text of a place in a list."""
    at = (place.started_at - _EPOCH) // _MICROSECOND
    return _pack(_LIST, struct.pack(">q", at) + place.call_id.encode())


def list_place(text: str) -> ListPlace:
    """The place behind `list_cursor`. Raises CursorError."""
    payload = _unpack(_LIST, text)
    try:
        (at,) = struct.unpack(">q", payload[:8])
        return ListPlace(_EPOCH + at * _MICROSECOND, payload[8:].decode())
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise CursorError("this is no cursor of a list") from error


def _pack(kind: bytes, payload: bytes) -> str:
    whole = kind + payload
    return urlsafe_b64encode(whole + _checksum(whole)).decode().rstrip("=")


def _unpack(kind: bytes, text: str) -> bytes:
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError as error:  # binascii.Error and UnicodeEncodeError are ones
        raise CursorError("this is no cursor") from error
    whole, checksum = raw[:-4], raw[-4:]
    if not whole or _checksum(whole) != checksum or _pack(b"", whole) != text:
        raise CursorError("this is no cursor, or only a part of one")
    if whole[:1] != kind:
        raise CursorError(
            "this cursor belongs to the feed, not to a list with `from`"
            if whole[:1] == _FEED
            else "this cursor belongs to a list: give the same `from` with it"
        )
    return whole[1:]


def _checksum(whole: bytes) -> bytes:
    return struct.pack(">I", crc32(whole))
