"""Where a caller goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.model.verdict import Ruling
from routing.plan import Facts, Route, Way, choose_route


@pytest.mark.parametrize(
    ("ruling", "low_priority", "route"),
    [
        (Ruling.PASS, 0, Route(Way.QUEUE, "darurat", 10)),
        (Ruling.LOW_PRIORITY, 0, Route(Way.QUEUE, "darurat", 0)),
        (Ruling.LOW_PRIORITY, 50, Route(Way.QUEUE, "darurat", 10)),
        (Ruling.RELEASE, 0, Route(Way.RELEASE, "darurat", 0)),
    ],
)
def test_each_ruling(ruling: Ruling, low_priority: int, route: Route) -> None:
    assert choose_route(Facts(ruling, "darurat", 10, low_priority)) == route


@given(st.sampled_from(Ruling), st.integers(0, 100), st.integers(0, 100))
def test_only_a_release_does_not_queue_and_nobody_is_raised(
    ruling: Ruling, priority: int, low: int
) -> None:
    route = choose_route(Facts(ruling, "q", priority, low))
    assert (route.way is Way.RELEASE) == (ruling is Ruling.RELEASE)
    assert route.queue == "q"
    assert route.priority <= priority
