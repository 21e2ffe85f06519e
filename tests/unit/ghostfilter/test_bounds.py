"""How loud the echo can be at most, on numbers one can work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.bounds import LEAST, MOST, TAIL, UNSURE, Bounds
from ghostfilter.features import BANDS
from ghostfilter.sent import EARLIEST, PLACES, first_row, sent
from ghostfilter.spectra import Floats
from tests.unit.ghostfilter.sounds import noise

PROMPT = sent(noise(3.0, -20))
START = first_row(75)
NOISELESS = np.zeros(BANDS, np.float32)


def line(db: float) -> Floats:
    """Eight frames so many dB over the prompt."""
    power = np.exp(PROMPT.windows[START + PLACES // 2]) * 10 ** (0.1 * db)
    return np.asarray(power, np.float32)


def lowered(bounds: Bounds, db: float, place: int | None = None) -> Bounds:
    bands = line(db)
    bounds.lower(bands, bands.sum(1), NOISELESS, PROMPT, START, place)
    return bounds


def expected_db(bounds: Bounds, place: int | None = PLACES // 2) -> float:
    """The echo that is expected, in dB over the prompt."""
    expected = bounds.expected(PROMPT, START, place).sum()
    return float(10 * np.log10(expected / line(0.0).sum()))


def db(log: float) -> float:
    return float(10 * log / np.log(10))


def test_no_echo_is_louder_than_the_line_was() -> None:
    assert expected_db(lowered(Bounds(), -30.0)) == pytest.approx(-27, abs=2.5)


def test_no_echo_is_louder_than_10_db_below_the_prompt() -> None:
    bounds = Bounds()
    at_most = expected_db(bounds)
    assert expected_db(lowered(bounds, 20.0)) == at_most == pytest.approx(-10, abs=4)
    assert db(MOST) == pytest.approx(-10)


def test_it_may_become_louder_by_2_db_a_second() -> None:
    bounds = lowered(Bounds(), -50.0)
    before = expected_db(bounds)
    for _ in range(25):
        lowered(bounds, 20.0)
    assert expected_db(bounds) - before == pytest.approx(8.0, abs=0.5)


def test_while_no_delay_is_known_less_and_less_is_believed() -> None:
    bounds = Bounds()
    whole = float(bounds.expected(PROMPT, START, None).sum())
    told = []
    for _ in range(40):
        bounds.doubt()
        told.append(float(bounds.expected(PROMPT, START, None).sum()) / whole)
    assert told == sorted(told, reverse=True)
    assert 10 * np.log10(told[0]) == pytest.approx(-0.96, abs=0.01)
    assert 10 * np.log10(told[-1]) == pytest.approx(db(UNSURE - LEAST), abs=0.1)
    bounds.started()
    assert bounds.expected(PROMPT, START, None).sum() == pytest.approx(whole)


def test_a_room_rings_behind_a_known_delay_but_not_for_ever() -> None:
    bounds, place = lowered(Bounds(), -50.0), PLACES // 2
    quiet = expected_db(bounds)
    bounds._gains[place - TAIL] = MOST
    assert expected_db(bounds) > quiet + 20
    bounds._gains[place - TAIL] = -np.inf
    bounds._gains[place - TAIL - 1] = MOST
    assert expected_db(bounds) == pytest.approx(quiet, abs=0.5)


def test_a_new_prompt_may_be_later_by_all_packets_lost_so_far() -> None:
    bounds = Bounds()
    bounds._gains[:] = -20.0
    bounds._gains[30] = MOST
    bounds.started()
    raised = np.flatnonzero(bounds._gains[:, 0] == MOST)
    assert raised.tolist() == list(range(30 + EARLIEST, 31))


def test_a_frame_that_lacks_the_echo_lowers_no_bound_by_more_than_1_db() -> None:
    bounds, place = Bounds(), PLACES // 2
    for _ in range(3):
        lowered(bounds, -20.0, place)
    before = expected_db(bounds)
    bands = line(-20.0)
    bands[3:] = 1e-9
    bounds.lower(bands, bands.sum(1), NOISELESS, PROMPT, START, place)
    assert expected_db(bounds) - before > -1.5
