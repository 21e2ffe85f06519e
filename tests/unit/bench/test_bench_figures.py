"""Statistics of the report: a figure must be what its name says."""

from __future__ import annotations

import pytest

from tests.bench.figures import median_and_p95, median_of, percentile, ratio, shown


def test_the_percentile_is_a_value_that_was_measured() -> None:
    samples = [float(n) for n in range(1, 21)]
    assert percentile(samples, 95) == 19.0
    assert percentile(samples, 100) == 20.0
    assert percentile([7.0], 95) == 7.0


def test_order_of_samples_does_not_matter() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0


def test_nothing_measured_is_said_not_invented() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 95)
    assert median_and_p95("ring", [], "s") == []


def test_a_series_gives_its_middle_its_tail_and_its_count() -> None:
    median, tail = median_and_p95("ring", [0.1, 0.2, 0.9], "s")
    assert (median.name, median.value) == ("ring, median", 0.2)
    assert (tail.name, tail.value) == ("ring, p95", 0.9)
    assert median.note == "n = 3, 0.100 … 0.900"


def test_repeated_rounds_show_their_spread() -> None:
    figure = median_of("sessions", [900.0, 1100.0, 1000.0], "/s")
    assert figure.value == 1000.0
    assert figure.note == "3 rounds, 900 … 1,100"


def test_a_ratio_shows_every_round_of_its_own() -> None:
    figure = ratio("ours : theirs", [2.0, 4.0], [1.0, 4.0])
    assert figure.value == pytest.approx(3.0 / 2.5)
    assert figure.note == "round by round 2.00, 1.00"


def test_a_ratio_needs_as_many_rounds_of_both() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio("ours : theirs", [2.0], [1.0, 4.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.012345, "0.0123"),
        (1.2345, "1.23"),
        (12.345, "12.3"),
        (123.45, "123"),
        (18840.8, "18,800"),
        (-0.5, "-0.500"),
        (float("inf"), "inf"),
    ],
)
def test_three_digits_that_matter(value: float, text: str) -> None:
    assert shown(value) == text
