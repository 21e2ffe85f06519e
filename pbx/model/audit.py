"""The audit's chain: what an entry's bytes are, and what is wrong with a chain.

Each entry carries an HMAC (RFC 2104, SHA-256) of itself and of the entry before, so
none can be changed, taken out, put in or moved by somebody who has the database alone.
That the newest are missing shows only against what was written elsewhere: the anchors.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

FIRST = "0" * 64
"""Stands where the first entry would name the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry, as it stands in the store."""

    seq: int
    at: datetime
    actor: str
    action: str
    call_id: str | None
    subject: str | None
    """A keyed hash of the number it is about (`subject_of`)."""
    reason: str | None
    seconds: float | None
    """Of sound that left us, for playbacks."""
    details: str | None
    """JSON text."""
    key_id: str
    previous: str
    mac: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """What was written outside the database about the chain's end."""

    seq: int
    mac: str


def canonical(entry: Entry) -> bytes:
    """What the HMAC is over: one JSON array (RFC 8259), UTF-8, no spaces.

    `[seq, at, actor, action, call_id, subject, reason, seconds, details, key_id,
    previous]`; `at` in UTC with microseconds and `Z`, seconds with three decimals as a
    text, null where there is nothing.
    """
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps(
        [
            entry.seq,
            at.replace("+00:00", "Z"),
            entry.actor,
            entry.action,
            entry.call_id,
            entry.subject,
            entry.reason,
            None if entry.seconds is None else f"{entry.seconds:.3f}",
            entry.details,
            entry.key_id,
            entry.previous,
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def mac_of(entry: Entry, key: bytes) -> str:
    """The entry's HMAC-SHA256, in hex; what `entry.mac` says is not looked at."""
    return hmac.new(key, canonical(entry), hashlib.sha256).hexdigest()


def key_id(key: bytes) -> str:
    """Names a key without telling it."""
    return hashlib.sha256(b"gerbang audit key\0" + key).hexdigest()[:16]


def subject_of(number: str, key: bytes) -> str:
    """Stands for a telephone number (normalised): the same each time, and of no use
    without the key."""
    told = b"gerbang subject\0" + number.encode()
    return hmac.new(key, told, hashlib.sha256).hexdigest()


class Check:
    """Looks at a chain entry by entry, in the order of `seq`, and holds none of them.

    `keys` by `key_id`. What `take` and `end` return is what is wrong, in words.
    """

    def __init__(
        self, keys: Mapping[str, bytes], anchors: Sequence[Anchor] = ()
    ) -> None:
        self._keys = keys
        self._anchored: dict[int, set[str]] = {}
        for anchor in anchors:
            self._anchored.setdefault(anchor.seq, set()).add(anchor.mac)
        self._seq, self._previous = 0, FIRST

    def take(self, entry: Entry) -> list[str]:
        """What is wrong with the next entry."""
        found = []
        if entry.seq != self._seq + 1:
            found.append(_missing(self._seq + 1, entry.seq - 1))
        elif entry.previous != self._previous:
            found.append(
                f"entry {entry.seq} does not follow entry {self._seq}: one of the two "
                "was replaced"
            )
        found += _faults_of(entry, self._keys)
        if others := self._anchored.pop(entry.seq, set()) - {entry.mac}:
            found.append(
                f"entry {entry.seq} is not the one that was anchored "
                f"({min(others)[:12]}…): the chain was written anew from there, or "
                "from earlier on"
            )
        self._seq, self._previous = entry.seq, entry.mac
        return found

    def end(self) -> list[str]:
        """What the anchors know beyond the last entry."""
        last = max(self._anchored, default=0)
        if last <= self._seq:
            return []
        return [f"{_missing(self._seq + 1, last)} at the end: anchored, and gone"]


def _faults_of(entry: Entry, keys: Mapping[str, bytes]) -> Iterator[str]:
    key = keys.get(entry.key_id)
    if key is None:
        yield (
            f"entry {entry.seq} was signed with the key {entry.key_id}, which is not "
            "in the key file: it cannot be checked"
        )
    elif not hmac.compare_digest(mac_of(entry, key), entry.mac):
        yield f"entry {entry.seq} was changed after it was written"


def spans(numbers: Sequence[int]) -> str:
    """Ascending entries' numbers in words: `entries 1 to 3, entry 7`."""
    told: list[list[int]] = []
    for number in numbers:
        if told and number == told[-1][1] + 1:
            told[-1][1] = number
        else:
            told.append([number, number])
    return ", ".join(f"entry {a}" if a == b else f"entries {a} to {b}" for a, b in told)


def _missing(first: int, last: int) -> str:
    if last <= first:
        return f"entry {first} is missing"
    return f"entries {first} to {last} are missing"
