"""Knocks, taps and coughs; and what a pocket does instead."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.knocks import Knocks
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import Block
from tests.unit.ghostfilter.sounds import RATE
from tests.unit.ghostfilter.tone_sounds import (
    Wave,
    blocks,
    cough,
    gliding,
    knock,
    level,
    step,
    still,
    tone,
)


def listen(heard_blocks: list[Block]) -> tuple[list[Heard], Knocks]:
    """What was heard, and the listener."""
    knocks = Knocks()
    for block in heard_blocks:
        knocks.push(block)
    return knocks.heard(), knocks


def repeated(wave: Wave, times: int = 3, pause: float = 0.4) -> list[Wave]:
    return [still(1.03), *([wave, still(pause)] * times), still(1.0)]


@pytest.mark.parametrize("dbfs", [-3.0, -20.0, -35.0])
@pytest.mark.parametrize("ring", [0.005, 0.03, 0.05])
def test_knocks_are_counted(dbfs: float, ring: float) -> None:
    (known,), knocks = listen(blocks(*repeated(knock(dbfs, ring=ring))))
    assert (known.sound, known.detail) == (Sound.KNOCKS, "3 knocks")
    assert known.from_frame == pytest.approx(51, abs=1)
    assert [one.frame for one in knocks.knocks] == pytest.approx([51, 84, 116], abs=2)
    assert known.confidence == pytest.approx(0.8)
    assert known.over_floor_db > 18


@pytest.mark.parametrize("noise_dbfs", [-66.0, -55.0, -48.0])
def test_knocks_stand_18_db_over_the_line(noise_dbfs: float) -> None:
    heard, _ = listen(blocks(*repeated(knock(-15.0)), noise_dbfs=noise_dbfs))
    assert len(heard) == 1


def test_knocks_in_loud_noise_are_not_told() -> None:
    assert listen(blocks(*repeated(knock(-30.0)), noise_dbfs=-40.0))[0] == []


def test_coughs_count() -> None:
    heard, _ = listen(blocks(*repeated(cough(), times=2, pause=0.5)))
    assert len(heard) == 1


def test_two_quick_knocks_count() -> None:
    (heard,), _ = listen(blocks(*repeated(knock()[: RATE // 5], times=2, pause=0.0)))
    assert heard.detail == "2 knocks"


@pytest.mark.parametrize(
    "waves",
    [
        pytest.param([knock()], id="one knock"),
        pytest.param([knock(), still(3.5), knock()], id="3.5 s apart"),
        pytest.param([knock(-10), still(0.5), knock(-30)], id="20 dB apart"),
        pytest.param([step(), still(0.4)] * 5, id="steps"),
        pytest.param([knock(attack=0.08, ring=0.1), still(0.4)] * 5, id="rustle"),
        pytest.param([*[knock(ring=0.4)] * 2, still(0.1)] * 5, id="goes on"),
        pytest.param([tone((1000,), 0.1), still(0.4)] * 4, id="beeps"),
        pytest.param([tone((697, 1209), 0.1), still(0.4)] * 4, id="keys"),
        pytest.param([knock(-55), still(0.4)] * 4, id="too soft"),
        pytest.param([still(3.0)], id="silence"),
    ],
)
def test_what_is_no_knocking(waves: list[Wave]) -> None:
    heard, knocks = listen(blocks(still(1.03), *waves, still(1.0), noise_dbfs=-72.0))
    assert heard == []
    assert knocks.heard() == []


def test_a_jump_from_loud_to_louder_does_not_stand_alone() -> None:
    t = np.arange(RATE * 4) / RATE
    tremble = level(np.random.default_rng(2).normal(0, 1, t.size), -30.0)
    tremble *= np.where((t * 10 % 1) < 0.15, 0.1, 1.0)
    assert listen(blocks(still(1.0), tremble, still(1.0)))[0] == []


def test_a_thump_that_rings_low_is_a_knock() -> None:
    t = np.arange(RATE // 4) / RATE
    thump = 0.1 * gliding(np.full(t.size, 120.0), 0.0) * np.exp(-t / 0.05)
    assert len(listen(blocks(*repeated(thump)))[0]) == 1


def ringing(hertz: float, ring: float) -> Wave:
    """A thump on something that sounds one note and dies away."""
    t = np.arange(RATE // 3) / RATE
    return 0.1 * gliding(np.full(t.size, hertz), 0.0) * np.exp(-t / ring)


@pytest.mark.parametrize("hertz", [258.0, 700.0, 1085.0])
@pytest.mark.parametrize("ring", [0.012, 0.03, 0.05])
def test_a_note_that_dies_away_is_a_knock(hertz: float, ring: float) -> None:
    heard, knocks = listen(blocks(*repeated(ringing(hertz, ring))))
    assert len(heard) == 1
    assert not any(knock.is_switched for knock in knocks.knocks)


@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize("hertz", [425.0, 890.0, 1710.0])
def test_a_beep_that_fades_in_holes_is_switched_off(frames: int, hertz: float) -> None:
    """The last frame of a beep again and softer, where packets were lost."""
    wave = tone((hertz,), 0.02 * (frames + 1))
    wave[: -RATE // 50] *= np.linspace(0.4, 1.0, wave.size - RATE // 50) ** 2
    known = listen(blocks(*repeated(wave)))[1].knocks
    assert all(knock.is_switched for knock in known)


def test_a_busy_tone_whose_beginning_wavers_sounds_too_long_for_a_knock() -> None:
    t = np.arange(round(RATE * 0.26)) / RATE
    wave = gliding(np.full(t.size, 425.0), -10.0) * (0.3 + 0.7 * np.exp(-t / 0.01))
    fade = np.minimum((t[-1] - t) / 0.03, 1.0)
    (first, *_) = listen(blocks(*repeated(wave * fade)))[1].knocks
    assert first.is_switched
    assert first.frames >= 12
