"""What a city may ask of the ghost filter."""

from __future__ import annotations

import pytest

from pbx.model.policy import Mode, Policy, Treatment


def test_a_city_that_declares_nothing_releases_nobody() -> None:
    assert not Policy().releases


@pytest.mark.parametrize("kind", ["silent", "noise", "distant"])
def test_a_city_releases_what_it_says_and_only_while_the_filter_acts(kind: str) -> None:
    wanted = {kind: Treatment.RELEASE}
    assert Policy.model_validate(wanted).releases
    for mode in (Mode.SHADOW, Mode.OFF):
        assert not Policy.model_validate(wanted | {"mode": mode}).releases


@pytest.mark.parametrize(
    ("declared", "switch", "mode"),
    [
        (Mode.ON, None, Mode.ON),
        (Mode.ON, Mode.SHADOW, Mode.SHADOW),
        (Mode.ON, Mode.OFF, Mode.OFF),
        (Mode.SHADOW, None, Mode.SHADOW),
        (Mode.SHADOW, Mode.OFF, Mode.OFF),
        (Mode.OFF, Mode.SHADOW, Mode.OFF),
    ],
)
def test_the_more_careful_of_city_and_switch_counts(
    declared: Mode, switch: Mode | None, mode: Mode
) -> None:
    assert Policy(mode=declared).mode_with(switch) is mode
