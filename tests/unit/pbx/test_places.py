"""A file the user wants in an impossible place: path, reason and cure; no traceback."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pbx.__main__ import build
from pbx.commands.places import must_take_a_file, must_take_files, writing
from pbx.settings import PROJECT

EXPORT = "records export --from 2025-04-01 --to 2025-05-01 --format csv --out"
ACCESS = "privacy access 081234567890 --reason letter --out"
JUDGE = "ghostfilter evaluate {tmp}/corpus"
FILES = (
    "report 2025-04 --html",
    "report 2025-04 --pdf",
    EXPORT,
    ACCESS,
    "records schema --out",
    f"{JUDGE} --page",
    "ghostfilter rivals {tmp}/corpus --write",
)
FOLDERS = (
    "report 2025-04 --out",
    "records synthesize --from 2025-04 --to 2025-04 --out",
    "render --into",
    f"{JUDGE} --dialogue --write",
)
PLACES = ("/proc/self/nowhere", "{tmp}/file/below", "")
REBUILD = "records rebuild --journal {tmp} --database sqlite:///"


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state of our own, a file where a folder should be, a corpus without a clip."""
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("GERBANG_CITY", str(PROJECT / "asterisk-config/city.toml"))
    (tmp_path / "file").write_text("taken")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "manifest.csv").write_text("path,label,class\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    yield
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def refused(words: str, tmp_path: Path) -> str:
    command = words.format(tmp=tmp_path).split(" ")
    done = CliRunner().invoke(build([command[0]]), [word or "/" for word in command])
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), done.exception
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("words", FILES)
def test_a_file(words: str, place: str, tmp_path: Path) -> None:
    told = refused(f"{words} {place}", tmp_path)
    assert told.startswith(place.format(tmp=tmp_path) or "/")
    assert ": not written: " in told
    assert "name another place" in told or "name a file in it" in told


@pytest.mark.parametrize("place", PLACES[:2])
def test_a_picture(place: str, tmp_path: Path) -> None:
    told = refused(f"ghostfilter explain a.wav --out {place}/a.png", tmp_path)
    assert told.startswith(f"{place.format(tmp=tmp_path)}/a.png: not written: ")


@pytest.mark.parametrize("place", PLACES[:2])
@pytest.mark.parametrize("words", FOLDERS)
def test_a_folder(words: str, place: str, tmp_path: Path) -> None:
    told = refused(f"{words} {place}", tmp_path)
    assert told.startswith(place.format(tmp=tmp_path))
    assert ": not written: " in told
    assert "name another place" in told


@pytest.mark.parametrize("place", PLACES[:2])
def test_a_store_in_a_file(place: str, tmp_path: Path) -> None:
    shutil.copy(
        PROJECT / "tests/replay/key-connected/journal.jsonl",
        tmp_path / "file",
    )
    told = refused(f"{REBUILD}{place}", tmp_path)
    assert told.startswith(place.format(tmp=tmp_path))
    assert ": not written: " in told


def test_what_is_written_into_a_foreign_folder_takes_nothing_there(
    tmp_path: Path,
) -> None:
    """`--into /etc` once would have removed every *.conf there."""
    folder = tmp_path / "corpus"
    (folder / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    told = refused(f"render --into {folder}", tmp_path)
    assert told.startswith(f"{folder}: resolv.conf there is not ours")
    assert [path.name for path in folder.glob("*.conf")] == ["resolv.conf"]
    (folder / "resolv.conf").unlink()


def test_what_is_there_and_no_schema_is_left(tmp_path: Path) -> None:
    told = refused(f"records schema --out {tmp_path}/file", tmp_path)
    assert "no JSON Schema" in told
    assert (tmp_path / "file").read_text() == "taken"


def test_a_place_that_takes_it_is_left_as_it_is(tmp_path: Path) -> None:
    must_take_a_file(tmp_path / "new")
    must_take_a_file(tmp_path / "file")
    must_take_a_file(tmp_path / "a" / "b" / "new", makes_folders=True)
    must_take_files(tmp_path / "corpus")
    must_take_files(tmp_path / "a" / "b")
    with pytest.raises(typer.Exit):
        must_take_a_file(tmp_path / "a" / "b" / "new")


def test_a_disk_that_fills_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), writing(Path("out.csv")):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert capsys.readouterr().err == (
        "out.csv: not written: No space left on device; make room there, or name "
        "another place\n"
    )
