"""What other programs may rely on: the record's schema, and that it only grows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from pbx.__main__ import build
from pbx.model.masking import erased, masked
from pbx.records.record_schema import VERSION, incompatible, record_schema
from pbx.settings import PROJECT

COMMITTED = PROJECT / "docs" / "schemas" / f"call-record-{VERSION}.json"
REPLAY = PROJECT / "tests" / "replay"
VALIDATOR = Draft202012Validator(
    record_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER
)


def stored(record: dict[str, Any]) -> dict[str, Any]:
    """As the store keeps it."""
    return {"revision": 1, "joined_into": None, "erased_at": None} | record


def record() -> dict[str, Any]:
    (found,) = json.loads((REPLAY / "key-connected" / "expected.json").read_text())
    return stored(found)


@pytest.mark.parametrize(
    "folder", sorted(path.parent.name for path in REPLAY.glob("*/expected.json"))
)
def test_real_records_are_as_the_schema_says(folder: str) -> None:
    found = json.loads((REPLAY / folder / "expected.json").read_text())
    assert found
    for each in found:
        VALIDATOR.validate(stored(each))
        assert set(stored(each)) == set(VALIDATOR.schema["properties"])


@pytest.mark.parametrize("change", [masked, erased])
def test_hidden_and_erased_records_are_as_the_schema_says(
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    for path in REPLAY.glob("*/expected.json"):
        for each in json.loads(path.read_text()):
            VALIDATOR.validate(change(stored(each)))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(record_schema())


@pytest.mark.parametrize(
    "spoil",
    [
        {"revision": 0},
        {"ani": 812},
        {"legs": None},
        {"verdict": {"verdict": "pass"}},
        {"started_at": None},
        {"wait_seconds": "long"},
        {"rings": ["101"]},
    ],
)
def test_what_is_no_record(spoil: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(record())
    assert not VALIDATOR.is_valid(record() | spoil)
    assert not VALIDATOR.is_valid(
        {key: value for key, value in record().items() if key not in spoil}
    )


def test_a_field_and_a_word_of_tomorrow_are_fine() -> None:
    assert VALIDATOR.is_valid(record() | {"mood": "good", "disposition": "called-back"})


def test_the_committed_schema_is_the_one_in_force() -> None:
    committed = json.loads(COMMITTED.read_text())
    assert incompatible(committed, record_schema()) == [], (
        "this breaks who reads version 1 of the record: keep what there was, or make "
        "it version 2"
    )
    assert committed == record_schema(), (
        f"run `gerbang records schema --out {COMMITTED.relative_to(PROJECT)}`"
    )


def _without_ani(schema: dict[str, Any]) -> None:
    del schema["properties"]["ani"]


def _ani_may_be_missing(schema: dict[str, Any]) -> None:
    schema["required"].remove("ani")


def _legs_may_be_null(schema: dict[str, Any]) -> None:
    schema["properties"]["legs"]["type"] = ["array", "null"]


def _talk_is_text(schema: dict[str, Any]) -> None:
    schema["properties"]["talk_seconds"]["type"] = ["string", "null"]


def _time_is_free(schema: dict[str, Any]) -> None:
    del schema["properties"]["started_at"]["format"]


def _word_gone(schema: dict[str, Any]) -> None:
    schema["properties"]["disposition"]["x-known-values"].remove("lost")


def _cause_gone(schema: dict[str, Any]) -> None:
    del schema["properties"]["legs"]["items"]["properties"]["cause"]


def _reason_gone(schema: dict[str, Any]) -> None:
    del schema["properties"]["verdict"]["properties"]["reason"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without_ani, "record.ani is gone"),
        (_ani_may_be_missing, "record.ani may now be missing"),
        (_legs_may_be_null, "record.legs may now be null"),
        (_talk_is_text, "record.talk_seconds may now be string"),
        (_time_is_free, "record.started_at is written differently"),
        (_word_gone, "record.disposition no longer says lost"),
        (_cause_gone, "record.legs[].cause is gone"),
        (_reason_gone, "record.verdict.reason is gone"),
    ],
)
def test_what_would_break_a_reader(
    change: Callable[[dict[str, Any]], None], said: str
) -> None:
    changed = copy.deepcopy(record_schema())
    change(changed)
    assert said in incompatible(record_schema(), changed)


def test_what_breaks_nobody() -> None:
    older = copy.deepcopy(record_schema())
    _without_ani(older)
    older["required"].remove("ani")
    _legs_may_be_null(older)
    _word_gone(older)
    _cause_gone(older)
    older["properties"]["legs"]["items"]["required"].remove("cause")
    assert incompatible(older, record_schema()) == []


def test_the_command_prints_writes_and_refuses(tmp_path: Path) -> None:
    line = ["records", "schema"]
    done = CliRunner().invoke(build(["records"]), line)
    assert json.loads(done.stdout) == record_schema()
    out = tmp_path / "schema.json"
    for _ in range(2):
        done = CliRunner().invoke(build(["records"]), [*line, "--out", str(out)])
        assert done.exit_code == 0, done.output
        assert json.loads(out.read_text()) == record_schema()
    broken = json.loads(out.read_text())
    broken["properties"]["smell"] = {"type": "string"}
    out.write_text(json.dumps(broken))
    done = CliRunner().invoke(build(["records"]), [*line, "--out", str(out)])
    assert done.exit_code == 1
    assert "record.smell is gone" in done.output
    assert json.loads(out.read_text()) == broken
    assert [path.name for path in tmp_path.iterdir()] == ["schema.json"]
