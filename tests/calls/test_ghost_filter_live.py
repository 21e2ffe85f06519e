"""The filter on a real Asterisk: many calls at once, rough RTP, the offline verdicts.

All calls of this file are made at once, as on a bad evening; the tests then look at
what became of each. Sixty callers from the corpus: `test_ghost_filter_sixty.py`.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from pbx.asterisk import run
from pbx.laboratory.dialogue import sounds
from pbx.laboratory.dialogue.call import timetable
from pbx.laboratory.dialogue.house import House
from pbx.model.events import Judged
from pbx.simulator.declaration import Declaration
from pbx.simulator.trial import TrialCity
from pbx.simulator.voices import soft_noise
from tests.bench.sound import alaw, human_voices, quiet_line
from tests.calls.crowd import Clip, Compared, Crowd, by_the_ear, kediris_mix
from tests.calls.rough_rtp import Network

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(90),
]

AT_ONCE = 12
TOGETHER_SECONDS = 1.5
SPEAKS_AT = 2.0
"""In the middle of the greeting."""
HEARD_WITHIN_MS = 1500
"""From the first sound of a person to the verdict, on a machine under load."""
_DICE = np.random.default_rng(112)


def short_waits(declared: Declaration) -> None:
    """Nobody has time."""
    by_the_ear(declared)
    for flow in declared["flows"].values():
        flow |= {"wait_seconds": 1.5, "second_wait_seconds": 2.0}


def made(sound: sounds.Samples, after_seconds: float) -> bytes:
    """A quiet line, then this sound, as A-law."""
    samples = np.clip(np.round(sound * 32768), -32768, 32767).astype(np.int16)
    return quiet_line(after_seconds) + alaw(samples)


def pockets() -> list[Clip]:
    """Nobody, in several ways."""
    hum = np.sin(2 * np.pi * 100 * np.arange(48000) / 8000) * sounds.gain(-40)
    ring = np.sin(2 * np.pi * 425 * np.arange(8000) / 8000) * sounds.gain(-25)
    cadence = np.concatenate((ring, np.zeros(32000))).astype(np.float32)
    return [
        Clip("digital silence", False, b"\xd5" * 8000),
        Clip("hum", False, made(hum.astype(np.float32), 0.0)),
        Clip("ring-back", False, made(cadence, 0.0)),
        *(
            Clip(f"noise {level} dBFS", False, alaw(soft_noise(6.0, level_dbfs=level)))
            for level in (-75, -70, -65, -55, -45, -35)
        ),
    ]


def people_with_a_sign(house: House) -> list[Clip]:
    """Who cannot or does not speak, and yet asks for help."""
    second = timetable(house).said[1].ended + 0.3
    key = sounds.key_tone("5", 0.15, -18.0)
    return [
        Clip("key tone", True, made(key, SPEAKS_AT)),
        Clip("text telephone", True, made(sounds.tty(_DICE, 12, -22.0), SPEAKS_AT)),
        Clip("knocks", True, made(sounds.knocks(_DICE, 2, -8.0), second)),
        Clip("coughs", True, made(sounds.coughs(_DICE, 2, -8.0), second)),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evening() -> AsyncIterator[dict[str, Compared]]:
    """Every call of this file, at once."""
    async with TrialCity(change=short_waits) as city:
        crowd = Crowd(city)
        voices = human_voices(run.find_root(city.settings).base, 4)
        people = [Clip(f"voice {i}", True, voice) for i, voice in enumerate(voices[:3])]
        clips = [
            *kediris_mix([*pockets(), *people], AT_ONCE, random.Random(112)),
            *people_with_a_sign(crowd.house),
            Clip("echo", False, quiet_line(4.0), has_echo=True),
            Clip(
                "voice over echo",
                True,
                quiet_line(SPEAKS_AT) + voices[3],
                has_echo=True,
            ),
        ]
        async with crowd:
            done = await crowd.call(clips, Network(), seed=112, within=TOGETHER_SECONDS)
        assert crowd.most_at_once == len(clips)
    yield {one.clip.name: one for one in done}


def live(evening: dict[str, Compared], name: str) -> Judged:
    return evening[name].live


async def test_many_at_once_over_a_rough_network_are_judged_as_offline(
    evening: dict[str, Compared],
) -> None:
    assert len(evening) == AT_ONCE + 6
    assert [one.told() for one in evening.values() if not one.is_equal] == []


async def test_who_speaks_passes(evening: dict[str, Compared]) -> None:
    """On so rough a line one may be no more than a doubt: then a human, a bit later."""
    voices = [live(evening, f"voice {which}").verdict for which in range(3)]
    assert "release" not in voices
    assert voices.count("pass") >= 2


async def test_a_key_whose_event_got_lost_is_heard_as_a_tone(
    evening: dict[str, Compared],
) -> None:
    judged = live(evening, "key tone")
    assert judged.verdict == "pass", judged
    assert judged.reason in ("key", "key-tone"), judged
    assert judged.at_ms < SPEAKS_AT * 1000 + HEARD_WITHIN_MS


async def test_a_text_telephone_is_a_person(evening: dict[str, Compared]) -> None:
    judged = live(evening, "text telephone")
    assert judged.verdict == "pass", judged
    assert judged.at_ms < SPEAKS_AT * 1000 + 2 * HEARD_WITHIN_MS


@pytest.mark.parametrize("sound", ["knocks", "coughs"])
async def test_two_knocks_or_coughs_answer_the_second_prompt(
    evening: dict[str, Compared], sound: str
) -> None:
    judged = live(evening, sound)
    assert judged.verdict == "pass", judged


async def test_our_own_prompt_coming_back_is_nobody(
    evening: dict[str, Compared],
) -> None:
    judged = live(evening, "echo")
    assert judged.verdict in ("release", "low-priority"), judged


async def test_who_speaks_over_the_echo_passes_at_once(
    evening: dict[str, Compared],
) -> None:
    judged = live(evening, "voice over echo")
    assert judged.verdict == "pass", judged
    assert SPEAKS_AT * 1000 * 0.9 < judged.at_ms < SPEAKS_AT * 1000 + HEARD_WITHIN_MS
