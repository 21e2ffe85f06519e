"""Machines by their tones; and that no person and no alarm is taken for one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import Block
from ghostfilter.tones import Tones
from tests.unit.ghostfilter.sounds import RATE, vowel
from tests.unit.ghostfilter.tone_sounds import (
    Wave,
    blocks,
    cadence,
    gliding,
    key,
    level,
    still,
    tone,
    v21,
)

MACHINES = {Sound.FAX, Sound.NETWORK_TONE}
T = np.arange(RATE * 8) / RATE


def listen(heard_blocks: list[Block]) -> list[Heard]:
    tones = Tones()
    assert not [heard for block in heard_blocks if (heard := tones.push(block))]
    return tones.heard()


@pytest.mark.parametrize("dbfs", [-12.0, -38.0])
@pytest.mark.parametrize(
    ("hertz", "seconds", "name"),
    [
        ((425,), (1.0, 4.0, 1.0), "ring-back or dialling tone 425 Hz"),
        ((400, 450), (0.4, 0.2, 0.4, 2.0) * 2, "busy tone 400 + 450 Hz"),
        ((440, 480), (2.0, 4.0), "ring-back or dialling tone 440 + 480 Hz"),
        ((480, 620), (0.5, 0.5) * 5, "busy tone 480 + 620 Hz"),
        ((480, 620), (0.25, 0.25) * 12, "busy tone 480 + 620 Hz"),
        ((425,), (0.5, 0.5) * 5, "busy tone 425 Hz"),
        ((350, 440), (3.0,), "ring-back or dialling tone 350 + 440 Hz"),
        ((400, 425, 450), (1.5, 3.0), "ring-back or dialling tone 400 + 425 + 450 Hz"),
    ],
)
def test_network_tones(
    hertz: tuple[float, ...], seconds: tuple[float, ...], name: str, dbfs: float
) -> None:
    wave = cadence(tone(hertz, sum(seconds), dbfs), *seconds)
    (heard,) = listen(blocks(still(0.31), wave, still(0.5)))
    assert (heard.sound, heard.detail) == (Sound.NETWORK_TONE, name)
    assert heard.dbfs == pytest.approx(dbfs, abs=3.0)  # in mean dB: some beat
    assert heard.confidence > 0.95


def test_less_than_a_ring_is_not_certain() -> None:
    assert listen(blocks(still(0.3), tone((425,), 0.7), still(2))) == []


def test_pieces_too_short_to_tell_their_steadiness_are_not_certain() -> None:
    wave = cadence(tone((425,), 8), *(0.1, 0.22) * 16)
    assert not _machines(blocks(still(0.32), wave, still(0.5)))


def test_special_information_tone() -> None:
    notes = [tone((f,), 0.33) for f in (950, 1400, 1800)]
    (heard,) = listen(blocks(still(0.4), *notes, still(1)))
    assert heard.sound is Sound.NETWORK_TONE
    assert heard.detail == "special information tone"
    assert heard.frames == pytest.approx(50, abs=2)


def test_three_notes_with_pauses_are_a_melody() -> None:
    notes = [wave for f in (950, 1400, 1800) for wave in (tone((f,), 0.33), still(0.5))]
    assert not _machines(blocks(still(0.4), *notes))


@pytest.mark.parametrize("noise_dbfs", [-66, -45])
def test_a_fax_that_calls(noise_dbfs: float) -> None:
    wave = cadence(tone((1104,), 8), 0.5, 3.0, 0.5, 3.0, 0.5)
    (heard,) = listen(blocks(still(0.3), wave, still(0.5), noise_dbfs=noise_dbfs))
    assert (heard.sound, heard.detail) == (Sound.FAX, "calling tone 1100 Hz")


def test_a_fax_that_answers_and_speaks() -> None:
    line = [still(0.3), tone((2100,), 2.8), still(0.1), v21(1.5, 1850, 1650), still(1)]
    (heard,) = listen(blocks(*line))
    assert (heard.sound, heard.detail) == (Sound.FAX, "answer tone 2100 Hz, V.21")
    assert heard.from_frame == pytest.approx(15, abs=2)
    assert heard.frames == pytest.approx(215, abs=6)


def test_the_longest_stretch_of_a_modem_is_told() -> None:
    sent = v21(2.5, 1850, 1650)
    line = [still(0.3), sent[:RATE], still(0.4), sent, still(0.4), sent[:RATE]]
    (heard,) = listen(blocks(*line))
    assert heard.frames == pytest.approx(125, abs=4)


def test_a_lost_packet_does_not_end_a_tone() -> None:
    holes = np.ones(RATE * 3)
    for at in range(4000, holes.size, 6000):
        holes[at : at + 160] = 0.0
    (heard,) = listen(blocks(still(0.3), tone((2100,), 3.0) * holes, still(1)))
    assert heard.detail == "answer tone 2100 Hz"


def test_key_beeps_are_noise() -> None:
    beeps = [w for f in (1200, 1900, 1200, 2400) for w in (tone((f,), 0.1), still(0.4))]
    (heard,) = listen(blocks(still(0.5), *beeps))
    assert (heard.sound, heard.detail) == (Sound.NOISE, "4 beeps")


def test_beeps_in_a_song_are_none() -> None:
    song = [tone((f,), 0.2) for f in (800, 1000, 1200, 1500, 1900) * 3]
    assert listen(blocks(still(0.5), *song)) == []


def _vibrato(hertz: float, share: float = 0.004) -> Wave:
    return hertz * (1 + share * np.sin(2 * np.pi * 5.3 * T))


def _siren(seconds: float, low: float, high: float) -> Wave:
    return gliding(np.where(T % (2 * seconds) < seconds, low, high))


PEOPLE_AND_ALARMS: dict[str, Callable[[], Wave]] = {
    "hum on 425": lambda: gliding(_vibrato(425)),
    "hum on 440, in a busy tone's cadence": lambda: cadence(
        gliding(_vibrato(440)), *(0.5, 0.5) * 7
    ),
    "whistle on 1100, in CNG's cadence": lambda: cadence(
        gliding(_vibrato(1100)), 0.5, 3.0, 0.5, 3.0, 0.5
    ),
    "whistle on 2100": lambda: gliding(_vibrato(2100)),
    "whistle that slides": lambda: gliding(1200 + 700 * np.sin(T)),
    "vowel": lambda: np.frombuffer(vowel(6), np.int16) / 32768.0,
    "scream": lambda: sum(
        (gliding(_vibrato(900 * n, 0.02), -20 - 6 * n) for n in (1, 2, 3)),
        np.zeros(T.size),
    ),
    "two-tone siren 435/580": lambda: _siren(0.6, 435, 580),
    "two-tone siren 425/567": lambda: _siren(0.5, 425, 567),
    "wailing siren": lambda: gliding(900 + 500 * np.sin(1.3 * T)),
    "yelping siren": lambda: gliding(600 + 900 * (3 * T % 1)),
    "smoke alarm": lambda: cadence(tone((3150,), 8), *(0.5, 0.5) * 7),
    "smoke alarm, low": lambda: cadence(tone((520,), 8), *(0.5, 0.5) * 7),
    "reversing lorry": lambda: cadence(tone((1100,), 8), *(0.5, 0.5) * 7),
    "car horn": lambda: tone((405, 505, 810, 1010, 1620), 3),
}


@pytest.mark.parametrize("dbfs", [-12.0, -30.0])
@pytest.mark.parametrize("name", PEOPLE_AND_ALARMS)
def test_no_person_and_no_alarm_is_a_machine(name: str, dbfs: float) -> None:
    wave = level(PEOPLE_AND_ALARMS[name](), dbfs)
    assert not _machines(blocks(still(0.4), wave, still(0.5)))


def _machines(heard_blocks: list[Block]) -> list[Heard]:
    return [heard for heard in listen(heard_blocks) if heard.sound in MACHINES]


def _shares(heard_blocks: list[Block], *, machine: bool = False) -> list[float]:
    """Of each block: how many of its frames are explained."""
    tones = Tones()
    shares = []
    for block in heard_blocks:
        tones.push(block)
        shares.append(float((tones.machine() if machine else tones.explains()).mean()))
    return shares


def test_a_tone_alone_is_explained_and_a_voice_beside_it_is_not() -> None:
    ring = tone((425,), 1.6)
    voice = np.frombuffer(vowel(1.6, -22.0), np.int16) / 32768.0
    assert np.mean(_shares(blocks(ring))) == 1.0
    assert np.mean(_shares(blocks(ring + voice))) < 0.2
    assert np.mean(_shares(blocks(ring), machine=True)) == 1.0


def test_what_is_neither_explained_nor_a_machine() -> None:
    whistle = gliding(np.full(1280 * 8, 1500.0))
    assert np.mean(_shares(blocks(whistle))) > 0.9
    assert max(_shares(blocks(whistle), machine=True)) == 0.0
    thump = tone((140,), 1.0)
    assert max(_shares(blocks(thump))) == 0.0
    assert max(_shares(blocks(still(1.0)))) == 0.0


def test_fax_tones_and_data_are_a_machine_and_keys_are_not() -> None:
    assert np.mean(_shares(blocks(tone((2100,), 1.6)), machine=True)) >= 0.98
    data = _shares(blocks(v21(3.2, 1850, 1650)), machine=True)
    assert data[-3:] == [1.0] * 3
    assert max(_shares(blocks(key("5", 1.6)), machine=True)) == 0.0


def test_a_long_song_does_not_grow_for_ever() -> None:
    tones = Tones()
    notes = [tone((f,), 0.08) for f in (700, 900, 1100) * 60]
    for block in blocks(*notes):
        tones.push(block)
    assert not [heard for heard in tones.heard() if heard.sound in MACHINES]
