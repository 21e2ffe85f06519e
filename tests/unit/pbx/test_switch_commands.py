"""`gerbang ghostfilter off|shadow|on`: a file each, and nothing else is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pbx.__main__ import build
from pbx.settings import PROJECT, Settings, switch_files


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    city = tmp_path / "city.toml"
    city.write_text((PROJECT / "asterisk-config" / "city.toml").read_text())
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path / "var"))
    monkeypatch.setenv("GERBANG_CITY", str(city))
    return switch_files(Settings().asterisk_home)


def switch(word: str) -> tuple[int, str]:
    result = CliRunner().invoke(build(), ["ghostfilter", word])
    return result.exit_code, result.output


def test_off_shadow_and_on(files: dict[str, Path]) -> None:
    assert switch("off") == (
        0,
        "ghost filter off: every caller goes straight to the queue\n",
    )
    assert files["off"].exists()
    assert switch("shadow")[0] == 0
    assert files["shadow"].exists()
    assert not files["off"].exists()
    assert switch("on") == (0, "ghost filter on: it does what city.toml declares\n")
    assert not files["shadow"].exists()


def test_on_says_when_the_city_itself_declares_it_off(files: dict[str, Path]) -> None:
    city = Settings().city_file
    city.write_text(city.read_text().replace('mode = "on"', 'mode = "shadow"'))
    assert "city.toml declares it shadow: change mode in [flows.f" in switch("on")[1]
    city.write_text("what")  # of no concern here
    assert switch("on")[0] == 0


def test_a_switch_that_cannot_be_set_says_why(files: dict[str, Path]) -> None:
    files["off"].parent.parent.mkdir(parents=True)
    files["off"].parent.write_text("a file where the folder should be")
    code, said = switch("off")
    assert code == 1
    assert "asterisk: File exists; the switch is a file of the user who runs us" in said
