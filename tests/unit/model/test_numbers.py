"""One subscriber, however his number is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.model.numbers import (
    NotANumberError,
    core,
    is_about,
    is_same,
    mentions,
    mentions_anywhere,
    normalised,
    spellings,
    without,
)

SARI = "6281234567890"


@pytest.mark.parametrize(
    "text",
    [
        "081234567890",
        "+6281234567890",
        "6281234567890",
        "006281234567890",
        " 0812-3456-7890 ",
        "(0812) 3456.7890",
        "tel:+62-812-3456-7890",
        "sip:+6281234567890@ims.example;user=phone",
        "sips:081234567890@ims.example",
        "tel:081234567890;phone-context=ims.example",
    ],
)
def test_one_number(text: str) -> None:
    assert normalised(text) == SARI
    assert is_same(text, SARI)
    assert mentions(text, SARI)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("110", "110"),
        ("0911", "0911"),
        ("+6599998888", "6599998888"),
        ("0354771234", "62354771234"),
        ("771234", "771234"),
    ],
)
def test_other_numbers(text: str, number: str) -> None:
    assert normalised(text) == number


@pytest.mark.parametrize("text", ["", "anonymous", "+", "0812x", "sip:@x", "1,2"])
def test_no_number(text: str) -> None:
    with pytest.raises(NotANumberError, match="081234567890"):
        normalised(text)
    assert not is_same(text, text)


@given(st.from_regex(r"[1-9][0-9]{7,10}", fullmatch=True))
def test_all_forms_are_one(subscriber: str) -> None:
    forms = {
        normalised(f"{prefix}{subscriber}") for prefix in ("0", "+62", "62", "0062")
    }
    assert forms == {"62" + subscriber}
    assert core("62" + subscriber) == subscriber


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("call back 0812 3456 7890 please", True),
        ("62 812-3456-7890", True),
        ("+62 (0)812 3456 7890", True),
        ("<sip:+6281234567890@x>", True),
        ("Local/081234567890@transferred-1;1", True),
        ("0812345678901", False),
        ("9081234567890", False),
        ("0812 3456 789", False),
        ("kediri-1-1763756000.12", False),
        ("", False),
    ],
)
def test_mentioned(text: str, said: bool) -> None:
    assert mentions(text, SARI) is said


@pytest.mark.parametrize("text", ["081234567890", "+6281234567890", "6281234567890"])
def test_every_way_a_network_writes_it(text: str) -> None:
    found = spellings(text)
    assert text in found
    assert {normalised(one) for one in found} == {SARI}
    assert sorted(found) == sorted((SARI, f"+{SARI}", f"00{SARI}", "081234567890"))


def test_foreign_short_and_withheld_numbers_are_spelled_otherwise() -> None:
    assert spellings("+6599998888") == ("6599998888", "+6599998888", "006599998888")
    assert spellings("101") == ("101",)
    assert spellings("*31#") == ("*31#",)


def test_a_short_number_is_mentioned_only_by_itself() -> None:
    assert mentions("dial 110 now", "110")
    assert not mentions("1103", "110")
    assert core("62110") == "62110"


def test_texts_that_mention_a_number_go_and_others_stay() -> None:
    record: dict[str, Any] = {
        "ani": "085700001111",
        "transfers": [{"to": "081234567890", "completed": True}],
        "classified": {"note": "brother: 0812-3456-7890", "at": None},
        "keys": (),
        "hangup_cause": 16,
    }
    assert mentions_anywhere(record, SARI)
    gone = without(record, SARI)
    assert gone == {
        "ani": "085700001111",
        "transfers": [{"to": "erased", "completed": True}],
        "classified": {"note": "erased", "at": None},
        "keys": [],
        "hangup_cause": 16,
    }
    assert not mentions_anywhere(gone, SARI)


@pytest.mark.parametrize(
    ("record", "whose"),
    [
        ({"ani": "+6281234567890", "direction": "incoming"}, True),
        ({"ani": "", "direction": "incoming", "number": "081234567890"}, False),
        ({"ani": "101", "direction": "outgoing", "number": "081234567890"}, True),
        ({"ani": "081234567890", "direction": "outgoing", "number": "119"}, False),
        ({"ani": None, "caller": {"asserted": "<tel:+6281234567890>"}}, True),
        ({"ani": "0857", "caller": None}, False),
    ],
)
def test_whose_call_it_is(record: dict[str, Any], whose: bool) -> None:
    assert is_about(record, SARI) is whose
