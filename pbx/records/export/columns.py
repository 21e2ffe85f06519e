"""The columns of an export, and a record as a row of them. Pure.

What tables have room for stands flat; what has no end of parts (rings, legs, …) is one
column of JSON each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from pbx.model.call import Direction, State
from pbx.model.category import category_of

Record = Mapping[str, Any]
Value = str | int | float | bool | datetime | None


class Kind(StrEnum):
    """What a column holds; null wherever nothing is known."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    YES_NO = "yes or no"
    TIME = "time"
    """UTC, milliseconds."""
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `take` finds it in a record, `says` tells a stranger what it is."""

    name: str
    kind: Kind
    says: str
    take: Callable[[Record], Any]

    def value(self, record: Record) -> Value:
        """Of its kind, or null: a mask in a column of numbers is none."""
        return _VALUES[self.kind](self.take(record))


def _at(*path: str | int) -> Callable[[Record], Any]:
    return partial(_find, path)


def _find(path: tuple[str | int, ...], record: Any) -> Any:
    for step in path:
        try:
            record = record[step]
        except (KeyError, IndexError, TypeError):
            return None
    return record


def _category(record: Record) -> str | None:
    is_counted = (
        record.get("direction") == Direction.INCOMING
        and record.get("state") == State.CLOSED
    )
    return category_of(record).value if is_counted else None


def _count(name: str) -> Callable[[Record], Any]:
    return lambda record: len(record.get(name) or ())


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_one else None


def _yes_no(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _json(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_VALUES: Mapping[Kind, Callable[[Any], Value]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.YES_NO: _yes_no,
    Kind.TIME: _time,
    Kind.JSON: _json,
}


def _flat(kind: Kind, *named: tuple[str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, kind, says, _at(name)) for name, says in named)


COLUMNS: tuple[Column, ...] = (
    *_flat(
        Kind.TEXT,
        ("call_id", "the call, everywhere"),
        ("state", "open while more may come, then closed"),
        ("disposition", "how far it came"),
        ("direction", "incoming or outgoing"),
    ),
    Column(
        "category",
        Kind.TEXT,
        "ghost, prank, information, valid or unclassified; closed incoming calls only",
        _category,
    ),
    *_flat(Kind.INTEGER, ("revision", "of the record")),
    *_flat(
        Kind.TIME,
        ("started_at", "it reached us"),
        ("answered_at", "the system answered"),
        ("queued_at", "it began to wait for an operator"),
        ("connected_at", "an operator took it"),
        ("released_at", "the filter ended it"),
        ("ended_at", "hung up"),
    ),
    *_flat(
        Kind.TEXT,
        ("trunk", "where it came from"),
        ("number", "the number dialled"),
        ("ani", "the caller's number; personal"),
        ("presentation", "whether the caller withheld it"),
        ("flow", "the flow it went through"),
        ("operator", "the first operator the caller talked with"),
    ),
    Column("first_queue", Kind.TEXT, "it waited first", _at("queued", 0, "queue")),
    Column("last_queue", Kind.TEXT, "it waited last", _at("queued", -1, "queue")),
    Column("queue_stays", Kind.INTEGER, "rungs of the ladder", _count("queued")),
    Column("ring_attempts", Kind.INTEGER, "phones that rang", _count("rings")),
    *_flat(
        Kind.NUMBER,
        ("wait_seconds", "first queue to operator, or to the end"),
        ("ring_seconds", "how long the answered phone rang"),
        ("talk_seconds", "in conversation"),
        ("hold_seconds", "of it on hold"),
        ("wrap_up_seconds", "end to the operator's being ready"),
    ),
    Column("verdict", Kind.TEXT, "the filter's ruling", _at("verdict", "verdict")),
    Column("verdict_reason", Kind.TEXT, "why, in a word", _at("verdict", "reason")),
    Column("verdict_evidence", Kind.TEXT, "in figures", _at("verdict", "evidence")),
    Column(
        "verdict_confidence", Kind.NUMBER, "0 to 1", _at("verdict", "confidence")
    ),
    Column("holdout", Kind.YES_NO, "sent on to measure", _at("verdict", "holdout")),
    Column("shadow", Kind.YES_NO, "the filter only watched", _at("verdict", "shadow")),
    *_flat(
        Kind.TEXT,
        ("rescued", "why it was taken from the intake"),
        ("degraded", "greeted without the intake; what was heard"),
        ("hung_up_by", "caller, operator, other or system"),
    ),
    *_flat(Kind.INTEGER, ("hangup_cause", "Q.850")),
    *_flat(
        Kind.YES_NO,
        ("abandoned", "the caller left while waiting"),
        ("incomplete", "journal lines are known to be missing"),
        ("truncated", "Asterisk died under it"),
    ),
    Column(
        "classified_category", Kind.TEXT, "the operator's word",
        _at("classified", "category"),
    ),
    Column("classified_type", Kind.TEXT, "of report", _at("classified", "type")),
    Column(
        "classified_operator", Kind.TEXT, "who said so", _at("classified", "operator")
    ),
    Column("classified_note", Kind.TEXT, "personal", _at("classified", "note")),
    Column("survey_score", Kind.INTEGER, "1 to 5", _at("survey", "score")),
    Column("caller_cell_id", Kind.TEXT, "personal", _at("caller", "cell_id")),
    *_flat(
        Kind.JSON,
        ("caller", "what the network said; personal"),
        ("prompts", "heard, each"),
        ("keys", "pressed, each"),
        ("queued", "each rung"),
        ("rings", "each attempt"),
        ("holds", "each"),
        ("transfers", "each"),
        ("recordings", "each"),
        ("joined", "calls that became part of this one"),
        ("legs", "each channel"),
    ),
)  # fmt: skip
"""In the order of an export; new ones are added at the end."""


def row_of(record: Record) -> list[Value]:
    """A record, as the store has it or masked, in the order of `COLUMNS`."""
    return [column.value(record) for column in COLUMNS]
