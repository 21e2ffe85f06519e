"""The private root, built for real from the machine's mirror (half a minute)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pbx.asterisk import root
from pbx.settings import Settings
from tests.fakes.processes import mounts_below

ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def children_left(group: int) -> list[int]:
    """Processes of that group which still run."""
    left = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) == group and process.status() not in ENDED:
                left.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return left


@pytest.mark.timeout(300)
def test_a_build_killed_half_way_is_no_root_and_the_next_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(root.OVERRIDE, raising=False)
    cache = tmp_path / "cache"
    settings = Settings(cache=cache)
    environment = os.environ | {"GERBANG_CACHE": str(cache)}
    script = (
        "import typer; from pbx.commands import install; app = typer.Typer(); "
        "install.register(app); app()"
    )
    argv = [sys.executable, "-c", script]

    first = subprocess.Popen(
        argv, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with first:
        assert first.stderr
        for line in first.stderr:
            if "downloading packages" in line:
                break
        os.killpg(first.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while left := children_left(first.pid):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)
    with pytest.raises(root.NotInstalled):
        root.find_root(settings)
    assert list(cache.glob("*.building"))

    subprocess.run(argv, env=environment, check=True, timeout=240)
    found = root.find_root(settings)
    assert tuple(map(int, found.version.split(".")[:2])) >= (22, 10)
    assert (found.base / "usr/share/asterisk/sounds").is_dir()
    assert not list(cache.glob("*.building"))
    assert not mounts_below(tmp_path)

    started = time.monotonic()
    subprocess.run(argv, env=environment, check=True, timeout=20)
    assert time.monotonic() - started < 5, "what is there costs next to nothing"
    shutil.rmtree(cache)  # pytest would keep its 300 MB for three runs
