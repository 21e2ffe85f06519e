"""`gerbang check` and `gerbang render`: a wrong city never replaces a good one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pbx.asterisk import check, render
from pbx.asterisk.run import Root, find_root, service_user
from pbx.model.city import City, read_city
from pbx.settings import PROJECT, Settings
from tests.fakes.live_city import LiveCity, live_city

pytestmark = pytest.mark.asterisk

TEXT = (PROJECT / "asterisk-config" / "city.toml").read_text()
CITY = read_city(TEXT, source="city.toml")


@pytest.fixture
def root() -> Root:
    return find_root(Settings())


@pytest.fixture
async def live(tmp_path: Path, root: Root) -> AsyncIterator[LiveCity]:
    async with live_city(tmp_path, root, service_user()) as city:
        yield city


def gerbang(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "GERBANG_STATE": str(state),
        "GERBANG_CITY": str(state / "city.toml"),
        "COLUMNS": "200",
    }
    return subprocess.run(
        [sys.executable, "-m", "pbx", *arguments],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def tried(city: City, root: Root, tmp_path: Path) -> check.Trial:
    return await check.try_city(city, root, tmp_path / "sounds", user=service_user())


async def test_the_reference_city_is_good_and_quickly_so(
    root: Root, tmp_path: Path
) -> None:
    steps: list[str] = []
    (tmp_path / "sounds").mkdir()
    trial = await check.try_city(
        CITY, root, tmp_path / "sounds", user=service_user(), on_step=steps.append
    )
    assert trial.faults == []
    assert trial.seconds < 6
    assert len(steps) == 3


async def test_an_address_of_another_machine(root: Root, tmp_path: Path) -> None:
    network = CITY.network.model_copy(update={"sip_address": "203.0.113.9"})
    trial = await tried(CITY.model_copy(update={"network": network}), root, tmp_path)
    (fault,) = trial.faults
    assert "203.0.113.9 is not an address of this machine" in fault


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("modules.conf.j2", "autoload = no", "autoload = no\nload = nix.so", "nix.so"),
        ("pjsip.conf.j2", "identify_by = ip\n", "identify_by = ip\nnix = 1\n", "nix"),
        ("queues.conf.j2", "joinempty = yes", "joinempty = perhaps", "perhaps"),
        ("queues.conf.j2", "[{{ queue.name }}{{", "[x{{ queue.name }}{{",
         "does not know queue darurat"),
        ("extensions.conf.j2", "[waiting]", "[waitin]", "which does not exist"),
        ("extensions.conf.j2", "WaitForNoise(", "WaitForNois(",
         "does not know application WaitForNois"),
        ("manager.conf.j2", "[control]", "[controll]", "manager user control"),
        ("cel_custom.conf.j2", "format = json", "format = nix", "nix"),
    ],
)  # fmt: skip
async def test_what_asterisk_would_complain_of_is_found_before(
    root: Root,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    old: str,
    new: str,
    complaint: str,
) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(render.TEMPLATES, templates)
    text = (templates / file).read_text()
    assert old in text
    (templates / file).write_text(text.replace(old, new))
    monkeypatch.setattr(render, "TEMPLATES", templates)
    trial = await tried(CITY, root, tmp_path)
    assert any(complaint in fault for fault in trial.faults), trial.faults


async def test_an_asterisk_that_does_not_boot_is_a_fault(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(render.TEMPLATES, templates)
    (templates / "modules.conf.j2").write_text("[modules]\nautoload=no\nrequire=x.so\n")
    monkeypatch.setattr(render, "TEMPLATES", templates)
    trial = await tried(CITY, root, tmp_path)
    assert any("ended at start" in fault for fault in trial.faults)


def test_check_tells_file_line_and_cure(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(TEXT.replace('"darurat"\nprio', '"nix"\nprio'))
    done = gerbang(tmp_path, "check")
    assert done.returncode == 1
    line = TEXT.splitlines().index('queue = "darurat"') + 1
    assert f"{tmp_path / 'city.toml'}:{line}: numbers.0.queue: " in done.stderr
    assert "declared: cadangan, darurat" in done.stderr
    missing = gerbang(tmp_path, "check", str(tmp_path / "none.toml"))
    assert missing.returncode == 1
    assert "none.toml: cannot be read" in missing.stderr


def test_check_of_a_good_city(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(TEXT)
    done = gerbang(tmp_path, "check")
    assert done.returncode == 0, done.stderr
    assert "booted without a warning" in done.stdout
    assert not (tmp_path / "asterisk").exists()


async def test_render_reload_and_back_on_a_running_asterisk(live: LiveCity) -> None:
    state = live.settings.state
    good = live.settings.city_file.read_text()
    current = live.settings.asterisk_home / "current"
    assert gerbang(state, "render").returncode == 0
    before = current.readlink()

    live.settings.city_file.write_text(good.replace('flow = "filter0"', 'flow = "nix"'))
    assert gerbang(state, "render").returncode == 1
    assert current.readlink() == before

    live.settings.city_file.write_text(good)
    assert "nothing changed" in gerbang(state, "render").stdout

    patient = good.replace("overflow_after_seconds = 60", "overflow_after_seconds = 77")
    live.settings.city_file.write_text(patient)
    done = gerbang(state, "render")
    assert "extensions.conf: +2 -2" in done.stdout, done.stdout + done.stderr
    assert "the running Asterisk has reloaded it" in done.stdout
    plan = await live.console("dialplan show queue-darurat")
    assert "Queue(darurat,ric,,,77)" in plan

    listed = gerbang(state, "render", "--list").stdout.splitlines()
    assert [line.split("  ")[-1] for line in listed] == [
        listed[0].split("  ")[-1],
        "previous",
        "in force",
    ]
    back = gerbang(state, "render", "--back")
    assert "in force: 0002-" in back.stdout, back.stdout + back.stderr
    plan = await live.console("dialplan show queue-darurat")
    assert "Queue(darurat,ric,,,60)" in plan
    assert current.readlink() == before


def test_what_a_phone_needs(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(TEXT)
    early = gerbang(tmp_path, "render", "--phone", "101")
    assert early.returncode == 1
    assert "run `gerbang render`" in early.stderr
    assert gerbang(tmp_path, "render", "--no-boot").returncode == 0
    assert "auth_pass=" in gerbang(tmp_path, "render", "--phone", "101").stdout
    unknown = gerbang(tmp_path, "render", "--phone", "199")
    assert "declared: 101, 102, 103" in unknown.stderr


def test_the_rendering_for_review_carries_no_password(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(TEXT)
    folder = tmp_path / "rendered"
    folder.mkdir()
    (folder / "old.conf").write_text("; Rendered by `gerbang render` long ago\n")
    assert gerbang(tmp_path, "render", "--into", str(folder)).returncode == 0
    committed = PROJECT / "asterisk-config" / "rendered"
    assert {p.name: p.read_text() for p in folder.iterdir()} == {
        p.name: p.read_text() for p in committed.iterdir()
    }
    assert "nothing rendered yet" in gerbang(tmp_path, "render", "--list").stdout
    assert gerbang(tmp_path, "render", "--back").returncode == 1
