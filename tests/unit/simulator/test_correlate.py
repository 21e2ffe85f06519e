"""A recording contains a voice, or it does not: the figure must tell them apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pbx.simulator.correlate import best_piece, correlate


def noise(seconds: float, seed: int, level: float = 1500.0) -> NDArray[np.int16]:
    random = np.random.default_rng(seed)
    return random.normal(0, level, round(seconds * 8000)).astype(np.int16)


@settings(max_examples=20, deadline=None)
@given(lag=st.integers(0, 8000), gain=st.floats(0.1, 3.0))
def test_finds_a_voice_wherever_it_begins_and_however_loud(
    lag: int, gain: float
) -> None:
    voice = noise(1.0, 1)
    recording = np.concatenate([noise(lag / 8000, 2, 20), voice * gain, noise(0.5, 3)])
    match = correlate(recording.astype(np.int16), voice)
    assert match.peak > 0.99
    assert match.lag_seconds == pytest.approx(lag / 8000)


def test_another_voice_is_not_it() -> None:
    assert correlate(noise(4.0, 1), noise(1.0, 2)).peak < 0.2


def test_noise_of_the_same_strength_lowers_the_figure_as_it_must() -> None:
    voice = noise(2.0, 1)
    mixed = voice.astype(np.int32) + noise(2.0, 2)
    assert correlate(mixed.astype(np.int16), voice).peak == pytest.approx(
        0.707, abs=0.02
    )


@pytest.mark.parametrize(
    ("recording", "reference"),
    [
        (np.zeros(0, np.int16), noise(1.0, 1)),
        (noise(1.0, 1), np.zeros(0, np.int16)),
        (noise(0.5, 1), noise(1.0, 1)),
        (np.zeros(16000, np.int16), noise(1.0, 1)),
        (noise(1.0, 1), np.zeros(8000, np.int16)),
    ],
    ids=["no recording", "no voice", "too short", "silent line", "silent voice"],
)
def test_nothing_is_found_in_nothing(
    recording: NDArray[np.int16], reference: NDArray[np.int16]
) -> None:
    assert correlate(recording, reference).peak == 0.0


def test_one_clear_second_of_a_loop_is_enough() -> None:
    """The line was connected in the middle of the voice, and cut before its end."""
    voice = noise(6.0, 1)
    recording = np.concatenate([np.zeros(4000, np.int16), voice[20000:36000]])
    assert best_piece(recording, voice).peak > 0.99
    assert best_piece(noise(3.0, 5), voice).peak < 0.2


def test_a_pause_in_the_voice_proves_nothing() -> None:
    pause = np.full(16000, 3, np.int16)
    voice = np.concatenate([noise(1.0, 1), pause])
    assert best_piece(pause, voice).peak < 1e-6


def test_a_short_voice_is_taken_whole() -> None:
    voice = noise(0.4, 1)
    assert best_piece(np.concatenate([noise(1, 2, 10), voice]), voice).peak > 0.99
