"""Kediri's classes: whose word decides, and what a record says where nobody spoke."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pbx.model.call import Call, Classified, Disposition, State
from pbx.model.category import Category, category_of
from pbx.model.events import Judged

REPLAY = Path(__file__).parents[2] / "replay"
AT = datetime(2025, 10, 3, 1, 0, tzinfo=UTC)
RELEASED = {"disposition": "released", "answered_at": "2025-10-03T01:00:00.000Z"}
CONNECTED = RELEASED | {
    "disposition": "connected",
    "queued": [{"queue": "darurat"}],
    "verdict": {"verdict": "low-priority", "reason": "silent"},
    "talk_seconds": 6.0,
}
LEFT = RELEASED | {"disposition": "left", "verdict": None, "keys": []}


def said(category: str) -> dict[str, Any]:
    return {"classified": {"category": category, "type": None}}


@pytest.mark.parametrize("category", ["ghost", "prank", "information", "valid"])
@pytest.mark.parametrize("record", [RELEASED, CONNECTED, LEFT])
def test_the_operators_word_decides(record: dict[str, Any], category: str) -> None:
    assert category_of(record | said(category)) == category


def test_a_word_that_is_no_category_is_no_word() -> None:
    assert category_of(RELEASED | said("unclassified")) is Category.GHOST
    assert category_of(CONNECTED | said("wrong") | {"talk_seconds": 90.0}) is (
        Category.UNCLASSIFIED
    )


GHOSTS: list[dict[str, Any]] = [
    RELEASED,
    LEFT,
    LEFT | {"verdict": {"verdict": "release", "reason": "distant"}},
    LEFT | {"verdict": {"verdict": "low-priority", "reason": "doubt"}},
    CONNECTED,
    CONNECTED | {"talk_seconds": None, "disposition": "abandoned"},
    CONNECTED | {"verdict": {"verdict": "pass", "reason": "noise", "holdout": True}},
    CONNECTED | {"talk_seconds": 19.9},
]

UNKNOWN: list[dict[str, Any]] = [
    CONNECTED | {"talk_seconds": 20.0},
    CONNECTED | {"verdict": {"verdict": "pass", "reason": "voice"}},
    CONNECTED | {"verdict": {"verdict": "low-priority", "reason": "doubt"}},
    CONNECTED | {"verdict": None},
    CONNECTED | {"verdict": {"verdict": "release", "reason": "silent"}},  # saved
    CONNECTED | {"keys": [{"digit": "0"}]},
    CONNECTED | {"disposition": "lost", "talk_seconds": None},
    LEFT | {"answered_at": None},
    LEFT | {"keys": [{"digit": "0"}]},
    LEFT | {"verdict": {"verdict": "pass", "reason": "voice"}},
    LEFT | {"degraded": "nothing"},
    LEFT | {"rescued": "intake-lost"},
    {"disposition": "offered"},
]


@pytest.mark.parametrize("record", GHOSTS)
def test_nobody_was_there(record: dict[str, Any]) -> None:
    assert category_of(record) is Category.GHOST


@pytest.mark.parametrize("record", UNKNOWN)
def test_in_doubt_nobody_is_a_ghost(record: dict[str, Any]) -> None:
    assert category_of(record) is Category.UNCLASSIFIED


def test_a_call_is_as_good_as_its_record() -> None:
    call = Call(
        call_id="k-1",
        state=State.CLOSED,
        disposition=Disposition.RELEASED,
        started_at=AT,
        last_event_at=AT,
        verdict=Judged("release", "silent", 9000, "…"),
    )
    assert category_of(call) is Category.GHOST
    word = Classified("valid", "ambulance", "101", None, AT)
    operators = Call(
        call_id="k-2",
        state=State.CLOSED,
        disposition=Disposition.CONNECTED,
        started_at=AT,
        last_event_at=AT,
        classified=word,
    )
    assert category_of(operators) is Category.VALID


@pytest.mark.parametrize(
    ("folder", "category"),
    [
        ("silent-released", Category.GHOST),
        ("left-in-greeting", Category.GHOST),
        ("key-connected", Category.UNCLASSIFIED),
        ("intake-hung-rescued", Category.UNCLASSIFIED),
    ],
)
def test_recorded_calls(folder: str, category: Category) -> None:
    [record, *_] = json.loads((REPLAY / folder / "expected.json").read_text())
    assert category_of(record) is category
