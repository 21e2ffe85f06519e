"""What a flow is made of."""

from __future__ import annotations

import pytest

from ivr.flow import Flow, Step, filter_0
from ivr.prompts import seconds_of


def test_filter_0_greets_and_asks_once_more() -> None:
    flow = filter_0(("greeting", 6.0), ("second", 4.0), 3.0, 5.0)
    assert flow.steps == (Step("greeting", 6.0, 3.0), Step("second", 4.0, 5.0))
    assert flow.usual_seconds == 18.0
    assert flow.longest_seconds == 20.0


def test_a_flow_without_steps_is_none() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        Flow(())


def test_a_second_of_telephone_audio() -> None:
    assert seconds_of(bytes(16000)) == 1.0
