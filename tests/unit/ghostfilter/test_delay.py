"""How late our prompt comes back, told by its own spectra."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.delay import AGAIN, LOST, SURE, Delay
from ghostfilter.sent import LATEST, first_row, sent
from tests.unit.ghostfilter.sounds import spoken

PROMPT = sent(spoken("Halo, satu satu dua Kediri. Tekan tombol apa saja.") * 3)
PLACE = 20


def hear(delay: Delay, blocks: range, place: int | None) -> None:
    """The prompt as it was sent, at that place; None: nothing like it."""
    for block in blocks:
        start = first_row(8 * block)
        log = PROMPT.windows[start + (place or 0)]
        if place is None:
            dice = np.random.default_rng(block)
            log = dice.normal(-6.0, 3.0, log.shape).astype(np.float32)
        delay.push(log, PROMPT, start)


def test_the_delay_is_where_both_are_alike() -> None:
    delay = Delay()
    assert (delay.place, delay.seconds, delay.correlation) == (None, None, 0.0)
    hear(delay, range(20), PLACE)
    assert delay.place == PLACE
    assert delay.seconds == pytest.approx((LATEST - 1 - PLACE) * 0.02)
    assert SURE < delay.correlation <= 1.0


@pytest.mark.parametrize("shift", [-3, -1, 1, 3])
def test_a_lost_packet_is_followed_within_a_second(shift: int) -> None:
    delay = Delay()
    hear(delay, range(30), PLACE)
    hear(delay, range(30, 36), PLACE + shift)
    assert delay.place == PLACE + shift


def test_a_delay_that_is_lost_is_known_no_longer() -> None:
    delay = Delay()
    hear(delay, range(20), PLACE)
    assert delay.place == PLACE
    hear(delay, range(20, 70), None)
    assert delay.correlation < LOST
    assert delay.place is None


def test_between_sure_and_lost_it_is_still_believed() -> None:
    delay = Delay()
    hear(delay, range(20), PLACE)
    for block in range(20, 70):
        hear(delay, range(block, block + 1), None)
        if delay.correlation < SURE:
            break
    assert LOST <= delay.correlation < SURE
    assert delay.place is not None


def test_a_new_prompt_knows_a_fifth_of_what_the_last_one_did() -> None:
    delay = Delay()
    hear(delay, range(20), PLACE)
    known = delay._sums.copy()
    delay.started()
    assert delay.place is None
    assert (delay._sums == known * AGAIN).all()
