"""A caller's keys and text telephone in the audio."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import Block
from ghostfilter.textphone import TextPhone
from ghostfilter.tones import Tones
from tests.unit.ghostfilter.sounds import RATE
from tests.unit.ghostfilter.tone_sounds import (
    ALL_KEYS,
    baudot,
    blocks,
    cadence,
    gliding,
    key,
    still,
    tone,
    v21,
)


def listen(heard_blocks: list[Block]) -> tuple[list[Heard], list[Heard]]:
    """What was told at once, and what is known in the end."""
    tones = Tones()
    told = [heard for block in heard_blocks if (heard := tones.push(block))]
    return told, tones.heard()


def keys(heard_blocks: list[Block]) -> str:
    return "".join(heard.detail for heard in listen(heard_blocks)[0])


@pytest.mark.parametrize("name", ALL_KEYS)
def test_every_key_is_told_once_while_it_is_held(name: str) -> None:
    told, known = listen(blocks(still(0.5), key(name, 0.4), still(0.5)))
    assert [(heard.sound, heard.detail) for heard in told] == [(Sound.KEY_TONE, name)]
    assert 23 <= told[0].from_frame <= 26
    assert told[0].dbfs == pytest.approx(-20.0, abs=6.0)
    assert [heard.detail for heard in known] == [name]


def test_keys_pressed_one_after_the_other_are_all_known() -> None:
    pause = still(0.1)
    told, known = listen(
        blocks(still(0.4), key("1"), pause, key("1"), pause, key("2"), still(0.4))
    )
    assert [heard.detail for heard in told] == ["1", "1", "2"]
    assert [heard.detail for heard in known] == ["112"]
    assert known[0].from_frame == told[0].from_frame
    assert known[0].frames >= 9


def test_a_slide_from_key_to_key_without_a_pause_is_two_keys() -> None:
    assert keys(blocks(still(0.4), key("4", 0.12), key("6", 0.12), still(0.4))) == "46"


def test_a_lost_packet_within_a_press_is_no_second_press() -> None:
    held = cadence(key("5", 0.3), 0.14, 0.02, 0.14)
    assert keys(blocks(still(0.4), held, still(0.4))) == "5"


@pytest.mark.parametrize("offset_ms", range(0, 20, 4))
@pytest.mark.parametrize(("ms", "is_key"), [(40, True), (60, True), (15, False)])
def test_40_ms_are_a_key_wherever_they_fall_and_15_are_not(
    ms: int, offset_ms: int, *, is_key: bool
) -> None:
    line = blocks(still(0.4 + offset_ms / 1000), key("0", ms / 1000), still(0.5))
    assert keys(line) == ("0" if is_key else "")


@pytest.mark.parametrize(
    ("twist_db", "is_key"),
    [(-14, False), (-9, True), (-4, True), (4, True), (5, True), (8, False)],
)
def test_twist(twist_db: float, *, is_key: bool) -> None:
    line = blocks(still(0.4), key("8", twist_db=twist_db), still(0.4))
    assert keys(line) == ("8" if is_key else "")


@pytest.mark.parametrize(
    ("off", "is_key"), [(-0.035, False), (-0.018, True), (0.018, True), (0.035, False)]
)
def test_frequencies_may_be_off_by_1_8_per_cent(off: float, *, is_key: bool) -> None:
    line = blocks(still(0.4), key("7", off=off), still(0.4))
    assert keys(line) == ("7" if is_key else "")


@pytest.mark.parametrize(
    ("dbfs", "noise_dbfs", "is_key"),
    [
        (-3, -66, True),
        (-30, -66, True),
        (-47, -66, True),
        (-54, -66, False),
        (-20, -32, True),
        (-20, -20, False),
    ],
)
def test_level_and_noise(dbfs: float, noise_dbfs: float, *, is_key: bool) -> None:
    line = blocks(still(0.4), key("3", dbfs=dbfs), still(0.4), noise_dbfs=noise_dbfs)
    assert keys(line) == ("3" if is_key else "")


@pytest.mark.parametrize(
    "hertz", [(697, 770), (1209, 1336), (700, 1000), (697, 1209, 2418), (941,)]
)
def test_other_tones_are_no_keys(hertz: tuple[float, ...]) -> None:
    assert keys(blocks(still(0.4), tone(hertz, 0.5), still(0.4))) == ""


@pytest.mark.parametrize("baud", [45.45, 50.0])
@pytest.mark.parametrize(("dbfs", "noise_dbfs"), [(-12, -66), (-35, -66), (-20, -30)])
def test_a_text_telephone_is_told_after_three_characters(
    baud: float, dbfs: float, noise_dbfs: float
) -> None:
    codes = np.random.default_rng(4).integers(0, 32, 10).tolist()
    sent = baudot(codes, baud=baud, dbfs=dbfs)
    told, known = listen(
        blocks(still(0.53), sent, still(0.5), noise_dbfs=noise_dbfs, seed=5)
    )
    assert [heard.sound for heard in told] == [Sound.TTY]
    assert 30 <= told[0].from_frame <= 45
    assert [(heard.sound, heard.detail) for heard in known] == [(Sound.TTY, "Baudot")]


def test_a_text_telephone_goes_on_being_read() -> None:
    told, known = listen(
        blocks(still(0.3), baudot([4, 9, 21, 30, 7, 11, 12, 3, 1, 5]), still(1.0))
    )
    assert len(told) == 1
    assert known[0].from_frame == told[0].from_frame


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_characters_are_none(count: int) -> None:
    told, known = listen(blocks(still(0.4), baudot([9, 22][:count]), still(0.6)))
    assert (told, known) == ([], [])


def test_a_whistle_from_1400_to_1800_hertz_is_no_text_telephone() -> None:
    t = np.arange(RATE * 4) / RATE
    phone = TextPhone()
    for hertz in (1600 + 200 * np.sin(2 * np.pi * 9 * t), 1400 + 400 * (t * 3 % 1)):
        assert not any(phone.push(block, 8) for block in blocks(gliding(hertz)))


def test_a_calling_text_telephone_of_v21_is_one_too() -> None:
    line = blocks(still(0.4), v21(1.5, zero=1180.0, one=980.0), still(0.4))
    assert [(h.sound, h.detail) for h in listen(line)[1]] == [(Sound.TTY, "V.21")]
