"""A real Asterisk behind our walls: who it is, what it can do, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from pbx.asterisk import run
from tests.fakes import processes
from tests.patience import until

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(60)]

ASTERISK_CONF = """\
[directories]
astetcdir => /gerbang/current
astdbdir => /gerbang/db
astspooldir => /gerbang/spool
astrundir => /gerbang/run
astlogdir => /gerbang/log
"""
LOGGER_CONF = """\
[general]
[logfiles]
console => warning,error
messages => warning,error
"""

_STRANGERS: set[int] = set()


@pytest.fixture(autouse=True)
def strangers() -> None:
    """Whatever earlier tests left to this pytest is none of ours."""
    _STRANGERS.clear()
    _STRANGERS.update(p.pid for p in psutil.Process().children(recursive=True))


def children(*, recursive: bool = False) -> list[psutil.Process]:
    """What this test has started."""
    found = processes.children(recursive=recursive)
    return [process for process in found if process.pid not in _STRANGERS]


MODULES_CONF = "[modules]\nautoload=no\n"


def configure(home: Path, user: run.User | None, modules: str = MODULES_CONF) -> Path:
    """The smallest home Asterisk boots on."""
    run.prepare_home(home, user)
    release = home / "releases" / "0001-test"
    release.mkdir()
    (release / "asterisk.conf").write_text(ASTERISK_CONF)
    (release / "modules.conf").write_text(modules)
    (release / "logger.conf").write_text(LOGGER_CONF)
    for file in release.iterdir():
        file.chmod(0o600)
    run.hand_over(release, user)
    (home / "current").symlink_to("releases/0001-test")
    return home


def _asterisk(
    root: run.Root, home: Path, sounds: Path, user: run.User | None
) -> run.Asterisk:
    """One that ends with us, should we be killed."""
    return run.Asterisk(root, home, sounds, user, die_with_parent=True)


@pytest.fixture
def home(tmp_path: Path, asterisk_user: run.User | None) -> Iterator[Path]:
    """Below a directory only we may enter, as a checkout in /root would be."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    (locked / "sounds").mkdir()
    home = configure(locked / "asterisk", asterisk_user)
    yield home
    if (pid := run.running_pid(home)) is not None:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
async def asterisk(
    home: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> AsyncIterator[run.Asterisk]:
    """Booted."""
    asterisk = _asterisk(asterisk_root, home, home.parent / "sounds", asterisk_user)
    await asterisk.start()
    try:
        await asterisk.wait_booted(20)
        yield asterisk
    finally:
        await asterisk.stop()


def status_of(pid: int) -> dict[str, str]:
    """/proc/<pid>/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}


def alive(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the processes that still do anything."""
    left = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


async def test_it_runs_as_its_own_user_without_any_capability(
    asterisk: run.Asterisk, asterisk_user: run.User | None
) -> None:
    pid = run.running_pid(asterisk.home)
    assert pid
    status = status_of(pid)
    uid = asterisk_user.uid if asterisk_user else os.getuid()
    assert status["Name"] == "asterisk"
    assert status["Uid"].split() == [str(uid)] * 4
    if asterisk_user:
        assert uid != 0
        assert status["Groups"] == ""
    for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    files = next(line.split() for line in limits if line.startswith("Max open files"))
    assert int(files[3]) >= 4096


async def test_the_console_answers(asterisk: run.Asterisk) -> None:
    version = await run.console(asterisk.home, "core show version")
    assert version.startswith(f"Asterisk {asterisk.root.version}")
    settings = await run.console(asterisk.home, "core show settings")
    assert "/gerbang/current" in settings
    assert len(settings.splitlines()) > 30
    assert "No such command" in await run.console(asterisk.home, "no such thing")


async def inside(
    asterisk_root: run.Root, home: Path, user: run.User | None, script: str
) -> str:
    """What a shell says in Asterisk's place: the same walls, the same user."""
    argv = run.command(asterisk_root, home, home.parent / "sounds", user=user)
    argv = [*argv[: argv.index("/usr/sbin/asterisk")], "/bin/sh", "-c", script]
    shell = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(shell.communicate(), 10)
    return out.decode()


@pytest.mark.parametrize(
    "place",
    [
        "/gerbang/current/asterisk.conf",
        "/gerbang/releases/new",
        "/gerbang/tls/key",
        "/gerbang/new",
        "/gerbang-sounds/greeting.wav",
        "/usr/sbin/asterisk",
        "/etc/passwd",
        "/new",
    ],
)
async def test_it_cannot_write_what_it_runs_on(
    asterisk_root: run.Root, home: Path, asterisk_user: run.User | None, place: str
) -> None:
    said = await inside(asterisk_root, home, asterisk_user, f"echo x >> {place}")
    assert "Read-only file system" in said or "Permission denied" in said


async def test_it_writes_its_own_places_and_sees_nothing_else(
    asterisk_root: run.Root, home: Path, asterisk_user: run.User | None
) -> None:
    script = """
    cd /gerbang
    for d in log/cel-custom spool run db; do echo here > $d/mark || exit 1; done
    cat /gerbang/current/asterisk.conf > /dev/null || exit 1
    ls -d /root /home /work /boot /opt 2>/dev/null
    ls /proc | grep -c '^[0-9]'
    """
    said = await inside(asterisk_root, home, asterisk_user, script)
    processes = int(said.split()[-1])
    assert said.split() == [str(processes)], "it sees a directory of the machine's"
    assert processes <= 5, "it sees the machine's processes"
    for name in ("log/cel-custom", "spool", "run", "db"):
        assert (home / name / "mark").read_text() == "here\n"


async def test_stopping_leaves_no_process_and_no_mount(
    home: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> None:
    asterisk = _asterisk(asterisk_root, home, home.parent / "sounds", asterisk_user)
    await asterisk.start()
    await asterisk.wait_booted(20)
    family = children(recursive=True)
    assert {"bwrap", "asterisk"} <= {process.name() for process in family}
    await asterisk.stop()
    assert asterisk.returncode == 0
    assert run.running_pid(home) is None
    await until(lambda: not alive(family))
    for folder in (home.parent, asterisk_root.base):
        assert not processes.mounts_below(folder)


async def test_a_stopped_asterisk_is_found_and_ended_all_the_same(
    asterisk: run.Asterisk,
) -> None:
    pid = run.running_pid(asterisk.home)
    assert pid
    os.kill(pid, signal.SIGSTOP)
    assert run.running_pid(asterisk.home) == pid
    with pytest.raises(run.AsteriskError, match="no answer in time"):
        await run.console(asterisk.home, "core show version", deadline_seconds=0.3)
    await asterisk.stop(deadline_seconds=3)
    assert asterisk.returncode != 0
    assert not psutil.pid_exists(pid)


def freeze() -> None:
    """Stop all that was started but bubblewrap itself, also what is born meanwhile."""
    frozen: set[int] = set()
    while new := [
        process
        for process in children(recursive=True)
        if process.pid not in frozen and process.ppid() != os.getpid()
    ]:
        for process in new:
            process.suspend()
            frozen.add(process.pid)


async def test_one_that_hangs_before_it_listens_is_ended_too(
    home: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> None:
    asterisk = _asterisk(asterisk_root, home, home.parent / "sounds", asterisk_user)
    for _ in range(20):
        await asterisk.start()
        await until(lambda: len(children(recursive=True)) >= 2)
        freeze()
        if run.running_pid(home) is None:
            break
        await asterisk.stop(deadline_seconds=3)  # it was quicker than we
    family = children(recursive=True)
    with pytest.raises(run.AsteriskError, match="did not boot in time"):
        await asterisk.wait_booted(0.3)
    await asterisk.stop(deadline_seconds=3)
    await until(lambda: not alive(family))


async def test_its_calls_go_on_when_whoever_started_it_is_killed(
    home: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> None:
    asterisk = run.Asterisk(asterisk_root, home, home.parent / "sounds", asterisk_user)
    await asterisk.start()
    await asterisk.wait_booted(20)
    (starter,) = children()
    starter.kill()
    await asyncio.wait_for(asterisk.wait(), 5)
    assert "Asterisk" in await run.console(asterisk.home, "core show version")
    await run.stop(asterisk.home)
    assert run.running_pid(asterisk.home) is None
    await asterisk.wait()  # it has said its last words: nobody listens any more


async def test_a_throw_away_one_dies_with_whoever_started_it(
    home: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> None:
    asterisk = run.Asterisk(
        asterisk_root,
        home,
        home.parent / "sounds",
        asterisk_user,
        die_with_parent=True,
    )
    await asterisk.start()
    await asterisk.wait_booted(20)
    (starter,) = children()
    starter.kill()
    await until(lambda: run.running_pid(home) is None)
    await asterisk.stop()


async def test_two_do_not_run_on_one_home(asterisk: run.Asterisk) -> None:
    second = run.Asterisk(asterisk.root, asterisk.home, asterisk.sounds, asterisk.user)
    with pytest.raises(run.AsteriskError, match="stop it first"):
        await second.start()
    await second.stop()
    with pytest.raises(run.AsteriskError, match="never started"):
        await second.wait()


async def test_a_home_may_lie_deeper_than_a_socket_address_is_long(
    tmp_path: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    (deep / "sounds").mkdir(parents=True)
    home = configure(deep / "asterisk", asterisk_user)
    asterisk = _asterisk(asterisk_root, home, deep / "sounds", asterisk_user)
    await asterisk.start()
    try:
        await asterisk.wait_booted(20)
    finally:
        await asterisk.stop()


async def test_a_configuration_it_cannot_boot_on_is_told_with_its_own_words(
    tmp_path: Path, asterisk_root: run.Root, asterisk_user: run.User | None
) -> None:
    (tmp_path / "sounds").mkdir()
    bad = MODULES_CONF + "require => nowhere.so\n"
    home = configure(tmp_path / "asterisk", asterisk_user, bad)
    heard: list[str] = []
    asterisk = run.Asterisk(
        asterisk_root, home, tmp_path / "sounds", asterisk_user, on_line=heard.append
    )
    await asterisk.start()
    with pytest.raises(run.AsteriskError) as failure:
        await asterisk.wait_booted(20)
    assert "ended at start; it said:" in str(failure.value)
    assert "nowhere.so" in str(failure.value)
    assert any("nowhere.so" in line for line in heard)
    await asterisk.stop()


async def test_nobody_on_the_console_is_an_error_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(run.AsteriskError, match=str(tmp_path)):
        await run.console(tmp_path, "core show version")
    assert run.running_pid(tmp_path) is None
    await run.stop(tmp_path)


async def test_without_bubblewrap_the_cure_is_told(
    home: Path,
    asterisk_root: run.Root,
    asterisk_user: run.User | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(home))
    asterisk = _asterisk(asterisk_root, home, home.parent / "sounds", asterisk_user)
    with pytest.raises(run.NotInstalled, match="gerbang install"):
        await asterisk.start()


HELPER = """
import asyncio, sys
from pathlib import Path
from pbx.asterisk import run

async def main():
    home = Path(sys.argv[2])
    root = run.Root(Path(sys.argv[1]), "")
    asterisk = run.Asterisk(root, home, home.parent / "sounds", run.service_user())
    await asterisk.start()
    await asterisk.wait_booted(20)
    print("booted", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_starter_that_hangs_costs_lines_never_the_asterisk(
    home: Path, asterisk_root: run.Root
) -> None:
    """A full pipe would block Asterisk's logger; ours does not block."""
    argv = [sys.executable, "-c", HELPER, str(asterisk_root.base), str(home)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as starter:
        try:
            assert starter.stdout
            assert await asyncio.to_thread(starter.stdout.readline) == "booted\n"
            starter.send_signal(signal.SIGSTOP)
            for number in range(600):  # each writes a line or two, 64 KB fill a pipe
                await run.console(home, f"module load nonsense{number:04d}-{'x' * 99}")
            messages = home / "log" / "messages"
            await until(lambda: "nonsense0599" in messages.read_text())
        finally:
            starter.kill()
    await run.stop(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="then all others show it")
def test_it_works_without_root_too(asterisk_root: run.Root) -> None:
    """As nobody, who is shown the root by a private mount."""
    nobody = 65534
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "root").mkdir()
        (place / "sounds").mkdir()
        home = configure(place / "asterisk", run.User(nobody, nobody))
        shutil.chown(home, nobody, nobody)
        argv = run.command(run.Root(place / "root", ""), home, place / "sounds")
        shown = f"mount --bind {asterisk_root.base} {place / 'root'} && exec "
        drop = f"setpriv --reuid={nobody} --regid={nobody} --clear-groups "
        drop += "--inh-caps=-all --bounding-set=-all "
        started = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", shown + drop + '"$@"', "sh", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with started:
            try:
                asyncio.run(_answers(home, started, nobody))
            finally:
                started.kill()


async def _answers(home: Path, started: subprocess.Popen[str], uid: int) -> None:
    await until(lambda: run.running_pid(home) or started.poll() is not None)
    pid = run.running_pid(home)
    assert pid, started.stdout.read() if started.stdout else ""
    assert status_of(pid)["Uid"].split()[0] == str(uid)
    assert int(status_of(pid)["CapEff"], 16) == 0
    assert "Asterisk has fully booted" in await run.console(
        home, "core waitfullybooted"
    )
    await run.stop(home)
