"""What a stranger may see of a record, and what stays of it for good."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.model.call import (
    Call,
    CallerFacts,
    Classified,
    Disposition,
    Hold,
    Leg,
    Recording,
    RingAttempt,
    RingOutcome,
    Rung,
    State,
    Survey,
    Transfer,
    TransferKind,
    as_record,
)
from pbx.model.events import Judged, KeyPressed, PromptHeard
from pbx.model.masking import (
    DECISIONS,
    ERASED,
    HIDDEN,
    Class,
    Decisions,
    Field,
    erased,
    masked,
)

AT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
ID = "kediri-1-1795293895.10"
ADDED_BY_THE_STORE = {"revision", "joined_into", "erased_at"}


def call(ani: str, *, note: str = "", stray: str = "carrier") -> Call:
    """A call in which the caller's number stands wherever it may get to."""
    return Call(
        call_id=ID,
        state=State.CLOSED,
        disposition=Disposition.CONNECTED,
        joined=("kediri-1-1795293896.20",),
        trunk=stray,
        number="112",
        ani=ani,
        presentation="allowed_passed_screen",
        flow="filter0",
        started_at=AT,
        last_event_at=AT,
        prompts=(PromptHeard("greeting", 20, 1340, "key"),),
        keys=tuple(KeyPressed(digit, 1340) for digit in ani or "0"),
        verdict=Judged("pass", "key", 1340, "key at 1.34 s; floor -62.1 dBFS", 0.97),
        queued=(Rung("darurat", 10, 1, AT, AT, "TIMEOUT"),),
        rings=(RingAttempt("101", "darurat", AT, 2.5, RingOutcome.ANSWERED, 16),),
        operator="101",
        hangup_cause=16,
        holds=(Hold("101", AT, None), Hold(stray, AT, AT)),
        transfers=(
            Transfer(TransferKind.BLIND, "101", "119", AT, completed=True),
            Transfer(TransferKind.ATTENDED, "101", ani, AT, completed=False),
        ),
        recordings=(Recording(f"{ID}.wav", AT), Recording(f"{ID}-{ani}.wav", AT)),
        caller=CallerFacts(
            asserted=f'"Sari" <sip:{ani}@ims.example>',
            access_network=f"3GPP-E-UTRAN-FDD; utran-cell-id-3gpp={ani}",
            geolocation=f"<https://lis.example/{ani}>",
            cell_id=ani,
        ),
        classified=Classified("valid", "Hewan berbahaya", "101", note + ani, AT),
        survey=Survey(5, AT),
        legs=(
            Leg(ID, f"PJSIP/{stray}-00000010", stray, AT, AT, AT, 16),
            Leg("kediri-1-1795293895.12", "PJSIP/101-00000011", "101", AT, AT, AT, 16),
            Leg(
                "kediri-1-1795293895.13",
                f"Local/{ani}@transferred-00000002;1",
                ani,
                AT,
                AT,
                AT,
                16,
            ),
        ),
    )


# ---- everybody has decided about everything ------------------------------------------


def tables_in(hint: Any) -> Iterator[Any]:
    """The dataclasses a field's type names."""
    if is_dataclass(hint):
        yield hint
    for inner in get_args(hint):
        yield from tables_in(inner)


def undecided(kind: Any, decisions: Decisions, at: str = "") -> Iterator[str]:
    hints = get_type_hints(kind)
    for field in fields(kind):
        decision = decisions.get(field.name)
        inner = next(tables_in(hints[field.name]), None)
        if decision is None:
            yield at + field.name
        elif inner is not None:
            if isinstance(decision, Field):
                yield f"{at}{field.name} has fields of its own"
            else:
                yield from undecided(inner, decision, f"{at}{field.name}.")
                known = {f.name for f in fields(inner)}
                yield from (
                    f"{at}{field.name}.{gone} is no field any more"
                    for gone in decision.keys() - known
                )


def test_a_new_field_of_the_record_needs_a_decision() -> None:
    """Decide in DECISIONS what a reader without the scope `personal` sees of it."""
    assert list(undecided(Call, DECISIONS)) == []
    known = {field.name for field in fields(Call)} | ADDED_BY_THE_STORE
    assert known == set(DECISIONS)


def test_lists_of_bare_values_are_declared_as_such() -> None:
    hints = get_type_hints(Call)
    bare = {
        name
        for name, hint in hints.items()
        if get_origin(hint) is tuple and not any(tables_in(hint))
    }
    told = {n for n, d in DECISIONS.items() if isinstance(d, Mapping) and "" in d}
    assert bare == told


# ---- masked --------------------------------------------------------------------------


def test_what_is_shown_and_what_is_not() -> None:
    record = as_record(call("081234567890", note="Bu Sari "))
    shown = masked(record)
    assert (shown["ani"], shown["number"], shown["trunk"]) == (HIDDEN, "112", "carrier")
    assert set(shown["caller"].values()) == {HIDDEN}
    assert {key["digit"] for key in shown["keys"]} == {HIDDEN}
    assert [t["to"] for t in shown["transfers"]] == ["119", HIDDEN]
    assert [r["name"] for r in shown["recordings"]] == [f"{ID}.wav", HIDDEN]
    assert [leg["name"] for leg in shown["legs"]] == [
        "PJSIP/carrier-00000010",
        "PJSIP/101-00000011",
        HIDDEN,
    ]
    assert shown["classified"] == record["classified"] | {"note": HIDDEN}
    same = (
        "call_id joined started_at prompts verdict queued rings operator holds survey "
        "presentation"
    )
    for name in same.split():
        assert shown[name] == record[name], name


@pytest.mark.parametrize(
    ("evidence", "shown"),
    [
        ("digit=0 at 1340ms", f"digit={HIDDEN} at 1340ms"),
        ("nothing heard; key 0", f"nothing heard; key {HIDDEN}"),
        ("silence; key #; a moment ago", f"silence; key {HIDDEN}; a moment ago"),
        ("silence, floor -72 dBFS; no key", "silence, floor -72 dBFS; no key"),
    ],
)
def test_the_key_is_hidden_in_the_evidence_as_in_the_keys(
    evidence: str, shown: str
) -> None:
    record = {"verdict": {"evidence": evidence}}
    assert masked(record) == {"verdict": {"evidence": shown}}
    gone = erased(record)
    assert gone == {"verdict": {"evidence": shown.replace(HIDDEN, ERASED)}}
    assert erased(gone) == gone


def test_nothing_stays_nothing() -> None:
    bare = Call(
        call_id=ID,
        state=State.OPEN,
        disposition=Disposition.OFFERED,
        ani="",
        started_at=AT,
        last_event_at=AT,
    )
    record = as_record(bare)
    assert masked(record) == record
    assert erased(record) == record


@given(st.from_regex(r"\+?[0-9]{6,15}", fullmatch=True))
def test_no_digits_of_the_number_survive(ani: str) -> None:
    record = as_record(call(ani))
    for told in (masked(record), erased(record)):
        told = {k: v for k, v in told.items() if k not in {"call_id", "joined"}}
        for leg in told["legs"]:
            leg.pop("channel")
            assert re.fullmatch(r"PJSIP/(carrier|101)-000000\d\d|\w+", leg.pop("name"))
        told["recordings"] = [r["name"].replace(ID, "") for r in told["recordings"]]
        runs = {ani[i : i + 5] for i in range(len(ani) - 4)}
        text = json.dumps(told).replace("2026-11-21T13:00:00.000Z", "")
        assert not [run for run in runs if run in text]


@given(st.from_regex(r"\+?[0-9]{6,15}", fullmatch=True), st.text(max_size=20))
def test_two_callers_look_the_same(ani: str, note: str) -> None:
    """The stronger claim: nothing of what is shown depends on who called."""
    one, other = as_record(call(ani, note=note)), as_record(call("0" * len(ani)))
    assert masked(one) == masked(other)
    assert erased(one) == erased(other)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_an_unknown_field_shows_nothing(value: Any) -> None:
    shown = masked({"brand_new": value})
    assert shown["brand_new"] in (HIDDEN, None, "", [], {}, ERASED) or set(
        _leaves(shown["brand_new"])
    ) <= {HIDDEN, None, "", ERASED}


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


@pytest.mark.parametrize(
    "number", ["0812-3456-7890", "0812 3456 7890", "(0812)34567890"]
)
def test_a_number_with_separators_is_hidden_as_well(number: str) -> None:
    record = {
        "call_id": ID,
        "trunk": f"tel {number}",
        "verdict": {"evidence": f"silence; {number}", "reason": f"a/{number}"},
        "legs": [{"endpoint": f"a{number}", "name": f"PJSIP/a{number}-00000010"}],
        "recordings": [{"name": f"{ID}-{number}.wav"}],
    }
    shown = masked(record)
    assert "7890" not in json.dumps(shown)
    assert shown["call_id"] == ID


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trunk", "081234567890"),
        ("trunk", 81234567890),
        ("trunk", ["carrier"]),
        ("trunk", {"name": "carrier"}),
        ("started_at", "081234567890"),
        ("incomplete", "081234567890"),
        ("number", "081234567890"),
        ("operator", "081234567890"),
        ("joined", [{"ani": "081234567890"}]),
        ("keys", "081234567890"),
        ("keys", ["081234567890"]),
        ("legs", [["081234567890"]]),
        ("verdict", {"evidence": "he said 081234567890"}),
        ("recordings", [{"name": "../../etc/passwd"}]),
        ("classified", {"type": "Bu Sari 0812"}),
        ("classified", {"type": "x" * 41}),
    ],
)
def test_what_strays_into_the_wrong_field_is_hidden(field: str, value: Any) -> None:
    shown = json.dumps(masked({"call_id": ID, field: value})[field])
    assert HIDDEN in shown
    assert not re.search("0?81234567890|passwd|Sari|xxx|carrier", shown)


def test_real_records_keep_their_shape() -> None:
    folder = Path(__file__).parent.parent.parent / "replay"
    records = [json.loads(p.read_text()) for p in folder.glob("*/expected.json")]
    assert len(records) > 10
    for record in [r for told in records for r in _records(told)]:
        shown = masked(record)
        assert shown.keys() == record.keys()
        assert shown["ani"] in (HIDDEN, "", None)
        assert shown["disposition"] == record["disposition"]


def _records(told: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(told, list):
        for item in told:
            yield from _records(item)
    elif isinstance(told, dict) and "call_id" in told:
        yield told


# ---- erased --------------------------------------------------------------------------


def test_erased_in_two_steps_is_erased() -> None:
    record = as_record(call("081234567890", note="Bu Sari "))
    notes = erased(record, frozenset({Class.NOTES}))
    assert notes == record | {
        "classified": record["classified"] | {"note": ERASED, "type": "Hewan berbahaya"}
    }
    whole = erased(notes)
    assert whole == erased(record)
    assert erased(whole) == whole
    assert whole["ani"] == ERASED
    assert whole["caller"]["cell_id"] == ERASED


def test_one_class_leaves_the_other() -> None:
    record = {
        "classified": ["free", "text"],
        "ani": ["0812"],
        "caller": {"cell_id": {}},
    }
    assert erased(record, frozenset({Class.NOTES})) == record
    told = {"classified": {"note": ["a"]}, "ani": {"a": 1}, "brand_new": 3}
    assert erased(told, frozenset({Class.NOTES})) == told | {
        "classified": {"note": ERASED}
    }


def test_what_was_erased_looks_erased_to_everybody() -> None:
    record = erased(as_record(call("081234567890")))
    assert masked(record) == record
