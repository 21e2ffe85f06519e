"""How much may be asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.feed.limits import Bucket, Buckets, Room, TooManyError


def test_a_burst_then_the_rate() -> None:
    bucket = Bucket(per_second=2.0, burst=3.0)
    assert [bucket.take(100.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(100.0) == pytest.approx(0.5)
    assert bucket.take(100.25) == pytest.approx(0.25)
    assert bucket.take(100.5) == 0
    assert bucket.take(100.5) > 0
    assert [bucket.take(900.0) > 0 for _ in range(4)] == [False, False, False, True]


@given(
    st.floats(0.1, 100),
    st.integers(1, 50),
    st.lists(st.floats(0, 5), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_allows(
    rate: float, burst: int, steps: list[float]
) -> None:
    bucket, now, taken = Bucket(rate, burst), 0.0, 0
    for step in steps:
        now += step
        wait = bucket.take(now)
        taken += wait == 0
        assert wait >= 0
    assert taken <= burst + rate * now + 1e-6


def test_each_has_its_own() -> None:
    buckets = Buckets(per_second=1.0, burst=1.0)
    assert buckets.take("a", 5.0) == 0
    assert buckets.take("a", 5.0) > 0
    assert buckets.take("b", 5.0) == 0


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = Bucket(per_second=1.0, burst=1.0)
    assert bucket.take(5.0) == 0
    assert bucket.take(3.0) > 0


def test_room_for_so_many_and_so_many_each() -> None:
    room = Room(most=3, most_each=2)
    with room.entered("a"), room.entered("a"):
        with pytest.raises(TooManyError), room.entered("a"):
            pass
        with room.entered("b"):
            with pytest.raises(TooManyError), room.entered("c"):
                pass
            assert room.taken == 3
    assert room.taken == 0
    with pytest.raises(ValueError, match="left early"), room.entered("a"):
        raise ValueError("left early")
    assert room.taken == 0
