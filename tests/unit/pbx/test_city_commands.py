"""`gerbang check` and `render` on wrong cities and bad machines: sentences only."""

from __future__ import annotations

import asyncio
import os
import signal
import wave
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pbx.__main__ import build
from pbx.commands.city_file import _ended_by_sigterm
from pbx.settings import PROJECT

CITY = PROJECT / "asterisk-config" / "city.toml"
GERBANG = build()


def gerbang(*words: str) -> Result:
    return CliRunner().invoke(GERBANG, list(words))


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "city.toml"
    path.write_text(CITY.read_text())
    monkeypatch.setenv("GERBANG_CITY", str(path))
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path / "state"))
    return path


def record(path: Path, seconds: float, *, before: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(before + bytes(int(seconds * 8000) * 2))


def test_prompts_too_long_for_the_deadline_are_a_fault(
    city: Path, tmp_path: Path
) -> None:
    assert gerbang("check", "--no-boot").exit_code == 0
    folder = tmp_path / "state" / "sounds" / "id"
    record(folder / "greeting.wav", 30.0)
    (folder / "second-chance.wav").write_bytes(b"RIFF, and no more")
    line = city.read_text().splitlines().index("deadline_seconds = 40") + 1
    for command in (("check", "--no-boot"), ("render", "--no-boot")):
        done = gerbang(*command)
        assert done.exit_code == 1
        assert f"{city}:{line}: flows.filter0: takes up to 43.0 s" in done.output
        assert "raise deadline_seconds" in done.output
        at = {n: i for i, n in enumerate(city.read_text().splitlines(), 1)}
        mute, torn = at['greeting = "greeting"'], at['second_prompt = "second-chance"']
        assert f"{city}:{mute}: flows.filter0.greeting: " in done.output
        assert "greeting.wav: prompt holds no sound" in done.output
        assert f"{city}:{torn}: flows.filter0.second_prompt: " in done.output
        assert "second-chance.wav: prompt cannot be read" in done.output
    assert not (tmp_path / "state" / "asterisk" / "current").exists()


def test_a_goodbye_that_ends_with_its_last_word_is_told(
    city: Path, tmp_path: Path
) -> None:
    """A key pressed just after it would meet nobody who listens."""
    told = "nobody listens after the last word of goodbye"
    assert told not in gerbang("check", "--no-boot").output, "not made yet"
    goodbye = tmp_path / "state" / "sounds" / "id" / "goodbye.wav"
    for silence_seconds, is_told in ((0.0, True), (0.9, True), (1.0, False)):
        record(goodbye, silence_seconds, before=b"\x10\x20" * 8000)
        done = gerbang("check", "--no-boot")
        assert done.exit_code == 0
        assert (told in done.output) is is_told
    record(goodbye, 0.5)
    assert told in gerbang("check", "--no-boot").output
    city.write_text(city.read_text().replace('silent = "release"', "", 1))
    assert told not in gerbang("check", "--no-boot").output, "nobody is released"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\xfe", "cannot be read"),
        (b"[city\n", "1: not TOML"),
        (b"[city]\nname = 'x'\n", "must be declared"),
    ],
)
@pytest.mark.parametrize("command", ["check", "render"])
def test_a_wrong_file_is_a_sentence(
    city: Path, text: bytes, said: str, command: str
) -> None:
    city.write_bytes(text)
    done = gerbang(command)
    assert done.exit_code == 1
    assert f"{city}:" in done.output
    assert said in done.output


def test_a_file_that_is_not_there(city: Path) -> None:
    city.unlink()
    done = gerbang("check")
    assert (done.exit_code, "No such file" in done.output) == (1, True)


def test_no_room_for_the_trial_is_a_sentence(
    city: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/tmp/gerbang-check-x")

    monkeypatch.setattr("pbx.asterisk.check.tempfile.TemporaryDirectory", full)
    done = gerbang("check")
    assert done.exit_code == 1
    assert "cannot be tried on a throw-away Asterisk" in done.output
    assert "No space left" in done.output


def test_ending_an_asterisk_that_does_not_run_is_no_fault(city: Path) -> None:
    done = gerbang("asterisk", "--stop")
    assert (done.exit_code, "none runs" in done.output) == (0, True)


def test_sigterm_ends_a_trial_as_ctrl_c_does() -> None:
    cleared: list[bool] = []

    async def trial() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(10)
        finally:
            cleared.append(True)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(_ended_by_sigterm(trial()))
    assert cleared == [True]
