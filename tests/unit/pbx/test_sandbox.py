"""The walls around Asterisk, as an argv; a real Asterisk behind them is in
tests/integration/test_engine.py."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from pbx.asterisk import sandbox
from pbx.asterisk.root import NotInstalled, Root

ROOT = Root(Path("/cache/root"), "22.10.1")


def argv(**wishes: object) -> str:
    """The command line for a home at /state/asterisk."""
    words = sandbox.command(
        ROOT,
        Path("/state/asterisk"),
        Path("/state/sounds"),
        **wishes,  # type: ignore[arg-type]
    )
    return " ".join(words)


def test_the_home_is_read_only_but_for_four_places() -> None:
    line = argv()
    assert "--ro-bind /state/asterisk /gerbang " in line
    for name in ("log", "spool", "run", "db"):
        assert f" --bind /state/asterisk/{name} /gerbang/{name} " in line
    assert line.count(" --bind ") == 4
    assert "--ro-bind /state/sounds /gerbang-sounds --remount-ro / " in line
    assert line.endswith("/usr/sbin/asterisk -fn -C /gerbang/current/asterisk.conf")


def test_every_privilege_goes_and_the_callers_environment_too() -> None:
    line = argv(user=sandbox.User(999, 995))
    assert "--cap-drop ALL" in line
    assert line.count("--cap-add") == 3
    assert "--clearenv" in line
    assert "--unshare-net" not in line
    assert "setpriv --reuid=999 --regid=995 --clear-groups --bounding-set=-all" in line
    assert "setpriv" not in argv()
    assert "--cap-add" not in argv()


def test_only_throw_away_ones_die_with_their_starter() -> None:
    assert "--die-with-parent" not in argv()
    assert "--die-with-parent" in argv(die_with_parent=True)


def test_the_machines_own_asterisk_gets_the_same_walls() -> None:
    line = " ".join(sandbox.isolation(Root(None, "22.9.0")))
    assert "--ro-bind /usr /usr" in line
    assert "--tmpfs / " in line


def test_only_root_needs_the_system_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert sandbox.service_user() is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sandbox, "USER", "gerbang-not-here")
    with pytest.raises(NotInstalled, match="run `gerbang install`"):
        sandbox.service_user()


def test_an_ordinary_users_home_stays_his(tmp_path: Path) -> None:
    sandbox.prepare_home(tmp_path / "home", None)
    journal = tmp_path / "home" / "log" / "cel-custom"
    assert journal.is_dir()
    assert journal.stat().st_uid == os.geteuid()
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "home" / "spool" / "monitor").is_dir()
    sandbox.prepare_home(tmp_path / "home", None)


def test_recordings_may_lie_behind_a_link_even_one_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "home" / "spool").mkdir(parents=True)
    monitor = tmp_path / "home" / "spool" / "monitor"
    monitor.symlink_to(tmp_path / "not-mounted")
    sandbox.prepare_home(tmp_path / "home", sandbox.service_user())
    assert monitor.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_link_out_of_a_release_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    release = tmp_path / "release"
    release.mkdir()
    (release / "file").touch()
    (release / "link").symlink_to(outside)
    sandbox.hand_over(release, sandbox.User(999, 995))
    assert (release / "file").stat().st_uid == 999
    assert (release / "link").lstat().st_uid == 999
    assert outside.stat().st_uid == 0


@pytest.mark.parametrize(
    ("hard", "capabilities", "expected"),
    [
        (1 << 20, "0", 65536),
        (65536, "0", 65536),
        (resource.RLIM_INFINITY, "0", 65536),
        (20000, "0", 20000),
        (20000, "1000000", 65536),
    ],
)
def test_open_files_are_as_many_as_allowed(
    monkeypatch: pytest.MonkeyPatch, hard: int, capabilities: str, expected: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, hard))
    monkeypatch.setattr(
        Path, "read_text", lambda _: f"Name:\tx\nCapEff:\t{capabilities}\n"
    )
    assert sandbox.open_files() == expected
