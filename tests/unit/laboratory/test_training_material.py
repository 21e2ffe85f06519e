"""Open audio: what the list declares, and what becomes of a package's files."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from pbx.laboratory import cache, gather, packages, spoken
from pbx.laboratory.material import (
    Material,
    MaterialError,
    Package,
    Sounds,
    Voice,
    claim,
    read_list,
)
from pbx.laboratory.pieces import cut, decode, fault, pieces_of, resample, trim

RATE = 8000


def tone(seconds: float, hz: float = 600.0, rate: int = RATE) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return 0.3 * np.sin(2 * np.pi * hz * time)


def wav(sound: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def sounds(glob: str, label: str = "ghost", **more: object) -> dict[str, object]:
    return {"globs": [glob], "label": label, "kind": "music", **more}


def package(*entries: dict[str, object], **more: object) -> Package:
    return Package.model_validate(
        {
            "name": "shouts-data",
            "source": "shouts",
            "licence": "GPL-2+",
            "licence_read_in": "usr/share/doc/shouts-data/copyright",
            "sounds": list(entries),
            **more,
        }
    )


def test_every_declared_sound_may_train_what_ships() -> None:
    declared = read_list()
    assert {"speech", "ghost", "distant"} == {
        some.label for one in declared.package for some in one.sounds
    } - {"skip"}
    for one in declared.package:
        assert one.licence_read_in.startswith("usr/share/doc/")
        assert any(some.label != "skip" for some in one.sounds), one.name


def test_what_overlaps_with_the_corpus_says_so() -> None:
    overlaps = {one.name: one.overlaps for one in read_list().package}
    assert overlaps["klettres-data"] == ("klettres",)
    assert "hedgewars" in overlaps["hedgewars-data"]
    assert "asterisk-sounds-es" in overlaps["asterisk-core-sounds-es-wav"]


@pytest.mark.parametrize("licence", ["CC-BY-NC-3.0", "GPL-2+, CC-BY-ND-4.0", "found"])
def test_a_licence_that_forbids_or_says_nothing_is_refused(licence: str) -> None:
    with pytest.raises(ValueError, match="licence"):
        package(sounds("*"), licence=licence)


def test_a_voice_of_a_closed_licence_is_refused() -> None:
    with pytest.raises(ValueError, match="not known to be open"):
        voice(licence="research only")


def test_a_malformed_list_names_its_file(tmp_path: Path) -> None:
    listed = tmp_path / "material.toml"
    listed.write_text("[[package]]\nname = 'x'\n")
    with pytest.raises(MaterialError, match=r"material\.toml"):
        read_list(listed)


def test_a_package_declared_twice_is_refused(tmp_path: Path) -> None:
    entry = """
[[package]]
name = "x"
source = "x"
licence = "CC0-1.0"
licence_read_in = "usr/share/doc/x/copyright"
sounds = [{globs = ["*"], label = "ghost", kind = "music"}]
"""
    listed = tmp_path / "material.toml"
    listed.write_text(entry * 2)
    with pytest.raises(MaterialError, match="declared twice"):
        read_list(listed)


def test_a_voice_needs_its_texts() -> None:
    with pytest.raises(ValueError, match="no digits"):
        Material(package=(), voice=(voice(),), texts={})


def test_sounds_need_a_class_unless_skipped() -> None:
    with pytest.raises(ValueError, match="name the class"):
        Sounds(globs=("*",), label="ghost")


def test_the_first_entry_that_matches_owns_a_file() -> None:
    one = package(
        {"globs": ["*beep*"], "label": "skip"},
        sounds("*/fr/*", "speech", lang="/([a-z]+)/", group="/(fr)/"),
    )
    claims = claim(one, ["a/fr/beep.wav", "a/fr/oui.wav", "a/de/ja.wav"])
    assert [found.path for found in claims] == ["a/fr/oui.wav"]
    owner = claims[0].sounds
    assert (owner.lang_of("a/fr/oui.wav"), owner.group_of("a/fr/oui.wav")) == (
        "fr",
    ) * 2
    assert (owner.lang_of("oui.wav"), owner.group_of("oui.wav")) == ("", "oui.wav")


def test_other_rates_come_out_at_8_khz() -> None:
    for rate in (11025, 44100, 48000, 4000):
        heard = resample(tone(1.0, rate=rate), rate)
        assert len(heard) == RATE
        assert np.abs(heard - tone(1.0))[400:-400].max() < 0.01


def test_a_file_is_decoded_and_one_that_is_no_sound_is_not(tmp_path: Path) -> None:
    stereo = np.stack([tone(0.5, rate=22050)] * 2, axis=1)
    (tmp_path / "a.wav").write_bytes(wav(stereo, 22050))
    (tmp_path / "b.wav").write_bytes(b"no sound at all")
    (tmp_path / "c.raw").write_bytes((tone(0.5, rate=16000) * 9000).astype("<i2"))
    heard = decode(tmp_path / "a.wav")
    assert heard is not None
    assert len(heard) == RATE // 2
    assert decode(tmp_path / "b.wav") is None
    raw = decode(tmp_path / "c.raw", 16000)
    assert raw is not None
    assert len(raw) == RATE // 2


def test_silence_at_the_edges_goes_and_long_sounds_are_cut_where_quiet() -> None:
    loud = (tone(3.0) * 20_000).astype(np.int16)
    gap = np.zeros(RATE // 2, np.int16)
    whole = np.concatenate([gap, loud, gap, loud, gap, loud, gap])
    trimmed = trim(whole)
    assert len(trimmed) < len(whole) - RATE // 2
    pieces = cut(trimmed)
    assert [round(len(piece) / RATE) for piece in pieces] == [7, 4]
    assert len(pieces_of(whole)) == 2
    assert len(trim(np.zeros(RATE, np.int16))) == 0


def test_pieces_of_no_use_are_named() -> None:
    square = np.tile(np.array([32767] * 8 + [-32768] * 8, np.int16), 500)
    assert fault(square) == "clipped"
    assert pieces_of(square) == []
    assert fault(np.zeros(RATE, np.int16)) == "silent"
    assert fault(square[:400]) == "short"
    assert pieces_of(square[:100]) == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A cache that holds one small Debian package, as apt-get would have left it."""
    tree = tmp_path / "tree"
    data = tree / "usr/share/shouts"
    data.mkdir(parents=True)
    (data / "help.wav").write_bytes(wav(tone(1.0, 500)))
    (data / "same.wav").write_bytes(wav(tone(1.0, 500)))
    (data / "copyright.txt").write_text("free")
    with zipfile.ZipFile(data / "pak0.pk3", "w") as inner:
        inner.writestr("sound/rain.wav", wav(tone(12.0, 900)))
        inner.writestr("sound/readme.txt", "rain")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: shouts-data\nVersion: 1\nArchitecture: all\n"
        "Maintainer: n <n@n>\nDescription: x\n"
    )
    at = tmp_path / "cache/packages/debian/shouts-data"
    at.mkdir(parents=True)
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", tree, at / "shouts.deb"],
        check=True,
        capture_output=True,
    )
    return tmp_path / "cache"


SHOUTS = package(
    sounds("*/help.wav", "speech", group="(help)", lang="id"),
    sounds("*/same.wav", "speech"),
    sounds("*!/sound/*", cap_minutes=0.1),
    inner=["*.pk3"],
    overlaps=["hedgewars"],
)


def test_a_package_becomes_pieces_that_load_at_once(home: Path) -> None:
    made = gather.make(Material(package=(SHOUTS,)), home, Console(quiet=True))
    pieces = cache.load(home)
    assert [piece.entry for piece in pieces] == made
    assert {piece.entry.label for piece in pieces} == {"speech", "ghost"}
    speech = next(piece for piece in pieces if piece.entry.label == "speech")
    assert (speech.entry.group, speech.entry.lang) == ("shouts:help", "id")
    assert speech.entry.overlaps == "hedgewars"
    assert speech.pcm.dtype == np.int16
    assert len(speech.pcm) == speech.entry.length == pytest.approx(RATE, abs=160)
    # The same recording under another name is no second one, and a cap is a cap.
    assert len([one for one in pieces if one.entry.label == "speech"]) == 1
    assert len([one for one in pieces if one.entry.label == "ghost"]) == 1
    assert speech.entry.shard in (home / "SHA256SUMS").read_text()


def test_what_is_made_is_not_made_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = gather.make_package(SHOUTS, home)
    monkeypatch.setattr(gather, "unpack", lambda *_: pytest.fail("unpacked again"))
    assert gather.make_package(SHOUTS, home) == first


def test_without_a_cache_the_command_is_told(tmp_path: Path) -> None:
    with pytest.raises(MaterialError, match="python -m"):
        cache.load(tmp_path)


def test_the_cache_lies_where_gerbang_keeps_such_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GERBANG_CACHE", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "training"
    monkeypatch.delenv("GERBANG_CACHE")
    assert cache.cache_folder().name == "training"


def test_one_package_that_cannot_be_had_does_not_stop_the_others(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = SHOUTS.model_copy(update={"name": "lost-data"})
    monkeypatch.setitem(packages._CLIENTS, "debian", ("false",))
    with pytest.raises(MaterialError, match="1 sources"):
        gather.make(Material(package=(lost, SHOUTS)), home, Console(quiet=True))
    assert len(cache.load(home)) == 2


def test_a_client_leaves_the_package_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(packages._CLIENTS, "npm", ("touch",))
    one = SHOUTS.model_copy(update={"registry": "npm", "name": "shouts.tgz"})
    assert packages.fetch(one, tmp_path).name == "shouts.tgz"
    monkeypatch.setitem(packages._CLIENTS, "npm", ("/nothing/here",))
    assert packages.fetch(one, tmp_path).name == "shouts.tgz"
    other = SHOUTS.model_copy(update={"registry": "npm", "name": "other"})
    with pytest.raises(MaterialError, match="/nothing/here"):
        packages.fetch(other, tmp_path)


def test_wheels_and_tarballs_open_as_well_and_nothing_leaves_the_folder(
    tmp_path: Path,
) -> None:
    wheel = tmp_path / "shouts.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("shouts/a.wav", wav(tone(0.2)))
        archive.writestr("../outside.wav", wav(tone(0.2)))
        archive.mkdir("shouts/empty")
    into = tmp_path / "into"
    assert packages.unpack(wheel, SHOUTS, into) == ["shouts/a.wav"]
    packed = tmp_path / "shouts.tgz"
    subprocess.run(["tar", "-czf", packed, "-C", into, "shouts"], check=True)
    assert packages.unpack(packed, SHOUTS, tmp_path / "again") == ["shouts/a.wav"]
    assert not (tmp_path / "outside.wav").exists()


def voice(**more: object) -> Voice:
    return Voice.model_validate(
        {
            "source": "espeak-ng",
            "engine": "espeak-ng",
            "lang": "id",
            "texts": "digits",
            "needs": ["espeak-ng"],
            "licence": "GPL-3+",
            "licence_read_in": "usr/share/doc/espeak-ng-data/copyright",
            **more,
        }
    )


def test_a_synthetic_voice_says_its_texts_and_whispers(tmp_path: Path) -> None:
    one = voice(voices=["f2", "whisper"])
    told = Material(package=(), voice=(one,), texts={"digits": ("112", "3 5")})
    made = gather.make(told, tmp_path, Console(quiet=True))
    assert {entry.kind for entry in made} == {"utterance", "whisper"}
    assert {entry.group for entry in made} >= {"espeak-ng:id+f2"}
    assert gather.make_voice(one, told.texts["digits"], tmp_path) == made


def test_a_missing_engine_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = voice(engine="festival", voices=["voice_x"], needs=["festival", "festvox-x"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MaterialError, match="apt-get install festival festvox-x"):
        spoken.speak(one, ["112"], tmp_path)


def test_an_engine_that_says_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("text2wave", "flite"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for engine in ("festival", "flite"):
        with pytest.raises(MaterialError, match="spoke nothing"):
            spoken.speak(voice(engine=engine, voices=["x"]), ["112"], tmp_path)


def test_the_command_makes_what_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Material(package=(SHOUTS,), voice=(voice(),), texts={"digits": ("112",)})
    monkeypatch.setattr(gather, "read_list", lambda _: told)
    gather.main(["shouts-data", "--folder", str(home)])
    assert {piece.entry.source for piece in cache.load(home)} == {"shouts"}
    assert gather._chosen(told, []) is told
    page = home / "page.md"
    page.write_text(f"# Material\n{gather.BELOW}an old table\n")
    gather.main(["shouts-data", "--folder", str(home), "--table", str(page)])
    assert "| shouts-data | GPL-2+ | ghost/music 0.1, speech/music 0.0 | hedg" in (
        page.read_text()
    )
    assert "old" not in page.read_text()
    page.write_text("# Material\n")
    with pytest.raises(SystemExit, match="Put it back"):
        gather.main(["shouts-data", "--folder", str(home), "--table", str(page)])
    monkeypatch.setitem(packages._CLIENTS, "debian", ("false",))
    lost = SHOUTS.model_copy(update={"name": "lost-data"})
    monkeypatch.setattr(gather, "read_list", lambda _: Material(package=(lost,)))
    with pytest.raises(SystemExit, match="could not be used"):
        gather.main(["--folder", str(home)])
