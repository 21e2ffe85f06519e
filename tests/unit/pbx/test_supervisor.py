"""The supervisor's thinking: watch, back-off, lines, notify socket, strays, ports."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psutil
import pytest

import pbx.supervisor
from pbx.heartbeat import notify
from pbx.model.city import City, Network, read_city
from pbx.settings import PROJECT, Settings
from pbx.status import Status
from pbx.supervisor import ports, preflight, strays
from pbx.supervisor.flood import BURST_LINES, LINES_A_SECOND, Flood
from pbx.supervisor.lines import Style, is_chatter, shown
from pbx.supervisor.notify import NotifySocket
from pbx.supervisor.output import Output
from pbx.supervisor.printer import MOST_WAITING, Printer
from pbx.supervisor.strays import AlreadyRunning, Identity, identify, only_supervisor
from pbx.supervisor.watch import State, Watch
from tests.patience import until

NOW = datetime(2026, 11, 21, 13, 31, 7, tzinfo=UTC)
KEDIRI = Style(zone=ZoneInfo("Asia/Jakarta"))


def ready(now: float = 0.0, **patience: float | None) -> Watch:
    watch = Watch(**patience)  # type: ignore[arg-type]  # only floats are given
    watch.started(now)
    watch.heard("READY=1", now)
    return watch


# --- the watch ---------------------------------------------------------------


def test_a_process_gets_ready_beats_and_is_well() -> None:
    watch = Watch()
    watch.started(100.0)
    assert watch.state is State.STARTING
    watch.heard("READY=1\nSTATUS=fine", 101.0)
    assert watch.state is State.READY
    watch.heard("WATCHDOG=1", 103.5)
    assert watch.overdue(106.4) is None
    assert watch.overdue(106.6) == "no heartbeat for 3.1 s"


def test_what_does_not_beat_is_judged_by_its_readiness_only() -> None:
    watch = ready(beat_seconds=None)
    assert watch.overdue(10_000.0) is None


def test_a_start_has_a_deadline() -> None:
    watch = Watch(ready_seconds=5.0)
    watch.started(0.0)
    watch.heard("WATCHDOG=1", 4.0)  # beats do not stand in for READY
    assert watch.overdue(5.0) is None
    assert watch.overdue(5.1) == "not ready 5.1 s after its start"


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_stop_has_a_deadline_and_needs_no_beats(by_itself: bool) -> None:
    watch = ready(stop_seconds=30.0)
    if by_itself:
        watch.heard("STOPPING=1", 1.0)
    else:
        watch.asked_to_stop(1.0)
    assert watch.state is State.STOPPING
    assert watch.overdue(30.9) is None
    assert watch.overdue(31.1) == "still there 30.1 s after it began to stop"
    watch.heard("READY=1", 2.0)  # too late to change its mind
    assert watch.state is State.STOPPING


def test_messages_at_the_wrong_time_change_nothing() -> None:
    watch = Watch()
    watch.heard("READY=1", 1.0)
    watch.heard("STOPPING=1", 1.0)
    watch.asked_to_stop(1.0)
    assert watch.state is State.WAITING
    assert watch.overdue(1000.0) is None


def test_the_first_restart_is_at_once_then_waits_double_up_to_10_s() -> None:
    watch = Watch()
    waits = []
    for now in range(12):
        watch.started(float(now))
        waits.append(watch.ended(now + 0.5))
    assert waits == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0, 10.0]
    assert watch.restarts == 12
    assert watch.state is State.WAITING


def test_a_day_of_failures_does_not_overflow() -> None:
    watch = Watch()
    for _ in range(9000):
        watch.started(0.0)
        wait = watch.ended(1.0)
    assert wait == 10.0


@pytest.mark.parametrize(
    ("well_seconds", "message", "wait"),
    [(30.0, "READY=1", 0.0), (29.9, "READY=1", 0.4), (300.0, "", 0.4)],
)
def test_half_a_minute_of_health_forgets_earlier_failures(
    well_seconds: float, message: str, wait: float
) -> None:
    watch = Watch()
    for _ in range(3):
        watch.started(0.0)
        watch.ended(0.0)
    watch.started(0.0)
    watch.heard(message, 0.0)
    assert watch.ended(well_seconds) == wait


def test_restarts_are_counted_over_five_minutes() -> None:
    watch = Watch()
    for now in (0.0, 100.0, 200.0):
        watch.started(now)
        watch.ended(now)
    assert watch.restarts_lately(250.0) == 3
    assert watch.restarts_lately(350.0) == 2
    assert watch.restarts_lately(900.0) == 0


def test_time_the_watcher_slept_is_forgiven() -> None:
    watch = ready(100.0)
    watch.forgive(60.0)
    assert watch.overdue(162.0) is None
    assert watch.overdue(164.0) == "no heartbeat for 4.0 s"


def test_what_has_finished_is_judged_no_more() -> None:
    watch = ready()
    watch.finished(1.0)
    assert watch.state is State.ENDED
    assert watch.overdue(1000.0) is None


# --- the flood ---------------------------------------------------------------


def test_a_burst_passes_then_only_so_many_lines_a_second() -> None:
    flood = Flood()
    passed = sum(flood.lets_pass(100.0) for _ in range(20_000))
    assert passed == BURST_LINES
    assert flood.untold == 20_000 - passed
    assert flood.pause_seconds > 0
    assert sum(flood.lets_pass(101.0) for _ in range(5000)) == LINES_A_SECOND
    assert flood.lets_pass(200.0)
    assert flood.pause_seconds == 0


# --- lines -------------------------------------------------------------------


def line(**fields: object) -> str:
    return json.dumps({"at": "2026-11-21T13:31:07.123+00:00", **fields})


def test_a_json_line_is_told_in_the_citys_time() -> None:
    raw = line(
        level="info",
        process="intake",
        message="call offered",
        queue="darurat",
        call_id="kediri-1-17.3",
    )
    assert shown("intake-0", raw, KEDIRI, NOW) == (
        "20:31:07 intake-0  call offered  queue=darurat  [kediri-1-17.3]"
    )


def test_trouble_is_marked_with_and_without_colour() -> None:
    raw = line(level="warning", message="late")
    assert shown("control", raw, KEDIRI, NOW).endswith("control   WARNING: late")
    coloured = shown("control", raw, Style(colour=True), NOW)
    assert "\x1b[33mlate\x1b[0m" in coloured
    plain = shown("control", line(level="info", message="x"), Style(colour=True), NOW)
    assert plain.endswith("\x1b[0m x")


def test_a_traceback_follows_on_rows_of_its_own() -> None:
    raw = line(level="error", message="failed", traceback="Traceback:\n  boom")
    assert shown("x", raw, KEDIRI, NOW).splitlines()[1:] == [
        "         Traceback:",
        "           boom",
    ]


@pytest.mark.parametrize(
    "raw",
    [
        "plain words",
        "{broken",
        "[1, 2]",
        '{"no": "message"}',
        "7",
        '{"a":' * 5000,
        "{" + '"message":[' * 3000,
    ],
)
def test_what_is_not_a_log_record_is_shown_as_it_is(raw: str) -> None:
    assert shown("x", raw, KEDIRI, NOW) == f"20:31:07 x         {raw}"


def test_asterisks_lines_lose_their_own_clock_and_keep_their_level() -> None:
    raw = (
        "[2026-11-21 20:53:23.569 +0000] WARNING[17][C-0000002a]: chan.c:12 go: lost it"
    )
    assert shown("asterisk", raw, KEDIRI, NOW) == (
        "20:31:07 asterisk  WARNING: chan.c:12 go: lost it"
    )
    told = json.loads(shown("asterisk", raw, Style(as_json=True), NOW))
    assert (told["level"], told["process"]) == ("warning", "asterisk")


@pytest.mark.parametrize(
    ("raw", "is_hidden"),
    [
        ("PBX UUID: 91c4eca3-e5d3-4d70-8d72-27a6dd91b55b", True),
        ("Could not find option 'minimum_size' with type 'threadpool'", True),
        ("[2026-11-21 20:53:23.569 +0000] NOTICE[2]: loader.c:2 x: 73 modules", True),
        ("[2026-11-21 20:53:23.569 +0000] WARNING[2]: chan.c:12 go: lost it", False),
        ("[2026-11-21 20:53:23.569 +0000] ERROR[17][C-0000002a]: a.c:1 b: c", False),
        ("Asterisk Ready.", False),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", False),
        ("*** stack smashing detected ***", False),
    ],
)
def test_of_asterisks_own_words_people_see_those_that_matter(
    raw: str, is_hidden: bool
) -> None:
    assert is_chatter("asterisk", raw) is is_hidden
    assert not is_chatter("intake-0", raw)


@pytest.mark.parametrize("as_json", [True, False])
def test_raw_output_keeps_what_people_need_not_see(as_json: bool) -> None:
    read, write = os.pipe()
    printer = Printer(write)
    output = Output(printer, Style(as_json=as_json))
    output.line("asterisk", "PBX UUID: 91c4eca3")
    output.line("asterisk", "Asterisk Ready.")
    printer.close()
    os.close(write)
    with os.fdopen(read) as told:
        assert len(told.readlines()) == (2 if as_json else 1)


@pytest.mark.parametrize("at", [7, None, "yesterday", "2026-11-21T01:00:00"])
def test_a_line_without_a_usable_time_gets_ours(at: object) -> None:
    raw = json.dumps({"at": at, "message": "x"})
    assert shown("x", raw, KEDIRI, NOW).startswith("20:31:07")


def test_nothing_steers_the_terminal() -> None:
    raw = line(message="from \x1b[2J\r\x07evil\u202e\tname")
    assert shown("x", raw, KEDIRI, NOW).endswith("from ·[2J··evil· name")
    assert "\x1b" not in shown("x", "\x1b]0;title\x07", KEDIRI, NOW)


def test_json_mode_keeps_records_and_wraps_the_rest() -> None:
    style = Style(as_json=True)
    told = json.loads(shown("intake-1", line(message="a", queue="q"), style, NOW))
    assert (told["process"], told["queue"]) == ("intake-1", "q")
    wrapped = json.loads(shown("asterisk", "Asterisk Ready.", style, NOW))
    assert wrapped == {
        "at": "2026-11-21T13:31:07.000+00:00",
        "level": "info",
        "process": "asterisk",
        "message": "Asterisk Ready.",
    }


# --- the printer -------------------------------------------------------------


def test_lines_come_out_in_order() -> None:
    read, write = os.pipe()
    printer = Printer(write)
    for number in range(50):
        printer.say(f"line {number} ✓")
    printer.close()
    os.close(write)
    with os.fdopen(read) as told:
        assert told.read() == "".join(f"line {n} ✓\n" for n in range(50))


async def test_nobody_waits_for_a_reader_and_what_was_lost_is_counted() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)
    printer = Printer(write)
    printer.say("it waits with this one until somebody reads")
    await until(printer._lines.empty)
    started = time.monotonic()
    for _ in range(MOST_WAITING + 2000):
        printer.say("x" * 200)
    assert printer.is_full
    printer.count_lost()
    printer.close(0.1)
    assert time.monotonic() - started < 20
    told: list[bytes] = []

    def drain() -> None:
        while chunk := os.read(read, 1 << 16):
            told.append(chunk)

    reader = threading.Thread(target=drain)
    reader.start()
    printer.close(5)
    os.close(write)
    reader.join(5)
    os.close(read)
    assert b"log lines not shown" in b"".join(told)


# --- the notify socket -------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 40])
def test_messages_arrive_with_the_senders_pid(
    tmp_path: Path, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path.joinpath(*["deep"] * depth)
    deep.mkdir(parents=True)
    here = NotifySocket(deep)
    assert here.address.startswith("@") is (depth == 40)  # sun_path: 108 bytes
    monkeypatch.setenv("NOTIFY_SOCKET", here.address)
    assert list(here.read()) == []
    notify("READY=1")
    notify("WATCHDOG=1")
    code = "from pbx.heartbeat import notify; import os; notify(str(os.getpid()))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)
    mine = os.getpid()
    *ours, (pid, text) = list(here.read())
    assert ours == [(mine, "READY=1"), (mine, "WATCHDOG=1")]
    assert text == str(pid) != str(mine)
    here.close()
    assert list(deep.iterdir()) == []


def test_a_leftover_socket_is_replaced(tmp_path: Path) -> None:
    first = NotifySocket(tmp_path)
    second = NotifySocket(tmp_path)
    first.close()
    second.close()


# --- one supervisor, and strays ----------------------------------------------


def test_a_second_supervisor_is_told_the_firsts_pid(tmp_path: Path) -> None:
    with (
        only_supervisor(tmp_path / "run"),
        pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}\).*kill"),
        only_supervisor(tmp_path / "run"),
    ):
        pass
    with only_supervisor(tmp_path / "run"):
        pass  # free again


def test_a_process_is_known_by_more_than_its_pid() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert me.is_alive()
    assert not Identity(me.pid, me.started_ticks + 1, me.boot).is_alive()
    assert not Identity(me.pid, me.started_ticks, "another boot").is_alive()
    assert identify(2**22 + 1) is None
    zombie = subprocess.Popen(["true"])
    while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert identify(zombie.pid) is None
    zombie.wait()


def remember(directory: Path, processes: dict[str, object]) -> Path:
    status = Status(directory, "supervisor")
    status.figures["processes"] = processes
    status.write()
    return directory / "supervisor.status.json"


async def test_strays_are_found_and_ended_and_nobody_else(tmp_path: Path) -> None:
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    polite = subprocess.Popen(["sleep", "300"])
    stubborn = subprocess.Popen(["sh", "-c", deaf])
    bystander = subprocess.Popen(["sleep", "300"])
    identities = {
        n: identify(p.pid)
        for n, p in zip("psb", (polite, stubborn, bystander), strict=True)
    }
    told: dict[str, object] = {
        n: {"identity": i.as_json()} for n, i in identities.items() if i
    }
    assert identities["b"]
    told["b"] = {"identity": identities["b"].as_json() | {"started_ticks": 1}}
    told |= {"gone": {"identity": None}, "odd": 7, "bad": {"identity": {"pid": "x"}}}
    found = strays.strays_in(remember(tmp_path, told))
    assert sorted(found) == ["p", "s"]
    await_trap = time.monotonic() + 0.2  # the shell has to set its trap first
    while time.monotonic() < await_trap:
        time.sleep(0.01)
    try:
        assert await strays.end(found, 0.5) == ["s"]
        assert polite.wait(5) == -15
        assert stubborn.wait(5) == -9
        assert bystander.poll() is None
    finally:
        for process in (polite, stubborn, bystander):
            process.kill()
            process.wait()


@pytest.mark.parametrize("content", [None, "", "[]", '{"figures": {}}', "{"])
def test_an_unreadable_memory_means_no_strays(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "supervisor.status.json"
    if content is not None:
        path.write_text(content)
    assert strays.strays_in(path) == {}


# --- ports -------------------------------------------------------------------


def network(address: str, **more: int) -> Network:
    return Network(sip_address=address, **more)  # type: ignore[arg-type]  # only ports


def test_every_fixed_port_is_looked_at() -> None:
    seen = {(e.setting, e.port, e.kind.name) for e in ports.wanted(Network())}
    assert ("sip_port", 5060, "SOCK_DGRAM") in seen
    assert ("sip_port", 5060, "SOCK_STREAM") in seen
    assert {p for s, p, _ in seen if s == "audiosocket_port"} == {4580, 4581}
    assert {s for s, _, _ in seen} >= {"sips_port", "manager_port", "agi_port"}


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_names_its_holder(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.11.2.3", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        endpoint = ports.Endpoint("sip_port", "127.11.2.3", port, kind)
        told = ports._problem(endpoint, None)
        assert told is not None
        assert f"port {port} on 127.11.2.3 (sip_port)" in told
        assert f"(pid {os.getpid()})" in told
        assert ports._problem(endpoint, os.getpid()) is None  # ours to hold


def test_a_foreign_address_names_the_cure() -> None:
    told = ports.problems(network("192.0.2.1"))
    assert any("192.0.2.1 (sip_port) cannot be had" in row for row in told)
    assert all("city file" in row for row in told)


def test_holders_are_named_as_well_as_can_be() -> None:
    assert ports._named(0) == "a process of another user"
    assert ports._named(2**22 + 1) == f"pid {2**22 + 1}"


# --- what people read --------------------------------------------------------


@pytest.fixture
def city() -> City:
    path = PROJECT / "asterisk-config" / "city.toml"
    return read_city(path.read_text(), source="city.toml")


def test_the_banner_says_how_to_call_and_what_is_missing(city: City) -> None:
    text = pbx.supervisor.banner(city, [], 3.21)
    assert "ready, dial 112 " in text
    assert "call --press 0" in text
    assert "--phone 101" in text
    late = pbx.supervisor.banner(city, ["control"], 3.21)
    assert "ready, dial 112 (not up yet: control; see above)" in late


def test_a_missing_city_file_names_the_variable(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, city_file=tmp_path / "none.toml")
    with pytest.raises(preflight.CannotStart, match=r"none\.toml.*GERBANG_CITY"):
        preflight.read_city_or_last_good(settings)


def test_a_wrong_city_file_names_line_and_cure(tmp_path: Path) -> None:
    path = tmp_path / "city.toml"
    path.write_text("[city]\nname = 3\n")
    settings = Settings(state=tmp_path, city_file=path)
    with pytest.raises(preflight.CannotStart, match=r"city\.toml:2"):
        preflight.read_city_or_last_good(settings)


@pytest.mark.parametrize("damage", ["[city", None, b"\xff\xfe"])
def test_a_wrong_city_file_leaves_the_last_good_one_in_force(
    tmp_path: Path, damage: str | bytes | None
) -> None:
    path = tmp_path / "city.toml"
    match damage:
        case str():
            path.write_text(damage)
        case bytes():
            path.write_bytes(damage)
        case None:
            pass  # deleted
    settings = Settings(state=tmp_path, city_file=path)
    release = settings.asterisk_home / "current"
    release.mkdir(parents=True)
    shutil.copy(PROJECT / "asterisk-config" / "city.toml", release / "city.toml")
    assert preflight.read_city_or_last_good(settings).city.name == "Kediri"
