"""Building the private Debian root that holds Asterisk: once, whole or not at all.

mmdebstrap takes it from the mirror the machine's own apt uses. It grows beside its
place and is renamed into it when Asterisk has run in it, so a root that is there works.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pbx.asterisk.host import InstallError, Tell
from pbx.asterisk.root import RECIPE, Recipe, Root, private_root, version_in
from pbx.asterisk.sandbox import isolation
from pbx.settings import Settings

NEEDED_BYTES = 1_500_000_000
"""0.3 GB stay; packages and mmdebstrap's own copy need the rest meanwhile."""

_STAGES = (
    "automatically chosen mode",
    "running apt-get update",
    "downloading packages",
    "extracting archives",
    "installing essential packages",
    "installing remaining packages",
    "cleaning package lists",
    "creating tarball",
)
"""What mmdebstrap says on its way, in this order."""


def build_root(settings: Settings, tell: Tell) -> Root:
    """The private root of today's recipe, built unless it is there already.

    Two builders do not collide: the second waits and finds the work done. Raises
    InstallError with the cause and the cure; the log stays in `asterisk-build.log`.
    """
    path = private_root(settings)
    if version := version_in(path):
        return Root(path, version)
    _check_disk(settings.cache)
    with _only_builder(settings.cache, tell):
        if version := version_in(path):
            return Root(path, version)
        _check_tools()
        scratch = path.with_suffix(".building")
        shutil.rmtree(scratch, ignore_errors=True)  # what a killed build left
        try:
            for part in ("root", "tmp"):
                (scratch / part).mkdir(parents=True)
            _bootstrap(RECIPE, scratch, settings.cache / "asterisk-build.log", tell)
            version = _proven(scratch / "root")
            os.sync()  # after a power cut: a whole root or none
            (scratch / "root").rename(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Root(path, version)


def _check_disk(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache).free
    except OSError as error:
        raise InstallError(
            f"the cache {cache} cannot be made ({error.strerror}); "
            f"set GERBANG_CACHE to a place you may write"
        ) from error
    if free < NEEDED_BYTES:
        raise InstallError(
            f"the disk of {cache} has {free / 1e9:.1f} GB left and building Asterisk "
            f"takes {NEEDED_BYTES / 1e9:.1f} GB; free some space, or set GERBANG_CACHE "
            f"to a larger disk"
        )


@contextlib.contextmanager
def _only_builder(cache: Path, tell: Tell) -> Iterator[None]:
    with (cache / "asterisk-build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another build of the same root", 0.0)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_tools() -> None:
    for program in ("mmdebstrap", "bwrap", "tar"):
        if shutil.which(program) is None:
            raise InstallError(
                f"{program} is missing; run `gerbang install` as root, it installs it"
            )
    if os.geteuid() == 0:
        return
    allowed = subprocess.run(
        ["unshare", "--user", "--map-root-user", "true"],
        capture_output=True,
        check=False,
    )
    if allowed.returncode != 0:
        raise InstallError(
            "this kernel gives ordinary users no namespaces, so only root can build "
            "and run the private Asterisk; run as root, or allow them with "
            "`sysctl kernel.unprivileged_userns_clone=1`"
        )


def debian_mirror() -> str:
    """The Debian archive this machine's apt uses. Raises InstallError without one."""
    for attempt in (1, 2):
        listed = subprocess.run(
            [
                *("apt-get", "indextargets", "--format"),
                *("$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        for line in listed.stdout.splitlines():
            origin, label, address = line.split("|", 2)
            if (origin, label) == ("Debian", "Debian"):
                return address
        if attempt == 1 and os.geteuid() == 0:  # images often come without apt's lists
            subprocess.run(
                ["apt-get", "-q", "update"], capture_output=True, check=False
            )
    raise InstallError(
        "this machine's apt knows no Debian mirror; add one to its sources and run "
        "`apt-get update`, or use the machine's own Asterisk, 22.9 or newer, with "
        "GERBANG_ASTERISK_ROOT=/"
    )


def _bootstrap(recipe: Recipe, scratch: Path, log: Path, tell: Tell) -> None:
    """Mmdebstrap's tar stream, unpacked without its owners: nobody in there matters."""
    argv = [
        *("mmdebstrap", f"--variant={recipe.variant}", "--format=tar"),
        # A mirror's snapshot may carry an expired Release file; signatures still count.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Retries "3"',
        f"--include={','.join(recipe.packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.without),
        *(recipe.suite, "-", debian_mirror()),
    ]
    unpack = [
        "tar",
        "-x",
        "--no-same-owner",
        "--exclude=./dev/*",
        "-C",
        str(scratch / "root"),
    ]
    tell("building Asterisk", 0.0)
    with (
        log.open("w", errors="replace") as story,
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=False,
            env=os.environ | {"LC_ALL": "C", "TMPDIR": _roomy(scratch)},
        ) as maker,
        subprocess.Popen(
            unpack, stdin=maker.stdout, stdout=subprocess.DEVNULL, stderr=story
        ) as tar,
    ):
        try:
            assert maker.stdout and maker.stderr  # noqa: S101, PT018 - both are pipes
            maker.stdout.close()  # tar's alone: if tar dies, mmdebstrap hears of it
            for raw in maker.stderr:
                line = raw.decode(errors="replace").rstrip()
                print(line, file=story, flush=True)  # noqa: T201 - to the log
                _tell_stage(line, tell)
        except BaseException:
            maker.terminate()
            raise
    if maker.returncode or tar.returncode:
        raise InstallError(_build_fault(log))


def _roomy(scratch: Path) -> str:
    """Where mmdebstrap may put 0.5 GB; its unprivileged mode needs a public place."""
    if os.geteuid() == 0:
        return str(scratch / "tmp")
    return os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - mmdebstrap makes its own


def _tell_stage(line: str, tell: Tell) -> None:
    for number, stage in enumerate(_STAGES):
        if stage in line:
            tell(f"building Asterisk: {stage}", number / len(_STAGES))


_CAUSES = (
    (
        ("No space left", "enough free space"),
        "the disk is full; free 1.5 GB, or set GERBANG_CACHE to a larger disk",
    ),
    (
        ("NO_PUBKEY", "is not signed"),
        "the mirror's signature is unknown here; `apt-get install "
        "debian-archive-keyring` and try again",
    ),
    (
        ("Unable to locate package", "does not have a Release file"),
        f"the mirror carries no Debian {RECIPE.suite} with Asterisk; let apt's sources "
        "name a full Debian mirror",
    ),
    (
        ("Could not resolve", "Failed to fetch", "Could not connect", "Err:"),
        "the Debian mirror does not answer; check the network and apt's sources",
    ),
    (
        ("unshare", "newuidmap", "Operation not permitted"),
        "this place allows no namespaces or mounts (a container?); run as root on the "
        "machine itself, or in a privileged container",
    ),
)


def _build_fault(log: Path) -> str:
    story = log.read_text(errors="replace")
    for signs, cure in _CAUSES:
        if any(sign in story for sign in signs):
            return f"Asterisk could not be built: {cure}. The whole story: {log}"
    lines = story.splitlines() or ["nothing was said"]
    reason = next((line for line in lines if line.startswith("E: ")), lines[-1])
    return f"Asterisk could not be built: {reason}. The whole story: {log}"


def _proven(path: Path) -> str:
    """The version of the root, if the Asterisk in it runs behind our walls."""
    version = version_in(path)
    if version is None:
        raise InstallError(f"Debian {RECIPE.suite} came without Asterisk; try again")
    ran = subprocess.run(
        [*isolation(Root(path, version)), "/usr/sbin/asterisk", "-V"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if ran.returncode != 0:
        raise InstallError(
            f"Asterisk {version} was built but does not run here: "
            f"{ran.stderr.strip() or 'no reason given'}; `gerbang doctor` looks closer"
        )
    return version
