"""Prompts: one band, one loudness, made once, a studio recording wins."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from pbx import sounds
from pbx.commands import sounds as commands
from pbx.model.city import read_city
from pbx.settings import PROJECT
from pbx.sounds import Made, SoundError, known_prompts, make, read_manifest

TEXTS = """
[prompts.greeting]
text = "Halo, satu satu dua."
[prompts.goodbye]
text = "Terima kasih."
rate = 150
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "id"
    folder.mkdir(parents=True)
    (folder / "prompts.toml").write_text(TEXTS)
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "made"


def read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (
            8000,
            1,
            2,
        )
        return np.frombuffer(file.readframes(-1), "<i2") / 32768


def record(path: Path, samples: np.ndarray, rate: int, channels: int = 1) -> None:
    whole = np.repeat((samples * 32767).astype("<i2"), channels)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(whole.tobytes())


def tone(hertz: float, seconds: float, rate: int, level: float = 0.3) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def band_share(samples: np.ndarray, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / 8000)
    return float(power[(hertz >= low) & (hertz <= high)].sum() / power.sum())


def by_name(made: list[Made]) -> dict[str, Made]:
    return {one.name: one for one in made}


def test_the_reference_citys_prompts_exist_and_are_short(tmp_path: Path) -> None:
    known = known_prompts("id")
    text = (PROJECT / "asterisk-config" / "city.toml").read_text()
    read_city(text, source="city.toml", prompts=known)  # names every prompt it lacks
    made = by_name(make("id", tmp_path))
    assert made["greeting"].seconds <= 5.0  # Delhi: delay is what a caller loses
    assert made["second-chance"].seconds <= 6.0
    for one in made.values():
        samples = read(one.path)
        assert one.level_dbfs == pytest.approx(sounds.ACTIVE_DBFS, abs=1.0)
        assert np.abs(samples).max() <= 10 ** (sounds.PEAK_DBFS / 20) + 1e-3
        assert band_share(samples, 250, 3500) > 0.99
        assert np.abs(samples[:8]).max() < 0.02  # fades: no click
        assert np.abs(samples[-8:]).max() < 0.02


def test_a_second_run_makes_nothing(source: Path, target: Path) -> None:
    first = make("id", target, source=source)
    stamps = {one.name: one.path.stat().st_mtime_ns for one in first}
    heard: list[str] = []
    second = make("id", target, source=source, progress=lambda m: heard.append(m.name))
    assert [one.fresh for one in first + second] == [True, True, False, False]
    assert {one.name: one.path.stat().st_mtime_ns for one in second} == stamps
    assert sorted(heard) == ["goodbye", "greeting"]
    assert [(one.seconds, one.level_dbfs) for one in first] == [
        (one.seconds, one.level_dbfs) for one in second
    ]


def test_only_a_changed_text_is_made_again(source: Path, target: Path) -> None:
    make("id", target, source=source)
    manifest = source / "id" / "prompts.toml"
    manifest.write_text(TEXTS.replace("Terima kasih", "Sampai jumpa"))
    made = by_name(make("id", target, source=source))
    assert made["goodbye"].fresh
    assert not made["greeting"].fresh


@pytest.mark.parametrize("damage", ["cut", "gone", "memory"])
def test_a_damaged_cache_is_made_again(source: Path, target: Path, damage: str) -> None:
    good = by_name(make("id", target, source=source))["greeting"]
    whole = good.path.read_bytes()
    match damage:
        case "cut":
            good.path.write_bytes(whole[:100])
        case "gone":
            good.path.unlink()
        case _:
            (good.path.parent / ".made.json").write_text("[broken")
    again = by_name(make("id", target, source=source))["greeting"]
    assert again.fresh
    assert again.path.read_bytes() == whole


def test_a_studio_recording_wins_and_is_brought_to_band_and_level(
    source: Path, target: Path
) -> None:
    rate = 44100
    quiet = np.zeros(rate // 2)
    voice = tone(1000, 1.0, rate, 0.02) + tone(80, 1.0, rate, 0.3)
    recording = source / "id" / "greeting.wav"
    record(recording, np.concatenate([quiet, voice, quiet]), rate, channels=2)
    made = by_name(make("id", target, source=source))["greeting"]
    samples = read(made.path)
    assert made.source == "studio"
    assert made.seconds == pytest.approx(1.0, abs=0.08)  # silence is trimmed
    assert made.level_dbfs == pytest.approx(-20, abs=0.5)
    assert band_share(samples, 950, 1050) > 0.98  # the hum at 80 Hz is gone
    recording.unlink()
    assert by_name(make("id", target, source=source))["greeting"].source == "synthesis"


def test_who_plays_it_listens_on_after_the_last_word(
    source: Path, target: Path
) -> None:
    """Also after a recording's, and a changed time makes it anew."""
    record(source / "id" / "goodbye.wav", tone(500, 0.5, 8000), 8000)
    manifest = source / "id" / "prompts.toml"
    lengths = []
    for told in ("", "listen_seconds = 2", "listen_seconds = 0.5"):
        manifest.write_text(TEXTS + told)
        made = by_name(make("id", target, source=source))["goodbye"]
        assert (made.fresh, made.source) == (True, "studio")
        assert made.level_dbfs == pytest.approx(sounds.ACTIVE_DBFS, abs=0.5)
        lengths.append(made.seconds)
        silent = round(8000 * (made.seconds - lengths[0]))
        assert not read(made.path)[len(read(made.path)) - silent :].any()
    assert lengths == pytest.approx([0.5, 2.5, 1.0], abs=0.03)


def test_resampling_does_not_fold_high_tones_into_the_band() -> None:
    samples = sounds.into_band(tone(6000, 1.0, 48000), 48000)
    assert np.abs(samples).max() < 0.003


def test_a_narrow_recording_keeps_its_pitch() -> None:
    samples = sounds.into_band(tone(800, 1.0, 6000), 6000)
    peak = np.argmax(np.abs(np.fft.rfft(samples)))
    assert len(samples) == 8000
    assert peak == 800


def test_the_limiter_holds_the_ceiling_without_clipping_steps() -> None:
    loud = tone(440, 0.5, 8000, 1.4)
    held = sounds.limited(loud)
    assert np.abs(held).max() <= 10 ** (sounds.PEAK_DBFS / 20)
    assert band_share(held[400:-400], 400, 480) > 0.99  # no crackle


def test_a_recording_alone_is_a_known_prompt(source: Path, target: Path) -> None:
    record(source / "id" / "flood.wav", tone(500, 0.5, 8000), 8000)
    assert known_prompts("id", source) == {"greeting", "goodbye", "flood"}
    assert by_name(make("id", target, source=source))["flood"].source == "studio"


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        (b"", "PCM WAV"),
        (b"RIFF....WAVEfmt ", "PCM WAV"),
        (b"ID3 an mp3 perhaps" * 100, "PCM WAV"),
    ],
)
def test_a_recording_that_is_no_wav_says_so(
    source: Path, target: Path, content: bytes, cure: str
) -> None:
    (source / "id" / "greeting.wav").write_bytes(content)
    with pytest.raises(SoundError, match=cure) as told:
        make("id", target, source=source)
    assert "greeting.wav" in str(told.value)
    assert (target / "id" / "goodbye.wav").exists()  # the others stay made


def test_a_silent_recording_says_so(source: Path, target: Path) -> None:
    record(source / "id" / "greeting.wav", np.zeros(16000), 16000)
    with pytest.raises(SoundError, match="greeting is silent.*record it again"):
        make("id", target, source=source)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("prompts = 3", "prompts"),
        ("[prompts.x]\ntext = ''", "prompts.x.text"),
        ("[prompts.Bad_Name]\ntext = 'x'", "Bad_Name"),
        ("[prompts.x]\ntxt = 'x'", "prompts.x"),
        ("[prompts.x", "not TOML"),
    ],
)
def test_a_wrong_manifest_names_place_and_cure(
    source: Path, manifest: str, words: str
) -> None:
    (source / "id" / "prompts.toml").write_text(manifest)
    with pytest.raises(SoundError, match=words) as told:
        read_manifest("id", source)
    assert "prompts.toml" in str(told.value)
    assert "correct" in str(told.value)


def test_a_missing_language_names_the_file(source: Path) -> None:
    with pytest.raises(SoundError, match=r"xx/prompts.toml.*language"):
        known_prompts("xx", source)


def test_without_espeak_the_cure_is_named(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SoundError, match="apt-get install espeak-ng"):
        make("id", target, source=source)


def test_an_unknown_voice_is_named(source: Path, target: Path) -> None:
    (source / "id" / "prompts.toml").write_text(
        "[prompts.x]\ntext = 'halo'\nvoice = 'klingon-9'"
    )
    with pytest.raises(SoundError, match="klingon-9"):
        make("id", target, source=source)


def test_a_stuck_espeak_is_given_up(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "bin" / "espeak-ng"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexec sleep 30\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    monkeypatch.setattr(sounds, "SPEAK_SECONDS", 0.3)
    with pytest.raises(SoundError, match="did not speak"):
        make("id", target, source=source)


def test_an_unwritable_target_says_so(source: Path, target: Path) -> None:
    (target / "id" / "greeting.wav").mkdir(parents=True)  # a directory in the way
    with pytest.raises(SoundError, match="cannot be written"):
        make("id", target, source=source)


def test_a_target_that_cannot_be_made_names_the_cure(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SoundError, match="GERBANG_STATE"):
        make("id", tmp_path / "file", source=source)


def run_command(*arguments: str, state: Path) -> Result:
    app = typer.Typer()
    commands.register(app)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GERBANG_STATE", str(state))
        return CliRunner().invoke(app, list(arguments))


def test_the_command_lists_every_prompt(tmp_path: Path) -> None:
    told = run_command(state=tmp_path)
    assert told.exit_code == 0
    for name in ("greeting", "second-chance", "goodbye", "please-hold"):
        assert name in told.stdout
    assert "synthesis" in told.stdout
    assert str(tmp_path) in told.stdout
    assert "unchanged" in run_command(state=tmp_path).stdout


def test_the_command_ends_with_a_sentence(tmp_path: Path) -> None:
    told = run_command("--language", "xx", state=tmp_path)
    assert told.exit_code == 1
    assert "gerbang sounds: " in told.stderr
    assert "prompts.toml" in told.stderr


def test_a_prompt_of_nothing_is_refused(tmp_path: Path) -> None:
    memory = sounds._Memory(tmp_path / "made.json")
    with pytest.raises(sounds.SoundError, match="neither text nor recording"):
        sounds._make_one("nothing", None, None, tmp_path, memory)
    assert not list(tmp_path.glob("*.wav"))
