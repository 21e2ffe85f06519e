"""City and prompts: read at start, and when changed; a bad file replaces no good."""

from __future__ import annotations

import logging
import os
import random
import wave
from pathlib import Path

import pytest

from agi import frames
from agi.in_force import SILENT_PROMPT, Keeper, PromptError, load, read_prompt
from ivr import check
from ivr.flow import Step
from pbx.model.city import CityError
from pbx.model.policy import Mode
from pbx.settings import PROJECT, Settings, active_city_file, switch_files

CITY = (PROJECT / "asterisk-config" / "city.toml").read_text()


def write_wav(
    path: Path,
    *,
    rate: int = 8000,
    channels: int = 1,
    width: int = 2,
    sound: bytes = b"\x10",
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(sound * (rate * channels * width // len(sound)))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(state=tmp_path / "var", city_file=tmp_path / "city.toml")
    made.city_file.write_text(CITY)
    write_wav(made.sounds / "id" / "greeting.wav")
    write_wav(made.sounds / "id" / "second-chance.wav")
    return made


def test_the_flow_knows_its_prompts_lengths(settings: Settings) -> None:
    in_force = load(settings)
    flow = in_force.flow("filter0")
    assert flow.steps == (Step("greeting", 1.0, 3.0), Step("second-chance", 1.0, 5.0))
    assert in_force.missing == ()
    assert len(in_force.prompt("greeting").wire) == 50 * frames.WIRE_BYTES
    assert check.problems(flow, in_force.city.flows["filter0"].deadline_seconds) == []
    with pytest.raises(KeyError):
        in_force.flow("no-such-flow")


def test_the_kill_switch_is_a_file_and_off_wins(settings: Settings) -> None:
    keeper = Keeper(settings)
    assert keeper.current.switch is None
    files = switch_files(settings.asterisk_home)
    files["off"].parent.mkdir(parents=True)
    for mode in ("shadow", "off"):
        files[mode].touch()
        assert keeper.has_changed()
        assert keeper.reload()
        assert keeper.current.switch is Mode(mode)
        assert not keeper.has_changed()
    files["off"].unlink()
    assert keeper.has_changed()


def test_a_missing_prompt_is_silence(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (settings.sounds / "id" / "greeting.wav").unlink()
    in_force = load(settings)
    assert in_force.prompt("greeting") is SILENT_PROMPT
    assert in_force.flow("filter0").steps[0].prompt_seconds == 0
    assert "gerbang sounds" in in_force.missing[0]
    assert "greeting.wav" in caplog.text


@pytest.mark.parametrize("wrong", [{"rate": 16000}, {"channels": 2}, {"width": 1}])
def test_a_prompt_of_another_form_is_told(
    tmp_path: Path, wrong: dict[str, int]
) -> None:
    write_wav(tmp_path / "x.wav", **wrong)
    with pytest.raises(PromptError, match="instead of 8000 Hz, mono, 16 bit"):
        read_prompt(tmp_path / "x.wav")


@pytest.mark.parametrize("sound", [b"\0", b"\x01\0", b"\xb9\xfe\x47\x01"])
def test_a_prompt_without_sound_asks_nobody(tmp_path: Path, sound: bytes) -> None:
    """A studio's empty file must not count as a question that nobody answered."""
    write_wav(tmp_path / "x.wav", sound=sound)
    with pytest.raises(PromptError, match="holds no sound"):
        read_prompt(tmp_path / "x.wav")


@pytest.mark.parametrize("data", [b"", b"RIFF", b"garbage" * 99])
def test_a_broken_prompt_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(data)
    with pytest.raises(PromptError, match="cannot be read"):
        read_prompt(tmp_path / "x.wav")


def test_the_rendered_city_is_in_force_not_the_edited_one(settings: Settings) -> None:
    assert active_city_file(settings) == settings.city_file
    rendered = settings.asterisk_home / "current" / "city.toml"
    rendered.parent.mkdir(parents=True)
    rendered.write_text(CITY.replace("wait_seconds = 3.0", "wait_seconds = 2.0"))
    assert active_city_file(settings) == rendered
    assert load(settings).city.flows["filter0"].wait_seconds == 2.0


def test_changes_are_seen_and_read(settings: Settings) -> None:
    keeper = Keeper(settings)
    assert not keeper.has_changed()
    settings.city_file.write_text(
        CITY.replace("wait_seconds = 3.0", "wait_seconds = 2")
    )
    os.utime(settings.city_file, ns=(1, 1))
    assert keeper.has_changed()
    assert keeper.reload()
    assert not keeper.has_changed()
    assert keeper.current.city.flows["filter0"].wait_seconds == 2.0
    (settings.sounds / "id" / "greeting.wav").unlink()
    assert keeper.has_changed()


def test_a_bad_city_never_replaces_a_good_one(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(settings)
    good = keeper.current
    settings.city_file.write_text("nonsense")
    os.utime(settings.city_file, ns=(1, 1))
    with caplog.at_level(logging.ERROR):
        assert not keeper.reload()
    assert keeper.current is good
    assert not keeper.has_changed(), "it is not read again each second"
    assert "the last stays" in caplog.text


@pytest.mark.parametrize("text", [b"nonsense", b"\xff\xfe[city]"])
def test_a_bad_city_at_start_is_an_error(settings: Settings, text: bytes) -> None:
    settings.city_file.write_bytes(text)
    with pytest.raises(CityError):
        Keeper(settings)


def test_no_damaged_header_escapes(tmp_path: Path) -> None:
    """`wave` raises more than `wave.Error`: a worker must not die of a torn prompt."""
    whole = tmp_path / "whole.wav"
    with wave.open(str(whole), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    header, dice = whole.read_bytes(), random.Random(112)
    torn, refused = tmp_path / "torn.wav", 0
    for _ in range(2000):
        damaged = bytearray(header)
        for _ in range(dice.randint(1, 6)):
            damaged[dice.randrange(44)] = dice.randrange(256)
        torn.write_bytes(damaged)
        try:
            read_prompt(torn)
        except PromptError:
            refused += 1
    assert refused > 100
