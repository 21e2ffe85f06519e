"""From frames to a belief: quick to be sure of somebody, slow to be sure of nobody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ghostfilter.belief import (
    ALARMING_DBFS,
    ANY_VOICE,
    BURIED_ECHO_DB,
    CLEAR_ECHO_DB,
    ECHO_DOUBT,
    LOUD_DBFS,
    LOUD_FLOOR_DBFS,
    NEAR,
    QUIET_FLOOR_DBFS,
    SLOW_FRAMES,
    SOFT_DBFS,
    STILL_DBFS,
    VOICE_DRIFT,
    Belief,
    echo_doubt,
)
from ghostfilter.cusum import Cusum
from ghostfilter.net import shipped_weights
from ghostfilter.spectra import BLOCK_FRAMES, HALF_FRAMES

SUM = 40.0
"""8 frames at 5 logits."""
WEIGHTS = replace(
    shipped_weights(),
    doubt=np.array([-2.0, -2.0], np.float32),
    sure=np.array([SUM, SUM], np.float32),
)
NO_TONE = np.zeros(BLOCK_FRAMES, np.bool_)
NOISE = -30.0


def levels(dbfs: float) -> list[float]:
    """Eight frames of that level."""
    return [dbfs] * BLOCK_FRAMES


def after(
    *logits: float, tonal: bool = False, machine: bool = False, level: float = NOISE
) -> Belief:
    """The belief after so many frames; a voice's logit is the near one's."""
    belief = Belief(WEIGHTS)
    belief.is_machine = machine
    padded = list(logits) + [-8.0] * (-len(logits) % BLOCK_FRAMES)
    for at in range(0, len(padded), BLOCK_FRAMES):
        block = np.array(padded[at : at + BLOCK_FRAMES], np.float32)
        belief.push(np.stack([block, block], axis=1), NO_TONE | tonal, levels(level))
    return belief


def test_the_fainter_a_voice_the_longer_it_takes_to_be_sure() -> None:
    def blocks_until_sure(logit: float) -> int:
        spoken = [-8.0] * 48
        while after(*spoken, *[logit] * BLOCK_FRAMES).sureness(NEAR) < 0.9:
            spoken += [logit] * BLOCK_FRAMES
        return len(spoken) // BLOCK_FRAMES - 5

    assert blocks_until_sure(8.0) < blocks_until_sure(4.0) < blocks_until_sure(2.0)
    assert after(*[0.0] * 400).sureness(NEAR) < 0.5


def test_any_voice_takes_as_long_as_it_is_faint() -> None:
    assert after(*[5.0] * 10).sureness(ANY_VOICE) == pytest.approx(0.9)
    assert after(*[5.0] * 9).sureness(ANY_VOICE) < 0.9
    assert after(*[VOICE_DRIFT - 0.1] * 200).sureness(ANY_VOICE) < 0.2


def test_half_a_block_may_make_sure_and_is_not_pushed() -> None:
    belief = after(*[-8.0] * 48, *[4.0] * 16)
    spoken = np.full((BLOCK_FRAMES, 2), 9.0, np.float32)
    assert belief.is_rising
    before = belief.sums[NEAR].value
    assert not belief.is_sure_with(-spoken, levels(NOISE))
    assert belief.is_sure_with(spoken, levels(NOISE))
    assert belief.sums[NEAR].value == before
    assert belief.sureness(NEAR) == pytest.approx(0.9)
    assert not after(*[-8.0] * 48).is_rising
    assert not after(*[9.0] * 48).is_rising


def test_only_the_half_that_is_there_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    belief = after(*[-8.0] * 48, *[4.0] * 16)
    spoken = np.full((BLOCK_FRAMES, 2), 9.0, np.float32)
    weighed: list[list[float]] = []
    monkeypatch.setattr(Cusum, "is_sure_with", lambda _, some: weighed.append(some))
    belief.is_sure_with(spoken, levels(NOISE))
    assert [len(some) for some in weighed] == [HALF_FRAMES]


def test_a_single_bang_is_forgiven() -> None:
    assert after(*[-6.0] * 40, 6.0, 6.0, *[-6.0] * 40).person < 0.5


def test_what_goes_on_for_long_at_half_strength_is_doubt() -> None:
    belief = after(*[-1.0] * (2 * SLOW_FRAMES))
    assert 0.5 < belief.person < 0.9
    assert belief.sureness(NEAR) < 0.9


def test_out_of_noise_less_is_doubt_than_in_a_quiet_line() -> None:
    weak = [-1.1] * (2 * SLOW_FRAMES)
    levels = (-30.0, LOUD_FLOOR_DBFS, -54.0, QUIET_FLOOR_DBFS, -90.0)
    beliefs = [after(*weak, level=level) for level in levels]
    believed = [(one.person, one.voices) for one in beliefs]
    assert believed[0] == believed[1] > believed[2] > believed[3] == believed[4]
    assert believed[1][0] > 0.5 > believed[3][0]


def test_a_loud_sound_in_a_quiet_line_is_judged_as_in_noise() -> None:
    def believed(peak: float) -> float:
        belief = Belief(WEIGHTS)
        for block in range(24):
            dbfs = levels(-80.0)
            if block == 20:
                dbfs[3] = peak
            logit = -1.1 if block >= 12 else -8.0
            belief.push(np.full((BLOCK_FRAMES, 2), logit, np.float32), NO_TONE, dbfs)
        return belief.person

    assert believed(-5.0) == believed(ALARMING_DBFS[1]) > believed(LOUD_DBFS) > 0.5
    assert believed(LOUD_DBFS) > believed(-19.0) > believed(SOFT_DBFS)
    assert believed(SOFT_DBFS) == believed(-60.0) < 0.5


def test_a_loud_sound_is_alarming_out_of_a_softer_line_only() -> None:
    def raised(floor: float) -> float:
        """By how much a single loud frame raises the belief."""
        believed = []
        for peak in (floor, -5.0):
            belief = Belief(WEIGHTS)
            for block in range(24):
                dbfs = levels(floor)
                if block == 20:
                    dbfs[3] = peak
                weak = np.full((BLOCK_FRAMES, 2), -1.1, np.float32)
                belief.push(weak, NO_TONE, dbfs)
            believed.append(belief.person)
        return believed[1] - believed[0]

    loudest, softest = STILL_DBFS
    assert raised(loudest) == raised(-25.0) == 0.0
    assert 0.0 < raised(-36.0) < raised(softest)


def test_a_sound_is_loud_for_0_8_s() -> None:
    def believed(loud_block: int) -> float:
        belief = Belief(WEIGHTS)
        for block in range(20):
            dbfs = levels(-5.0 if block == loud_block else -80.0)
            logit = -1.1 if 12 <= block < 17 else -8.0
            belief.push(np.full((BLOCK_FRAMES, 2), logit, np.float32), NO_TONE, dbfs)
        return belief.person

    assert believed(12) > 0.5 > believed(11)


def test_who_was_in_doubt_stays_so_when_the_line_falls_silent() -> None:
    belief = after(*[-1.1] * (2 * SLOW_FRAMES), level=-30.0)
    before = belief.person
    for _ in range(40):
        belief.push(np.full((BLOCK_FRAMES, 2), -8, np.float32), NO_TONE, levels(-90.0))
    assert belief.person == before > 0.5


def test_where_our_prompt_is_buried_in_noise_less_is_doubt() -> None:
    belief = after(*[-1.5] * (2 * SLOW_FRAMES))
    before = (belief.person, belief.voices)
    belief.echo_doubt = echo_doubt(BURIED_ECHO_DB)
    assert belief.person > 0.5 > before[0]
    assert belief.voices == before[1]
    assert echo_doubt(0.0) == echo_doubt(BURIED_ECHO_DB) == ECHO_DOUBT
    assert echo_doubt(CLEAR_ECHO_DB) == 0.0


def test_the_belief_never_falls() -> None:
    belief = Belief(WEIGHTS)
    seen = []
    for logit in (-6, 3, -6, -6, -6, -6, 1, -8):
        logits = np.full((BLOCK_FRAMES, 2), logit, np.float32)
        belief.push(logits, NO_TONE, levels(NOISE))
        seen.append(belief.person)
    assert seen == sorted(seen)


def test_a_machine_s_tones_are_no_voice_once_it_is_known() -> None:
    tone = [0.0] * (2 * SLOW_FRAMES)
    assert after(*tone, tonal=True).person > 0.5
    assert after(*tone, tonal=True, machine=True).person < 0.5
    assert after(*tone, tonal=False, machine=True).person > 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_an_error_not_nobody(bad: float) -> None:
    logits = np.full((BLOCK_FRAMES, 2), bad, np.float32)
    with pytest.raises(FloatingPointError, match="no number"):
        Belief(WEIGHTS).push(logits, NO_TONE, levels(NOISE))
