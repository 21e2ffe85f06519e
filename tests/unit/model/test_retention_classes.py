"""How long each class of data is kept: declared, and without contradiction."""

from __future__ import annotations

import pytest

from pbx.model.city import CityError, read_city
from pbx.model.retention import Retention
from pbx.settings import PROJECT

TEXT = (PROJECT / "asterisk-config" / "city.toml").read_text()


def test_the_reference_city_declares_the_defaults() -> None:
    declared = read_city(TEXT, source="city.toml").retention
    assert declared == Retention()
    assert set(Retention.model_fields) == declared.model_fields_set


@pytest.mark.parametrize(
    ("declared", "place", "said"),
    [
        ("record_days = 300", "number_days", "goes with its record"),
        ("note_days = 400", "note_days", "may name the caller"),
        ("raw_line_days = 366", "raw_line_days", "hold the notes as well"),
        ("conversation_days = 2000", "conversation_days", "whose"),
        ("ghost_record_days = 2000", "ghost_record_days", "outlive"),
        ("review_row_days = 800", "review_row_days", "nothing without its call"),
        ("review_row_days = 20", "released_audio_days", "nobody can review"),
        ("ghost_record_days = 10", "other_audio_days", "whose audio"),
        ("raw_line_days = 6", "raw_line_days", "7"),
        ("record_days = 0", "record_days", "1"),
    ],
)
def test_a_contradiction_is_told_with_its_line_and_cure(
    declared: str, place: str, said: str
) -> None:
    key = declared.split(" ")[0]
    lines = [declared if line.startswith(key) else line for line in TEXT.splitlines()]
    with pytest.raises(CityError) as raised:
        read_city("\n".join(lines), source="city.toml")
    number = next(i for i, line in enumerate(lines, 1) if line.startswith(place))
    (told,) = [s for s in raised.value.lines() if f"retention.{place}:" in s][:1]
    assert told.startswith(f"city.toml:{number}: ")
    assert said in told
