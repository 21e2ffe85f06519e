"""The doctor on real damage: each illness is made, found, and named with its cure."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pbx.asterisk import activate, host, root, sandbox
from pbx.commands import doctor
from pbx.commands.diagnosis import (
    Check,
    Finding,
    Level,
    examine,
    installation,
    machine,
    ok,
    running,
)
from pbx.model.city import City, read_city
from pbx.settings import PROJECT, Settings
from pbx.simulator.declaration import free_run
from pbx.status import Status

CITY = (PROJECT / "asterisk-config" / "city.toml").read_text()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A 112 of its own, on ports nobody has; nothing is rendered yet."""
    city_file = tmp_path / "city.toml"
    text = CITY
    for setting, old in (
        ("sip_port", 5060),
        ("sips_port", 5061),
        ("manager_port", 5038),
        ("agi_port", 4573),
        ("status_port", 8112),
        ("feed_port", 8113),
    ):
        text = text.replace(f"{setting} = {old}", f"{setting} = {free_run(1)}", 1)
    text = text.replace("audiosocket_port = 4580", "audiosocket_port = 64580")
    city_file.write_text(text)
    return Settings(tmp_path / "var", city_file, tmp_path / "cache")


def city_of(settings: Settings) -> City:
    return read_city(settings.city_file.read_text(), source="city.toml")


def put_in_force(settings: Settings) -> None:
    """As `gerbang render` does, which keeps the city file with the release."""
    activate.activate(
        settings.asterisk_home,
        city_of(settings),
        sandbox.service_user(),
        declared=settings.city_file.read_text(),
    )


@pytest.fixture
def rendered(settings: Settings) -> Settings:
    """The same with everything in force."""
    put_in_force(settings)
    folder = settings.sounds / "id"
    folder.mkdir(parents=True)
    for name in city_of(settings).prompts():
        (folder / f"{name}.wav").touch()
    return settings


def found(settings: Settings, check: Check) -> dict[str, Finding]:
    """The worst finding about each thing."""
    worst: dict[str, Finding] = {}
    order = [Level.OK, Level.WARNING, Level.FAULT]
    for finding in examine(settings, [check]):
        before = worst.get(finding.about)
        if before is None or order.index(finding.level) > order.index(before.level):
            worst[finding.about] = finding
    return worst


def levels(settings: Settings, check: Check) -> set[Level]:
    return {finding.level for finding in examine(settings, [check])}


# --- the machine ---


def test_this_machine_has_the_locked_packages(settings: Settings) -> None:
    assert levels(settings, machine.python) == {Level.OK}


def test_packages_unlike_the_lock_are_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "typer==0.0.1 \\\n    --hash=sha256:00\nno-such-package==1.0\n"
        "only-on-windows==2 ; sys_platform == 'win32' \\\n"
    )
    monkeypatch.setattr(machine, "LOCK", lock)
    finding = found(settings, machine.python)["packages"]
    assert finding.level is Level.FAULT
    assert "typer is " in finding.text
    assert ", not 0.0.1" in finding.text
    assert "no-such-package is missing" in finding.text
    assert "only-on-windows" not in finding.text
    lock.unlink()
    assert found(settings, machine.python)["packages"].cure == "restore the checkout"


def test_another_python_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 1))
    finding = found(settings, machine.python)["Python"]
    assert finding.level is Level.FAULT
    assert "3.13.1" in finding.text


def test_missing_programs_and_user_are_faults(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert levels(settings, machine.programs) == {Level.OK}
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(host, "user_exists", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    told = found(settings, machine.programs)
    assert told["programs"].level is Level.FAULT
    assert told["user"].cure == "gerbang install"


def test_no_asterisk_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(root.OVERRIDE, raising=False)
    finding = found(settings, machine.asterisk)["Asterisk"]
    assert (finding.level, finding.cure) == (Level.FAULT, "gerbang install")


@pytest.mark.asterisk
def test_asterisk_runs_behind_its_walls_here(
    settings: Settings,
    asterisk_root: root.Root,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(root.OVERRIDE, str(asterisk_root.base))
    told = found(settings, machine.asterisk)
    assert asterisk_root.version in told["Asterisk"].text
    assert told["isolation"].level is Level.OK

    walls = tmp_path / "path"
    walls.mkdir()
    monkeypatch.setenv("PATH", str(walls))
    assert "isolation" not in found(settings, machine.asterisk)
    (walls / "bwrap").write_text("#!/bin/sh\necho bwrap: No permissions >&2; exit 1\n")
    (walls / "bwrap").chmod(0o755)
    finding = found(settings, machine.asterisk)["isolation"]
    assert finding.level is Level.FAULT
    assert "bwrap: No permissions" in finding.text
    assert "unprivileged_userns_clone" in finding.cure


@pytest.mark.parametrize(
    ("figure", "value", "about", "level"),
    [
        ("FULL_BYTES", 1 << 60, "disk (state)", Level.FAULT),
        ("SCARCE_BYTES", 1 << 60, "disk (state)", Level.WARNING),
        ("SCARCE_FILES", 1 << 60, "disk (state)", Level.FAULT),
        ("SCARCE_MEMORY_BYTES", 1 << 60, "memory", Level.WARNING),
        ("OPEN_FILES", 1 << 30, "open files", Level.WARNING),
    ],
)
def test_too_little_room_is_told(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    figure: str,
    value: int,
    about: str,
    level: Level,
) -> None:
    if figure == "SCARCE_FILES" and not os.statvfs(settings.state.parent).f_files:
        pytest.skip("this file system does not count files")
    monkeypatch.setattr(machine, "FULL_BYTES", 0)
    monkeypatch.setattr(machine, figure, value)
    finding = found(settings, machine.room)[about]
    assert finding.level is level
    assert finding.cure


def test_clock_and_host_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_is_clock_adrift", lambda: False)
    assert found(settings, machine.clock_and_name)["clock"].level is Level.OK
    monkeypatch.setattr(machine, "_is_clock_adrift", lambda: True)
    monkeypatch.setattr(socket, "gethostname", lambda: "no-such-host.invalid")
    told = found(settings, machine.clock_and_name)
    assert told["clock"].level is Level.WARNING
    assert told["host name"].level is Level.WARNING
    assert "/etc/hosts" in told["host name"].cure
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    assert found(settings, machine.clock_and_name)["host name"].level is Level.OK


def test_the_kernel_is_asked_about_its_clock() -> None:
    assert machine._is_clock_adrift() in (True, False)


def test_a_torn_checkout_is_a_fault(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(settings, machine.checkout) == {}
    monkeypatch.setattr(machine, "PROJECT", tmp_path)
    assert (
        "asterisk-config/templates"
        in found(settings, machine.checkout)["checkout"].text
    )


# --- the installation ---


def test_before_the_first_run_nothing_is_wrong(settings: Settings) -> None:
    for check in installation.CHECKS:
        assert Level.FAULT not in levels(settings, check), check.__name__


def test_a_whole_installation_is_well(rendered: Settings) -> None:
    for check in installation.CHECKS:
        assert levels(rendered, check) == {Level.OK}, check.__name__


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_anothers_state_is_a_fault(rendered: Settings) -> None:
    os.chown(rendered.state, 12345, -1)
    finding = found(rendered, installation.state)["state"]
    assert finding.level is Level.FAULT
    assert "12345" in finding.text


def test_a_state_that_cannot_be_written_is_a_fault(
    rendered: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(installation.tempfile, "TemporaryFile", full)
    assert "No space left" in found(rendered, installation.state)["state"].text


def test_a_missing_journal_directory_is_a_fault(rendered: Settings) -> None:
    shutil.rmtree(rendered.journal.parent)
    finding = found(rendered, installation.journal)["journal"]
    assert finding.level is Level.FAULT
    assert "loses every event" in finding.text
    subprocess.run(["sh", "-c", finding.cure], check=True)
    assert levels(rendered, installation.journal) == {Level.OK}


def test_a_journal_asterisk_cannot_write_is_a_fault(rendered: Settings) -> None:
    rendered.journal.touch()
    rendered.journal.chmod(0o400)
    finding = found(rendered, installation.journal)["journal"]
    assert "cannot write" in finding.text
    assert finding.level is Level.FAULT


def test_a_missing_user_owns_no_journal(
    rendered: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> None:
        raise root.NotInstalled("no user")

    monkeypatch.setattr(installation, "service_user", nobody)
    assert Level.FAULT in levels(rendered, installation.journal)


def test_a_wrong_city_is_told_line_by_line(rendered: Settings) -> None:
    text = rendered.city_file.read_text()
    rendered.city_file.write_text(text.replace('queue = "darurat"', 'queue = "nosuch"'))
    finding = found(rendered, installation.city)["city"]
    assert finding.level is Level.FAULT
    assert "nosuch" in finding.text
    rendered.city_file.unlink()
    assert "GERBANG_CITY" in found(rendered, installation.city)["city"].cure


def test_a_city_that_is_not_in_force_is_a_warning(rendered: Settings) -> None:
    text = rendered.city_file.read_text()
    rendered.city_file.write_text(
        text.replace("ring_seconds = 12", "ring_seconds = 15")
    )
    finding = found(rendered, installation.city)["configuration"]
    assert finding.level is Level.WARNING
    assert "is not in force" in finding.text
    put_in_force(rendered)
    assert levels(rendered, installation.city) == {Level.OK}


def test_what_only_our_own_processes_read_counts_and_a_comment_does_not(
    rendered: Settings,
) -> None:
    text = rendered.city_file.read_text()
    rendered.city_file.write_text(f"# a comment more\n{text}")
    assert levels(rendered, installation.city) == {Level.OK}
    rendered.city_file.write_text(
        text.replace("\nwait_seconds = 3.0", "\nwait_seconds = 2.5")
    )
    finding = found(rendered, installation.city)["configuration"]
    assert "is not in force" in finding.text


def test_damaged_passwords_are_a_fault(rendered: Settings) -> None:
    rendered.secrets_file.write_text("{")
    finding = found(rendered, installation.city)["passwords"]
    assert finding.level is Level.FAULT
    assert "Restore the file" in finding.text


def test_a_missing_prompt_is_a_fault(rendered: Settings) -> None:
    (rendered.sounds / "id" / "greeting.wav").unlink()
    finding = found(rendered, installation.city)["prompts"]
    assert (finding.level, finding.cure) == (Level.FAULT, "gerbang sounds")
    assert "greeting missing" in finding.text


def test_passwords_others_can_read_are_a_fault(rendered: Settings) -> None:
    rendered.secrets_file.chmod(0o644)
    finding = found(rendered, installation.passwords)["passwords"]
    assert finding.level is Level.FAULT
    assert "mode 0644" in finding.text
    rendered.secrets_file.chmod(0o600)
    (rendered.asterisk_home / "current" / "pjsip.conf").chmod(0o644)
    assert "pjsip.conf" in found(rendered, installation.passwords)["passwords"].text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_passwords_of_another_user_are_a_fault(rendered: Settings) -> None:
    os.chown(rendered.secrets_file, 12345, -1)
    assert "12345" in found(rendered, installation.passwords)["passwords"].text


@pytest.mark.parametrize(
    ("days", "level"), [(-1, Level.FAULT), (10, Level.WARNING), (200, Level.OK)]
)
def test_the_certificates_end_is_told(
    rendered: Settings, days: int, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = datetime.now(UTC) + timedelta(days=days)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            path = rendered.asterisk_home / "tls" / "certificate.pem"
            from cryptography import x509

            cert = x509.load_pem_x509_certificate(path.read_bytes())
            return cert.not_valid_after_utc - (ends - datetime.now(UTC))

    monkeypatch.setattr(installation, "datetime", Clock)
    assert levels(rendered, installation.certificate) == {level}


def test_a_damaged_certificate_is_a_fault(rendered: Settings) -> None:
    (rendered.asterisk_home / "tls" / "certificate.pem").write_text("no")
    assert levels(rendered, installation.certificate) == {Level.FAULT}


def test_a_database_that_is_gone_is_a_fault_and_its_password_is_not_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_run(1)
    monkeypatch.setenv(
        "GERBANG_DATABASE_URL", f"postgresql://gerbang:geheim@127.0.0.1:{port}/records"
    )
    finding = found(settings, installation.database)["database"]
    assert finding.level is Level.FAULT
    assert f"127.0.0.1:{port}/records cannot be read" in finding.text
    assert "geheim" not in finding.text


async def make_records(url: str) -> None:
    from pbx.records.database import migrate, open_engine

    engine = open_engine(url)
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


def test_records_are_counted(settings: Settings) -> None:
    import asyncio

    assert "no records yet" in found(settings, installation.database)["database"].text
    settings.state.mkdir()
    asyncio.run(make_records(settings.database_url))
    finding = found(settings, installation.database)["database"]
    assert finding == ok("database", f"0 records in {settings.state}/records.sqlite3")
    (settings.state / "records.sqlite3").write_bytes(b"not a database at all" * 500)
    assert levels(settings, installation.database) == {Level.FAULT}


# --- the running 112 ---


def test_a_112_that_does_not_run_is_a_warning(settings: Settings) -> None:
    assert levels(settings, running.processes) == {Level.WARNING}
    assert found(settings, running.held_ports)["ports"].text == "all free"
    assert levels(settings, running.alarms) == {Level.OK}


@pytest.fixture
def intake(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A process that looks like one of ours and holds the AGI port."""
    port = city_of(settings).network.agi_port
    script = (
        f"import socket; s = socket.create_server(('127.0.0.1', {port})); "
        "print('up', flush=True); s.accept()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "pbx", "intake"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


def write_status(settings: Settings, process: str, pid: int) -> None:
    status = Status(settings.run, process)
    status.raise_alarm("journal-gap", "Calls are missing; look at the disk.")
    path = settings.run / f"{process}.status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": pid}))


def test_the_dead_the_missing_and_the_alarms_are_faults(
    settings: Settings, intake: subprocess.Popen[str]
) -> None:
    write_status(settings, "intake-0", intake.pid)
    write_status(settings, "recorder", 2**22 + 1)
    told = found(settings, running.processes)
    assert told["intake-0"].level is Level.OK
    assert told["recorder"].level is Level.FAULT
    assert told["asterisk"].level is Level.FAULT
    alarm = found(settings, running.alarms)["alarm"]
    assert alarm.level is Level.FAULT
    assert "journal-gap: Calls are missing; look at the disk. (intake-0" in alarm.text
    ports = [f.text for f in examine(settings, [running.held_ports])]
    assert any("nobody listens on sip_port" in text for text in ports)
    assert not any("agi_port" in text for text in ports), "that one is ours"


def test_a_strangers_port_is_a_fault(
    settings: Settings, intake: subprocess.Popen[str]
) -> None:
    finding = found(settings, running.held_ports)["ports"]
    assert finding.level is Level.FAULT
    assert f"(pid {intake.pid})" in finding.text
    assert "agi_port" in finding.text


def test_a_pid_used_again_is_not_our_process(settings: Settings) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        write_status(settings, "recorder", stranger.pid)
        assert levels(settings, running.processes) == {Level.WARNING}
        stranger.kill()


def test_an_asterisk_that_hangs_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.asterisk_home / "run").mkdir(parents=True)
    monkeypatch.setattr(running, "CONSOLE_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(settings.asterisk_home / "run" / "asterisk.ctl"))
        silent.listen()
        finding = found(settings, running.processes)["asterisk"]
    assert finding.level is Level.FAULT
    assert "does not answer" in finding.text
    assert f"kill -9 {os.getpid()}" in finding.cure


def test_ports_of_a_city_that_cannot_be_read_are_not_judged(settings: Settings) -> None:
    settings.city_file.write_text("[")
    assert found(settings, running.held_ports) == {}


# --- the command ---


def run_doctor(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str]:
    monkeypatch.setenv("GERBANG_STATE", str(settings.state))
    monkeypatch.setenv("GERBANG_CITY", str(settings.city_file))
    app = typer.Typer()
    doctor.register(app)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout


def only(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    def check(_: Settings) -> tuple[Finding, ...]:
        return findings

    for module in (machine, installation, running):
        monkeypatch.setattr(module, "CHECKS", ())
    monkeypatch.setattr(machine, "CHECKS", (check,))


WELL = Finding(Level.OK, "disk", "12 GB left")
SOON = Finding(Level.WARNING, "clock", "adrift [a bit]", "set it")
ILL = Finding(Level.FAULT, "prompts", "gone", "gerbang sounds")


def test_faults_end_with_1_and_everything_is_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, WELL, SOON, ILL)
    code, out = run_doctor(settings, monkeypatch)
    assert code == 1
    for text in ("12 GB left", "adrift [a bit]", "cure: gerbang sounds", "1 fault(s)"):
        assert text in out


def test_warnings_end_with_0(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, WELL, SOON)
    code, out = run_doctor(settings, monkeypatch, "--quiet")
    assert code == 0
    assert "12 GB" not in out
    assert "1 warning(s), no fault" in out
    only(monkeypatch, WELL)
    assert run_doctor(settings, monkeypatch, "--quiet") == (0, "")
    assert "all is well" in run_doctor(settings, monkeypatch)[1]


def test_json_is_for_programs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, WELL, ILL)
    code, out = run_doctor(settings, monkeypatch, "--json")
    told = json.loads(out)
    assert code == 1
    assert (told["faults"], told["warnings"]) == (1, 0)
    assert told["findings"][1] == {
        "level": "fault",
        "about": "prompts",
        "text": "gone",
        "cure": "gerbang sounds",
    }


def test_a_check_that_breaks_is_a_finding_and_hides_no_other(
    settings: Settings,
) -> None:
    def torn_leg(_: Settings) -> list[Finding]:
        raise ValueError("ouch")

    first, second = examine(settings, [torn_leg, lambda _: [WELL]])
    assert first.level is Level.FAULT
    assert first.about == "torn leg"
    assert "ouch" in first.text
    assert second == WELL


def test_the_real_thing_on_this_machine(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out = run_doctor(settings, monkeypatch, "--json")
    told = json.loads(out)
    assert len(told["findings"]) > 15
    assert code == (1 if told["faults"] else 0)
    assert not [f for f in told["findings"] if "could not be looked at" in f["text"]]
