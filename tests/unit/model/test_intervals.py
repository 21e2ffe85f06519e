from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pbx.model.intervals import at_least, at_most, clopper_pearson


def test_nobody_of_530_dropped_may_still_be_one_in_144() -> None:
    """What the field knows as the rule of three, exactly."""
    assert clopper_pearson(0, 530) == pytest.approx((0, 0.006936), abs=1e-6)


def test_nobody_of_3000_is_about_a_tenth_of_a_percent() -> None:
    low, high = clopper_pearson(0, 3000)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 3000), abs=1e-12)


def test_everybody_and_nothing() -> None:
    low, high = clopper_pearson(20, 20)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 20)), 1)
    assert clopper_pearson(0, 0) == (0, 1)


@pytest.mark.parametrize(
    ("k", "n"), [(1, 10), (8, 10), (6, 530), (65_024, 86_161), (496, 86_161)]
)
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_agrees_with_scipy(k: int, n: int, level: float) -> None:
    theirs = stats.binomtest(k, n).proportion_ci(level, method="exact")
    assert clopper_pearson(k, n, level) == pytest.approx(
        (theirs.low, theirs.high), rel=1e-8
    )


@given(st.integers(1, 3000), st.data())
def test_any_counts_agree_with_scipys_beta(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = clopper_pearson(k, n)
    if k > 0:
        assert low == pytest.approx(stats.beta.ppf(0.025, k, n - k + 1), rel=1e-7)
    if k < n:
        assert high == pytest.approx(stats.beta.ppf(0.975, k + 1, n - k), rel=1e-7)


@given(st.integers(1, 400), st.floats(0, 1), st.data())
def test_tails_agree_with_scipy(n: int, p: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(-1, n + 1))
    expected = float(stats.binom.cdf(k, n, p))
    assert at_most(k, n, p) == pytest.approx(expected, abs=1e-9)
    assert at_least(k, n, p) == pytest.approx(
        1 - float(stats.binom.cdf(k - 1, n, p)), abs=1e-9
    )


@pytest.mark.parametrize("n", [1, 2, 39, 400])
@pytest.mark.parametrize(
    "p", [0.0, 5e-324, 1e-308, 1e-17, 1.2e-16, 1e-9, 1 - 1e-9, 1 - 2e-16, 1.0]
)
def test_tails_agree_with_scipy_at_the_edges(n: int, p: float) -> None:
    """Where p or 1 − p is 0 to a double: no logarithm of it, please."""
    for k in {-1, 0, 1, n // 2, n - 1, n, n + 1}:
        expected = float(stats.binom.cdf(k, n, p))
        assert at_most(k, n, p) == pytest.approx(expected, abs=1e-9)
        below = float(stats.binom.cdf(k - 1, n, p))
        assert at_least(k, n, p) == pytest.approx(1 - below, abs=1e-9)


def test_chances_too_small_for_a_double() -> None:
    assert at_most(0, 1, 5e-324) == 1
    assert at_least(1, 1, 5e-324) == 0
    assert at_most(3, 4, 1.0) == 0


@pytest.mark.parametrize(("k", "n", "level"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1)])
def test_refuses_what_is_no_share(k: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match="no share|level"):
        clopper_pearson(k, n, level)
