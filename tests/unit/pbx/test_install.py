"""Installing: every way it can fail tells one sentence with the cure.

The programs it calls are shell scripts on a PATH of their own; the real build is in
tests/integration/test_build.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pbx.asterisk import host, install, root
from pbx.asterisk.host import InstallError
from pbx.settings import Settings

STATUS = """\
Package: adduser
Version: 3.134

Package: asterisk
Status: install ok installed
Version: 1:22.10.1+dfsg-1

Package: asterisk-modules
Version: 1:99.0
"""


class Tools:
    """A PATH that holds what the test puts on it, and a few harmless programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("sh", "cat", "tar", "true", "mkdir", "echo", "timeout", "sleep"):
            found = shutil.which(name)
            assert found
            (folder / name).symlink_to(found)
        self.add("bwrap", "echo Asterisk")
        self.add("apt-get", "echo 'Debian|Debian|http://mirror.invalid/debian'")
        self.add("unshare", "exit 0")

    def add(self, name: str, script: str) -> None:
        program = self.folder / name
        program.unlink(missing_ok=True)
        program.write_text(
            f'#!/bin/sh\necho "$0 $*" >> {self.folder}/calls\n{script}\n'
        )
        program.chmod(0o755)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def makes_a_root(self, version: str = "1:22.10.1+dfsg-1") -> None:
        """Let mmdebstrap send a small tar with an Asterisk of that version."""
        tree = self.folder.parent / "tree"
        (tree / "usr/sbin").mkdir(parents=True, exist_ok=True)
        (tree / "usr/sbin/asterisk").touch()
        (tree / "var/lib/dpkg").mkdir(parents=True, exist_ok=True)
        status = STATUS.replace("1:22.10.1+dfsg-1", version)
        (tree / "var/lib/dpkg/status").write_text(status)
        lines = "".join(f"echo 'I: {s}...' >&2\n" for s in install._STAGES)
        self.add("mmdebstrap", f"{lines}tar -c -C {tree} .")

    @property
    def calls(self) -> str:
        return (self.folder / "calls").read_text()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    tools = Tools(tmp_path / "path")
    monkeypatch.setenv("PATH", str(tools.folder))
    monkeypatch.delenv(root.OVERRIDE, raising=False)
    return tools


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path / "var", cache=tmp_path / "cache")


def quiet(_doing: str, _done: float) -> None: ...


def test_a_root_is_built_proven_and_kept(tools: Tools, settings: Settings) -> None:
    tools.makes_a_root()
    told: list[tuple[str, float]] = []
    made = install.build_root(settings, lambda *step: told.append(step))
    assert made == root.Root(root.private_root(settings), "22.10.1")
    assert root.find_root(settings) == made
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert "installing remaining packages" in told[-3][0]
    assert "--include=asterisk,asterisk-modules" in tools.calls
    assert "forky - http://mirror.invalid/debian" in tools.calls
    assert "/usr/sbin/asterisk -V" in tools.calls
    leftovers = {path.name for path in settings.cache.iterdir()}
    assert leftovers == {made.base.name, "asterisk-build.log", "asterisk-build.lock"}

    tools.add("mmdebstrap", "exit 1")  # it is not asked again
    assert install.build_root(settings, quiet) == made


def test_another_recipe_is_another_root() -> None:
    assert root.Recipe(edition=2).key != root.Recipe().key
    assert root.Recipe(packages=("asterisk",)).key != root.Recipe().key


def test_what_a_killed_build_left_is_cleaned(tools: Tools, settings: Settings) -> None:
    tools.makes_a_root()
    path = root.private_root(settings)
    left = path.with_suffix(".building") / "root" / "usr"
    left.mkdir(parents=True)
    (left / "half").touch()
    made = install.build_root(settings, quiet)
    assert not (made.base / "usr" / "half").exists()
    assert not path.with_suffix(".building").exists()


def test_two_builders_do_not_collide(tools: Tools, settings: Settings) -> None:
    tools.makes_a_root()
    script = (tools.folder / "mmdebstrap").read_text().split("\n", 2)[2]
    tools.add("mmdebstrap", f"sleep 0.5\n{script}")
    told: list[str] = []
    made: list[root.Root] = []

    def build() -> None:
        made.append(install.build_root(settings, lambda doing, _: told.append(doing)))

    builders = [threading.Thread(target=build) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(made) == 2
    assert made[0] == made[1]
    assert tools.calls.count("--include=") == 1
    assert "waiting for another build of the same root" in told


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("E: Failed to fetch http://x  Could not resolve 'x'", "check the network"),
        ("tar: write error: No space left on device", "the disk is full"),
        ("W: GPG error: NO_PUBKEY 123", "apt-get install debian-archive-keyring"),
        ("E: Unable to locate package asterisk", "name a full Debian mirror"),
        ("E: unshare(CLONE_NEWNS): Operation not permitted", "privileged container"),
        ("E: something new", "E: something new"),
        ("", "tar: "),
    ],
)
def test_a_failed_build_names_the_cause_and_the_log(
    tools: Tools, settings: Settings, said: str, cure: str
) -> None:
    speech = f'echo "{said}" >&2' if said else ""
    tools.add("mmdebstrap", f"{speech}\nexit 25")
    with pytest.raises(InstallError) as failure:
        install.build_root(settings, quiet)
    assert cure in str(failure.value)
    log = settings.cache / "asterisk-build.log"
    assert f"The whole story: {log}" in str(failure.value)
    assert said in log.read_text()
    assert not root.private_root(settings).exists()
    assert not list(settings.cache.glob("*.building"))


def test_tar_that_fails_is_a_failed_build_too(tools: Tools, settings: Settings) -> None:
    tools.makes_a_root()
    tools.add("tar", "cat > /dev/null; echo 'No space left on device' >&2; exit 2")
    tools.add("mmdebstrap", "echo data")
    with pytest.raises(InstallError, match="the disk is full"):
        install.build_root(settings, quiet)


def test_a_root_without_asterisk_is_not_kept(tools: Tools, settings: Settings) -> None:
    tools.makes_a_root()
    (tools.folder.parent / "tree/usr/sbin/asterisk").unlink()
    with pytest.raises(InstallError, match="came without Asterisk"):
        install.build_root(settings, quiet)
    assert not root.private_root(settings).exists()


def test_a_root_that_does_not_run_here_is_not_kept(
    tools: Tools, settings: Settings
) -> None:
    tools.makes_a_root()
    tools.add("bwrap", "echo 'No permissions to create new namespace' >&2; exit 1")
    with pytest.raises(InstallError, match="No permissions to create new namespace"):
        install.build_root(settings, quiet)
    assert not root.private_root(settings).exists()


def test_a_small_disk_is_told_before_anything_is_fetched(
    tools: Tools, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "NEEDED_BYTES", 1 << 60)
    with pytest.raises(InstallError, match=r"GB left .* GERBANG_CACHE"):
        install.build_root(settings, quiet)
    assert not (tools.folder / "calls").exists()


def test_a_cache_that_cannot_be_made_is_told(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InstallError, match="set GERBANG_CACHE"):
        install.build_root(Settings(cache=tmp_path / "file" / "cache"), quiet)


@pytest.mark.parametrize("program", ["mmdebstrap", "bwrap"])
def test_missing_tools_are_named(
    tools: Tools, settings: Settings, program: str
) -> None:
    tools.makes_a_root()
    tools.remove(program)
    with pytest.raises(InstallError, match=f"{program} is missing; run `gerbang"):
        install.build_root(settings, quiet)


def test_a_kernel_without_namespaces_for_users_is_told(
    tools: Tools, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.makes_a_root()
    tools.add("unshare", "exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InstallError, match="unprivileged_userns_clone=1"):
        install.build_root(settings, quiet)
    tools.add("unshare", "exit 0")
    assert install.build_root(settings, quiet).version == "22.10.1"


def test_a_machine_without_a_debian_mirror_is_told(
    tools: Tools, settings: Settings
) -> None:
    tools.makes_a_root()
    tools.add("apt-get", "echo 'Ubuntu|Ubuntu|http://other.invalid'")
    with pytest.raises(InstallError, match="apt knows no Debian mirror"):
        install.build_root(settings, quiet)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may update apt's lists")
def test_apts_lists_are_fetched_if_the_image_came_without(tools: Tools) -> None:
    lists = tools.folder / "lists"
    tools.add(
        "apt-get",
        f"""case "$*" in
          *update*) echo 'Debian|Debian|http://late.invalid' > {lists} ;;
          *) [ ! -e {lists} ] || cat {lists} ;;
        esac""",
    )
    assert install.debian_mirror() == "http://late.invalid"


def test_the_security_archive_is_not_taken_for_the_archive(tools: Tools) -> None:
    tools.add(
        "apt-get",
        "echo 'Debian|Debian-Security|http://s.invalid'\n"
        "echo 'Debian|Debian|http://d.invalid'",
    )
    assert install.debian_mirror() == "http://d.invalid"


# --- which Asterisk ---


def fake_root(path: Path, status: str = STATUS) -> Path:
    (path / "usr/sbin").mkdir(parents=True)
    (path / "usr/sbin/asterisk").touch()
    (path / "var/lib/dpkg").mkdir(parents=True)
    (path / "var/lib/dpkg/status").write_text(status)
    return path


def test_without_any_asterisk_the_cure_is_told(
    tools: Tools, settings: Settings
) -> None:
    with pytest.raises(root.NotInstalled, match="run `gerbang install`"):
        root.find_root(settings)


def test_another_root_may_be_named(
    tools: Tools, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(root.OVERRIDE, str(tmp_path / "other"))
    with pytest.raises(root.NotInstalled, match=f"{root.OVERRIDE}=.*holds none"):
        root.find_root(settings)
    path = fake_root(tmp_path / "other")
    assert root.find_root(settings) == root.Root(path, "22.10.1")


def test_too_old_an_asterisk_is_refused(
    tools: Tools, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_root(tmp_path / "old", STATUS.replace("22.10.1", "22.8.2"))
    monkeypatch.setenv(root.OVERRIDE, str(tmp_path / "old"))
    with pytest.raises(
        root.NotInstalled, match=r"22\.8\.2 .* too old, 22\.9 is needed"
    ):
        root.find_root(settings)


@pytest.mark.parametrize("damage", ["", "Package: asterisk\nStatus: x\n"])
def test_a_root_whose_package_list_is_damaged_holds_none(
    tmp_path: Path, damage: str
) -> None:
    assert root.version_in(fake_root(tmp_path / "root", damage)) is None
    (tmp_path / "root/var/lib/dpkg/status").unlink()
    assert root.version_in(tmp_path / "root") is None


def test_the_machines_own_asterisk_may_be_used(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "asterisk"
    program.write_text("#!/bin/sh\necho Asterisk 22.9.0~dfsg-1\n")
    program.chmod(0o755)
    monkeypatch.setenv(root.OVERRIDE, "/")
    monkeypatch.setattr(root.shutil, "which", lambda *_, **__: str(program))
    assert root.find_root(settings) == root.Root(None, "22.9.0")
    assert root.find_root(settings).base == Path("/")
    monkeypatch.setattr(root.shutil, "which", lambda *_, **__: None)
    with pytest.raises(root.NotInstalled, match="machine's own Asterisk, but there is"):
        root.find_root(settings)


# --- the machine's packages and user ---


def test_what_is_there_is_not_missing(tools: Tools, tmp_path: Path) -> None:
    tools.add("mmdebstrap", "")
    names = {package.name for package in host.missing(tests=False)}
    assert names == {"espeak-ng", "util-linux"}
    everything = {package.name for package in host.missing(tests=True)}
    assert {"baresip-core", "sip-tester", "linphone-cli"} <= everything
    bin_folder = tmp_path / "postgresql" / "15" / "bin"
    bin_folder.mkdir(parents=True)
    database = host.Package("p", f"{tmp_path}/postgresql/*/bin/postgres", "")
    assert not database.is_here
    (bin_folder / "postgres").touch()
    assert database.is_here


GIVEN = [host.Package("one", "one", "first"), host.Package("two", "two", "second")]


def as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    config = tmp_path / "etc" / "postgresql-common" / "createcluster.d"
    config.parent.parent.mkdir()
    monkeypatch.setattr(host, "POSTGRES_CONFIG", config)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return config


def test_packages_come_with_apt_and_nothing_else_changes(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = as_root(monkeypatch, tmp_path)
    wish = config / "gerbang112.conf"
    tools.add(
        "apt-get",
        f"""case "$*" in *install*) cat {wish} > {tmp_path}/seen ;; esac
        echo dlstatus:1:20.5:Retrieving; echo pmstatus:one:60:Unpacking
        echo pmstatus:one:strange:x; echo Done""",
    )
    told: list[tuple[str, float]] = []
    host.install_packages(GIVEN, lambda *step: told.append(step))
    assert ("installing one, two", 0.205) in told
    assert ("installing one, two", 0.6) in told
    assert "install --yes --no-install-recommends one two" in tools.calls
    assert (tmp_path / "seen").read_text() == "create_main_cluster = false\n"
    assert not config.parent.exists(), "the wish was for this installation only"
    host.install_packages([], quiet)
    assert tools.calls.count("install --yes") == 1


def test_a_machine_with_its_own_postgresql_is_left_alone(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = as_root(monkeypatch, tmp_path)
    config.parent.mkdir()
    tools.add("apt-get", f"[ ! -e {config} ]")
    host.install_packages(GIVEN, quiet)


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("E: Could not get lock /var/lib/dpkg/lock", "another apt is at work"),
        ("Err:1 http://x Could not resolve", "the Debian mirror does not answer"),
        ("E: You don't have enough free space in /var", "the disk is full"),
        ("E: Unable to locate package two", "yourself to see more"),
        ("", "it said nothing"),
    ],
)
def test_apts_failures_come_with_a_cure(
    tools: Tools,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    cure: str,
) -> None:
    config = as_root(monkeypatch, tmp_path)
    tools.add("apt-get", f'echo "{said}"; exit 100' if said else "exit 100")
    with pytest.raises(InstallError) as failure:
        host.install_packages(GIVEN, quiet)
    assert cure in str(failure.value)
    assert not config.exists()


def test_only_root_installs_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InstallError, match="as root, run `apt-get install .*one two`"):
        host.install_packages(GIVEN, quiet)


def test_a_machine_without_apt_is_told(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_root(monkeypatch, tmp_path)
    tools.remove("timeout")
    with pytest.raises(InstallError, match="is this Debian"):
        host.install_packages(GIVEN, quiet)


def test_asterisks_user_is_made_once(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "USER", "gerbang-not-here")
    tools.add("useradd", "exit 0")
    host.ensure_user()
    assert "--system" in tools.calls
    assert "/usr/sbin/nologin gerbang-not-here" in tools.calls
    tools.add("useradd", "echo 'cannot lock /etc/passwd' >&2; exit 1")
    with pytest.raises(InstallError, match="cannot lock /etc/passwd"):
        host.ensure_user()
    monkeypatch.setattr(host, "USER", "root")
    host.ensure_user()


# --- the command ---


def gerbang(*arguments: str) -> tuple[int, str, str]:
    import typer

    from pbx.commands import doctor
    from pbx.commands import install as command

    app = typer.Typer()
    command.register(app)
    doctor.register(app)
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(host, "user_exists", lambda: False)
    monkeypatch.setattr(host, "ensure_user", lambda: None)
    return tmp_path


def test_check_says_what_is_missing_and_changes_nothing(
    tools: Tools, at_home: Path
) -> None:
    code, out, _ = gerbang("install", "--check", "--dev")
    assert code == 1
    assert "missing: espeak-ng: speaks prompts nobody has recorded yet" in out
    assert "missing: there is no Asterisk" in out
    assert out.splitlines()[-1] == "cure: gerbang install --dev"
    assert not (at_home / "cache").exists()


def test_install_installs_and_check_is_content(
    tools: Tools, at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.makes_a_root()
    for name in ("espeak-ng", "prlimit"):
        tools.add(name, "")
    code, out, err = gerbang("install")
    assert code == 0
    assert "Asterisk 22.10.1 is ready in " in out
    assert "building Asterisk: downloading packages" in err
    monkeypatch.setattr(host, "user_exists", lambda: True)
    code, out, _ = gerbang("install", "--check")
    assert (code, out.count("missing")) == (0, 0)


def test_installs_failure_is_one_line(tools: Tools, at_home: Path) -> None:
    tools.add("mmdebstrap", "echo 'No space left on device' >&2; exit 1")
    for name in ("espeak-ng", "prlimit"):
        tools.add(name, "")
    code, out, err = gerbang("install")
    assert (code, out) == (1, "")
    assert "gerbang install: Asterisk could not be built: the disk is full" in err


def test_a_named_root_is_not_built(
    tools: Tools, at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("espeak-ng", "prlimit", "mmdebstrap"):
        tools.add(name, "")
    monkeypatch.setenv(root.OVERRIDE, str(at_home / "other"))
    code, _, err = gerbang("install")
    assert code == 1
    assert "holds none" in err
    fake_root(at_home / "other")
    assert gerbang("install")[0] == 0


def test_the_bootstrap_and_test_scripts_are_sound_shell() -> None:
    from pbx.settings import PROJECT

    for script in ("scripts/bootstrap", "scripts/test", ".ci/run"):
        subprocess.run(["bash", "-n", PROJECT / script], check=True)
        assert os.access(PROJECT / script, os.X_OK)


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    from pbx.commands import install as command

    with command._progress() as tell:
        tell("building Asterisk", 0.5)
