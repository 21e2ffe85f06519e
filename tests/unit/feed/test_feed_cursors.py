"""Cursors: what goes in comes out, and nothing else is one."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import crc32
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.feed.cursors import (
    HIGHEST,
    LONGEST,
    CursorError,
    ListPlace,
    feed_cursor,
    feed_number,
    list_cursor,
    list_place,
)
from pbx.feed.words import Page

NUMBERS = st.integers(0, HIGHEST)
TIMES = st.datetimes(timezones=st.just(UTC))
IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=160)
PLACES = st.builds(ListPlace, TIMES, IDS)


@given(NUMBERS)
def test_a_place_in_the_feed(number: int) -> None:
    text = feed_cursor(number)
    assert feed_number(text) == number
    assert len(text) <= LONGEST
    Page(items=[], next=text, more=False)  # it is what we ourselves take


@given(PLACES)
def test_a_place_in_a_list(place: ListPlace) -> None:
    text = list_cursor(place)
    assert list_place(text) == place
    assert len(text) <= LONGEST
    Page(items=[], next=text, more=False)


@given(st.one_of(NUMBERS.map(feed_cursor), PLACES.map(list_cursor)), st.data())
def test_a_damaged_one_is_none(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = data.draw(st.sampled_from([c for c in alphabet if c != text[at]]))
    for damaged in (text[:at], text[:at] + other + text[at + 1 :], text + "A"):
        for read in (feed_number, list_place):
            with pytest.raises(CursorError):
                read(damaged)


@given(st.text(max_size=40))
def test_text_is_no_cursor(text: str) -> None:
    for read in (feed_number, list_place):
        with pytest.raises(CursorError):
            read(text)


@given(st.sampled_from([b"f", b"l"]), st.binary(max_size=40))
def test_whatever_carries_our_checksum_is_one_or_an_error(
    kind: bytes, payload: bytes
) -> None:
    """Somebody may compute it; it opens nothing, and nothing breaks."""
    whole = kind + payload
    made = whole + crc32(whole).to_bytes(4, "big")
    text = urlsafe_b64encode(made).decode().rstrip("=")
    for read, write in ((feed_number, feed_cursor), (list_place, list_cursor)):
        try:
            found = read(text)
        except CursorError:
            continue
        assert write(found) == text  # type: ignore[operator]


def test_each_to_its_use() -> None:
    with pytest.raises(CursorError, match="belongs to the feed"):
        list_place(feed_cursor(7))
    with pytest.raises(CursorError, match="belongs to a list"):
        feed_number(list_cursor(ListPlace(datetime(2026, 11, 22, tzinfo=UTC), "k")))


def test_the_longest_id_fits() -> None:
    place = ListPlace(datetime(2026, 11, 22, tzinfo=UTC), "k" * 160)
    assert len(list_cursor(place)) <= LONGEST
