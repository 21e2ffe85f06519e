"""Evidence that adds up, on numbers one can add by hand."""

from __future__ import annotations

from ghostfilter.cusum import OVERSHOOT, Cusum


def test_it_adds_up_what_frames_weigh() -> None:
    one = Cusum(16.0)
    assert not one.push([2.0, 2.0, 2.0, 2.0])
    assert one.sums == [2.0, 4.0, 6.0, 8.0]
    assert one.push([8.0, -6.0])
    assert one.held() == [True, False]
    assert one.highest == 16.0


def test_who_would_be_there_four_frames_on_is_there() -> None:
    one = Cusum(16.0)
    assert one.push([0.0, 0.0, 2.0, 2.0, 2.0, 2.0])
    assert one.held() == [False, False, True, True, True, True]
    assert one.highest == 16.0
    assert one.value == 8.0
    assert not Cusum(16.1).push([0.0, 0.0, 2.0, 2.0, 2.0, 2.0])
    assert not Cusum(16.0).push([4.0, 4.0, 0.0, 0.0, 0.0, 0.0])


def test_below_nothing_it_begins_anew_and_knows_since_when() -> None:
    one = Cusum(10.0)
    one.push([1.0, -9.0, -9.0])
    assert (one.value, one.since) == (0.0, 3)
    one.push([2.0, 2.0, -1.0])
    assert (one.value, one.since) == (3.0, 3)
    one.push([-3.0, 5.0])
    assert (one.value, one.since) == (5.0, 7), "nothing is no beginning"


def test_where_there_is_nobody_the_sum_stays_nothing() -> None:
    one = Cusum(10.0)
    assert not one.push([-8.0, 0.0])
    assert (one.value, one.since, one.sums) == (0.0, 2, [0.0, 0.0])
    assert not any(one.held())
    one.push([2.0])
    assert (one.value, one.since) == (2.0, 2)


def test_it_is_gone_soon_after_a_long_voice() -> None:
    one = Cusum(10.0)
    one.push([5.0] * 500)
    assert one.value == one.highest == 10.0 + OVERSHOOT
    one.push([-8.0] * 2)
    assert not any(one.held()[1:])


def test_half_a_block_may_be_enough_and_is_not_added_up() -> None:
    one = Cusum(16.0)
    one.push([3.0, 3.0])
    assert not one.is_sure_with([2.0, 2.0, -2.0, -2.0])
    assert one.is_sure_with([2.0, 2.0, 1.0, 1.0])  # 12, and 18 four frames on
    assert (one.value, one.highest, one.since) == (6.0, 16.0, 0)
    assert not one.push([-9.0, 1.0])
    assert one.highest == 16.0
