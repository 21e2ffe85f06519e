"""The production units: systemd takes them, and they keep our promises."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pbx import heartbeat
from pbx.settings import PROJECT
from pbx.supervisor.watch import BEAT_SECONDS

UNITS = PROJECT / "asterisk-config" / "systemd"
PYTHON = (
    "gerbang-intake@.service",
    "gerbang-recorder.service",
    "gerbang-control.service",
    "gerbang-feed.service",
)
INSTALLED = "/opt/gerbang112"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not here; apt-get install systemd",
)


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Section → setting → its values, in order (systemd allows several)."""
    sections: dict[str, dict[str, list[str]]] = {}
    for row in (UNITS / name).read_text().splitlines():
        if row.startswith("["):
            current = sections.setdefault(row.strip("[]"), {})
        elif row and not row.startswith("#"):
            key, _, value = row.partition("=")
            current.setdefault(key, []).append(value)
    return sections


@pytest.fixture
def as_installed(tmp_path: Path) -> Path:
    """The units as if this checkout lay in /opt/gerbang112."""
    program = tmp_path / "opt" / ".venv" / "bin" / "gerbang"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    units = tmp_path / "units"
    units.mkdir()
    for path in UNITS.iterdir():
        text = path.read_text().replace(INSTALLED, str(tmp_path / "opt"))
        (units / path.name).write_text(text)
    (units / "gerbang-intake@0.service").symlink_to("gerbang-intake@.service")
    return units


@needs_systemd
def test_systemd_takes_every_unit(as_installed: Path) -> None:
    names = ["gerbang.target", "gerbang-asterisk.service", "gerbang-intake@0.service"]
    names += [name for name in PYTHON if "@" not in name]
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(as_installed / n for n in names)],
        capture_output=True,
        text=True,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{as_installed}:"},
        timeout=60,
    )
    ours = [row for row in told.stderr.splitlines() if "gerbang" in row]
    assert ours == []
    assert told.returncode == 0, told.stderr


@needs_systemd
def test_systemd_complains_where_it_should(as_installed: Path) -> None:
    """That the test above can fail."""
    path = as_installed / "gerbang-control.service"
    path.write_text(path.read_text().replace("WatchdogSec=3", "WatchdogSecs=3"))
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path],
        capture_output=True,
        text=True,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{as_installed}:"},
        timeout=60,
    )
    assert "WatchdogSecs" in told.stderr


@needs_systemd
@pytest.mark.parametrize(
    ("name", "exposure"),
    [("gerbang-control", 25), ("gerbang-feed", 25), ("gerbang-asterisk", 55)],
)
def test_the_walls_stand(as_installed: Path, name: str, exposure: int) -> None:
    told = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=yes", "--no-pager"),
            *(f"--threshold={exposure}", as_installed / f"{name}.service"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stdout[-400:] + told.stderr


@pytest.mark.parametrize("name", PYTHON)
def test_a_hung_process_is_killed_as_the_contract_says(name: str) -> None:
    service = unit(name)["Service"]
    assert service["Type"] == ["notify"]
    assert service["NotifyAccess"] == ["main"]
    assert service["WatchdogSec"] == [f"{BEAT_SECONDS:.0f}"]
    assert service["WatchdogSignal"] == ["SIGKILL"]
    assert heartbeat.PERIOD_SECONDS * 3 < BEAT_SECONDS


def test_everything_is_restarted_for_ever() -> None:
    for name in (*PYTHON, "gerbang-asterisk.service"):
        told = unit(name)
        assert told["Service"]["Restart"] == ["always"], name
        assert told["Service"]["RestartSec"] == ["100ms"], name
        assert told["Unit"]["StartLimitIntervalSec"] == ["0"], name


def test_nothing_of_ours_can_take_asterisk_down() -> None:
    binding = {"Requires", "Requisite", "BindsTo", "PartOf", "Conflicts", "Upholds"}
    assert not binding & set(unit("gerbang-asterisk.service")["Unit"])
    for path in UNITS.iterdir():
        told = unit(path.name)["Unit"]
        for setting in (binding - {"PartOf"}) | {"PropagatesStopTo"}:
            assert setting not in told, path.name


def test_asterisks_own_walls_can_be_built() -> None:
    """bubblewrap needs these namespaces, and mounts its own /proc."""
    service = unit("gerbang-asterisk.service")["Service"]
    allowed = set(service["RestrictNamespaces"][0].split())
    assert allowed >= {"user", "mnt", "pid", "ipc", "uts"}
    assert not {"ProtectProc", "ProtectKernelTunables", "ProcSubset"} & set(service)


def test_the_target_wants_each_unit() -> None:
    wanted = " ".join(unit("gerbang.target")["Unit"]["Wants"]).split()
    plain = {w.replace("@0.", "@.").replace("@1.", "@.") for w in wanted}
    assert plain == {*PYTHON, "gerbang-asterisk.service"}
