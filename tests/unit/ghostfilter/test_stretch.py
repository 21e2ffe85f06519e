"""In what manner somebody was heard."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ghostfilter.features import Features
from ghostfilter.signals import Sound
from ghostfilter.spectra import Block, Blocks
from ghostfilter.stretch import Stretch
from tests.unit.ghostfilter.sounds import frames, noise


@pytest.fixture(scope="module")
def block() -> Block:
    blocks = Blocks()
    made = [
        block for frame in frames(noise(0.16, -30)) if (block := blocks.push(frame))
    ]
    return made[0]


@pytest.mark.parametrize(
    ("harmonicity", "hertz", "manner"),
    [
        (0.8, 140.0, Sound.NEAR_VOICE),
        (0.1, 140.0, Sound.WHISPER),
        (0.8, 450.0, Sound.CRY),
        (0.1, 450.0, Sound.WHISPER),
    ],
)
def test_the_manner_of_a_voice(
    block: Block, harmonicity: float, hertz: float, manner: Sound
) -> None:
    found: Any = SimpleNamespace(
        harmonicity=np.full(8, harmonicity), hertz=np.full(8, hertz)
    )
    features: Features = found
    stretch = Stretch()
    held = np.ones(8, np.bool_)
    stretch.push(block, ~held, features)
    assert stretch.heard(manner, -60.0, 0.9) is None
    stretch.push(block, held, features)
    assert stretch.manner is manner
    heard = stretch.heard(manner, -60.0, 0.9)
    assert heard is not None
    assert (heard.frames, round(heard.over_floor_db)) == (8, 30)


def test_it_began_when_the_evidence_began(block: Block) -> None:
    found: Any = SimpleNamespace(harmonicity=np.zeros(8), hertz=np.zeros(8))
    held = np.arange(8) >= 3
    for since, first in ((1, 1), (5, 3), (None, 3)):
        stretch = Stretch()
        stretch.push(block, held, found, since)
        assert stretch.first == block.first_frame + first
