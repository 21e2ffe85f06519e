"""A loud sound that goes on, and what is only loud."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.loud import Loud
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import Block
from ghostfilter.tones import Tones
from tests.unit.ghostfilter.sounds import RATE
from tests.unit.ghostfilter.tone_sounds import (
    Wave,
    blocks,
    cadence,
    gliding,
    level,
    still,
    tone,
)

T = np.arange(RATE * 4) / RATE
WAIL = gliding(900 + 400 * np.sin(2 * T), -12.0)
HORN = tone((405, 505, 810, 1010, 1620), 4.0, -15.0)


def listen(heard_blocks: list[Block]) -> tuple[list[Heard], list[Heard]]:
    """What was told at once, and what is known in the end."""
    loud, tones = Loud(), Tones()
    told = []
    for block in heard_blocks:
        tones.push(block)
        if heard := loud.push(block, tones.machine()):
            told.append(heard)
    return told, loud.heard()


@pytest.mark.parametrize("wave", [WAIL, HORN], ids=["siren", "horn"])
def test_alarms_are_told_once_after_two_and_a_half_seconds(wave: Wave) -> None:
    told, known = listen(blocks(still(1.0), wave, still(0.5)))
    assert [heard.sound for heard in told] == [Sound.LOUD]
    assert told[0].from_frame == pytest.approx(50, abs=1)
    assert 125 <= told[0].frames <= 133
    assert known[0].frames == pytest.approx(200, abs=2)
    assert known[0].detail == "4.0 s"
    assert known[0].dbfs > -20


def test_short_pauses_do_not_count() -> None:
    told, _ = listen(blocks(still(0.5), cadence(HORN, *(0.5, 0.08) * 6), still(0.5)))
    assert len(told) == 1


def test_the_longest_stretch_is_kept() -> None:
    short = HORN[: RATE * 3]
    line = blocks(still(0.5), HORN, still(1.0), short, still(0.5))
    told, known = listen(line)
    assert len(told) == 1
    assert known[0].frames == pytest.approx(200, abs=2)


@pytest.mark.parametrize(
    "wave",
    [
        pytest.param(HORN[: RATE * 2], id="too short"),
        pytest.param(level(HORN, -24.0), id="too soft"),
        pytest.param(cadence(HORN, *(0.5, 0.3) * 5), id="pauses"),
        pytest.param(
            level(np.random.default_rng(1).normal(0, 1, T.size), -12.0), id="hiss"
        ),
        pytest.param(tone((440, 480), 4.0, -12.0), id="ring-back"),
        pytest.param(tone((2100,), 4.0, -12.0), id="fax"),
        pytest.param(still(4.0), id="silence"),
    ],
)
def test_what_is_no_alarm(wave: Wave) -> None:
    assert listen(blocks(still(0.5), wave, still(0.5))) == ([], [])


def test_what_never_lets_up_is_only_doubted() -> None:
    told, (known,) = listen(blocks(HORN))
    assert told == []
    assert known.confidence == pytest.approx(0.4)
    assert known.over_floor_db < 6


def test_it_is_sure_once_it_lets_up() -> None:
    told, (known,) = listen(blocks(HORN, still(0.5)))
    assert [heard.confidence for heard in told] == [0.9]
    assert told[0].frames == known.frames == 200


def test_a_single_empty_frame_is_a_lost_packet_and_no_breath() -> None:
    horn = HORN.copy()
    horn[RATE : RATE + 160] = 0.0
    assert listen(blocks(horn))[0] == []
