"""What of a record a stranger may see: decided field by field, denied by default.

Two uses of one table. `masked` is what a reader without the right to personal data
gets; `erased` is what stays of a record whose personal data has had its time, or whose
person asked for erasure. What neither lists is hidden: a new field of the record shows
nothing until somebody decides, and a test fails until somebody does.

A kept text must also *look* like what it is declared to be (a name of ours, a short
number, a time): a caller's number that strays into the wrong field stays hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

HIDDEN = "hidden"
"""Stands where somebody with more rights would read something."""
ERASED = "erased"
"""Stands where nobody will ever read anything again."""

Record = Mapping[str, Any]


class Class(StrEnum):
    """Kinds of personal data in a record; each has a time of its own in the city."""

    PERSONAL = "personal"
    """Who called, from where, and whom he was connected with outside."""
    NOTES = "notes"
    """What an operator wrote, in words."""


@dataclass(frozen=True, slots=True)
class Field:
    """One decision: shown if `looks_right`, else hidden as its class."""

    looks_right: Callable[[str, Record], bool]
    belongs_to: Class = Class.PERSONAL


Decisions = Mapping[str, "Field | Decisions"]

_LONGEST_HOUSE_NUMBER = 5
"""Digits of an operator's phone or a public short number (112, 119); citizens' numbers
have more: E.164 subscribers in Indonesia 9 to 13."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9 _./:-]{0,79}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SHORT_NUMBER = re.compile(rf"\+?[0-9]{{1,{_LONGEST_HOUSE_NUMBER}}}")
_ENDPOINT = re.compile(r"[a-z][a-z0-9-]{0,39}")
_CHANNEL = re.compile(r"PJSIP/([A-Za-z0-9+-]+)-[0-9a-f]{8}")
_KIND_OF_REPORT = re.compile(r"[^\W\d_][^\W\d_ ,/&()-]*([ ,/&()-]+[^\W\d_]+)*[) ]*")
_KEY = re.compile(r"\b(digit=|key )[0-9*#A-D](?![0-9A-Za-z.])")
"""The filter's words for the key pressed: `digit=0 at 1340ms`, `key 0`."""
_LONG_RUN = re.compile(
    rf"[0-9]{{{_LONGEST_HOUSE_NUMBER},}}|[0-9](?:[ ()/_-]{{0,2}}[0-9]){{8,}}"
)
"""Digits of a citizen's number: side by side, or nine and more as people and tel: URIs
(RFC 3966, 3) part them. A full stop parts the filter's own measures, too."""


def _has_long_run(text: str) -> bool:
    return _LONG_RUN.search(text) is not None


def _is_word(text: str, _: Record) -> bool:
    return _WORD.fullmatch(text) is not None and not _has_long_run(text)


def _is_of_ours(text: str, _: Record) -> bool:
    """An operator's phone, a trunk, a queue, a short number; not a citizen."""
    if _SHORT_NUMBER.fullmatch(text):
        return True
    return _ENDPOINT.fullmatch(text) is not None and not _has_long_run(text)


def _is_channel(text: str, record: Record) -> bool:
    """`PJSIP/101-0000002a`. A Local channel's name has the number dialled in it."""
    name = _CHANNEL.fullmatch(text)
    return name is not None and _is_of_ours(name[1], record)


def _is_evidence(text: str, _: Record) -> bool:
    """The filter's own measures: levels, counts and seconds have few digits."""
    return not _has_long_run(text)


def _is_kind_of_report(text: str, _: Record) -> bool:
    """`Hewan berbahaya`: a few words without a figure; whoever writes more writes a
    note."""
    return len(text) <= 40 and _KIND_OF_REPORT.fullmatch(text) is not None


def _is_recording(text: str, record: Record) -> bool:
    """A file named after its call, and nothing more telling."""
    call_id = str(record.get("call_id", ""))
    rest = text.replace(call_id, "", 1) if call_id else text
    return rest != text and "/" not in text and not _has_long_run(rest)


WORD = Field(_is_word)
"""A name or a state of ours."""
EVIDENCE = Field(_is_evidence)
TIME = Field(lambda text, _: _TIME.fullmatch(text) is not None)
OURS = Field(_is_of_ours)
ID = Field(lambda text, _: len(text) <= 160)
"""Made by Asterisk of its own name, its clock and a counter."""
FIGURE = Field(lambda text, _: False)
"""A number or yes and no; a text has no business here."""
PERSONAL = Field(lambda text, _: False)
NOTE = Field(lambda text, _: False, Class.NOTES)

DECISIONS: Decisions = {
    "call_id": ID,
    "revision": FIGURE,
    "state": WORD,
    "disposition": WORD,
    "direction": WORD,
    "incomplete": FIGURE,
    "truncated": FIGURE,
    "joined": {"": ID},
    "joined_into": ID,
    "erased_at": TIME,
    "trunk": WORD,
    "number": Field(lambda text, _: _SHORT_NUMBER.fullmatch(text) is not None),
    "ani": PERSONAL,
    "presentation": WORD,
    "flow": WORD,
    "started_at": TIME,
    "answered_at": TIME,
    "queued_at": TIME,
    "connected_at": TIME,
    "released_at": TIME,
    "ended_at": TIME,
    "last_event_at": TIME,
    "prompts": {"name": WORD, "at_ms": FIGURE, "heard_ms": FIGURE, "ended": WORD},
    "keys": {
        "digit": PERSONAL,  # ten of them may be a telephone number
        "at_ms": FIGURE,
        "source": WORD,
    },
    "verdict": {
        "verdict": WORD,
        "reason": WORD,
        "at_ms": FIGURE,
        "evidence": EVIDENCE,
        "confidence": FIGURE,
        "holdout": FIGURE,
        "shadow": FIGURE,
    },
    "rescued": WORD,
    "degraded": WORD,
    "release_prompt": WORD,
    "queued": {
        "queue": WORD,
        "priority": FIGURE,
        "rung": FIGURE,
        "at": TIME,
        "left_at": TIME,
        "status": WORD,
    },
    "rings": {
        "operator": OURS,
        "queue": WORD,
        "at": TIME,
        "ring_seconds": FIGURE,
        "outcome": WORD,
        "cause": FIGURE,
    },
    "operator": OURS,
    "hangup_cause": FIGURE,
    "hung_up_by": WORD,
    "wait_seconds": FIGURE,
    "ring_seconds": FIGURE,
    "talk_seconds": FIGURE,
    "hold_seconds": FIGURE,
    "wrap_up_seconds": FIGURE,
    "holds": {"by": OURS, "at": TIME, "ended_at": TIME},
    "transfers": {
        "kind": WORD,
        "by": OURS,
        "to": OURS,
        "at": TIME,
        "completed": FIGURE,
    },
    "recordings": {"name": Field(_is_recording), "at": TIME},
    "caller": {
        "asserted": PERSONAL,
        "access_network": PERSONAL,
        "geolocation": PERSONAL,
        "cell_id": PERSONAL,
    },
    "classified": {
        "category": WORD,
        "type": Field(_is_kind_of_report, Class.NOTES),
        "operator": OURS,
        "note": NOTE,
        "at": TIME,
    },
    "survey": {"score": FIGURE, "at": TIME},
    "abandoned": FIGURE,
    "legs": {
        "channel": ID,
        "name": Field(_is_channel),
        "endpoint": OURS,
        "started_at": TIME,
        "answered_at": TIME,
        "ended_at": TIME,
        "cause": FIGURE,
    },
}
"""Every field of `as_record` and what the store adds; `""`: what a bare list holds."""

EVERYTHING = frozenset(Class)


def masked(record: Record) -> dict[str, Any]:
    """The record as a reader without the right to personal data may see it.

    The same fields, with `HIDDEN` where something is kept from him; nothing (null, an
    empty text) stays nothing. Two records that differ only in the caller come out the
    same. A field nobody decided about is hidden whole.
    """
    return {
        key: _shown(value, DECISIONS.get(key, PERSONAL), record, HIDDEN, EVERYTHING)
        for key, value in record.items()
    }


def erased(record: Record, classes: frozenset[Class] = EVERYTHING) -> dict[str, Any]:
    """The record without its personal data, for good: `ERASED` stands in its place.

    Done again, or to a record folded anew, it gives the same.
    """
    return {
        key: _shown(value, DECISIONS.get(key, PERSONAL), record, ERASED, classes)
        for key, value in record.items()
    }


def _shown(
    value: Any,
    decision: Field | Decisions,
    record: Record,
    word: str,
    classes: frozenset[Class],
) -> Any:
    if value is None or value == "" or value == ERASED:
        return value
    if isinstance(value, list | tuple):
        if isinstance(decision, Field):
            return word if value and decision.belongs_to in classes else value
        return [_shown(item, decision, record, word, classes) for item in value]
    if isinstance(value, Mapping):
        if isinstance(decision, Field):
            return word if value and decision.belongs_to in classes else dict(value)
        return {
            key: _shown(item, decision.get(key, PERSONAL), record, word, classes)
            for key, item in value.items()
        }
    if not isinstance(decision, Field):
        decision = _bare(decision)
    if decision.belongs_to not in classes:
        return value
    if isinstance(value, str):
        if not decision.looks_right(value, record):
            return word
        # A key is hidden where it stands alone (`keys`), so in the evidence, too.
        return _KEY.sub(rf"\1{word}", value) if decision is EVIDENCE else value
    return value if decision is FIGURE else word


def _bare(decisions: Decisions) -> Field:
    """What a list may hold that holds no tables."""
    inner = decisions.get("", PERSONAL)
    return inner if isinstance(inner, Field) else PERSONAL
