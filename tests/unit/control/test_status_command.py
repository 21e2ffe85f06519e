"""`gerbang status`: a page a duty officer understands at night."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pbx.commands import control, status
from tests.fakes.control_room import CITY_TEXT

NOW = datetime.now(UTC)

PAGE: dict[str, Any] = {
    "link": {"up": True},
    "calls": [{"stage": "filter"}, {"stage": "queue"}, {"stage": "queue"}],
    "queues": [
        {
            "name": "darurat",
            "waiting": 2,
            "longest_wait_seconds": 14.2,
            "operators": {"free": 1, "talking": 1},
        },
        {
            "name": "cadangan",
            "waiting": 0,
            "longest_wait_seconds": 0.0,
            "operators": {},
        },
    ],
    "filter": {
        "released_last_hour": 3,
        "verdicts_last_hour": {"pass/key": 4, "release/silent": 3},
        "drops_by_review": {"unreviewed": 12, "was-a-person": 1},
    },
    "operators": [
        {"number": "101", "name": "Operator 1", "state": "free", "queues": ["darurat"]}
    ],
}


LIVING = {
    "process": "control",
    "pid": os.getpid(),
    "written_at": (NOW + timedelta(days=1)).isoformat(),
    "figures": {},
    "alarms": {},
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    monkeypatch.setenv("GERBANG_CITY", str(tmp_path / "city.toml"))
    (tmp_path / "run").mkdir()
    (tmp_path / "city.toml").write_text(CITY_TEXT.replace("8112", "1"))
    return tmp_path


@pytest.fixture
def page(state: Path) -> Iterator[dict[str, Any]]:
    """A control room that answers; the test may change what."""
    told = json.loads(json.dumps(PAGE))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(told).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_address[1]
        text = CITY_TEXT.replace("status_port = 8112", f"status_port = {port}")
        (state / "city.toml").write_text(text)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def write(state: Path, process: str, **more: Any) -> None:
    told = {
        "process": process,
        "pid": os.getpid(),
        "written_at": NOW.isoformat(),
        "figures": {},
        "alarms": {},
    }
    (state / "run" / f"{process}.status.json").write_text(json.dumps(told | more))


def supervised(**states: str) -> dict[str, Any]:
    since = (datetime.now(UTC) - timedelta(minutes=75)).isoformat()
    return {
        "processes": {
            name.replace("_", "-"): {
                "pid": 1,
                "state": state,
                "since": since,
                "restarts": 0,
            }
            for name, state in states.items()
        }
    }


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    status.register(app)
    control.register(app)
    result = CliRunner().invoke(app, ["status", *arguments])
    return result.exit_code, result.output


@pytest.mark.usefixtures("state")
def test_nothing_runs() -> None:
    assert run() == (1, "Gerbang112 is not running; start it with `make run`\n")
    code, output = run("--json")
    assert code == 1
    assert json.loads(output)["running"] is False


def test_a_dead_processs_file_is_not_a_running_service(state: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    write(state, "supervisor", pid=child.pid, alarms={"x": {}})
    (state / "run" / "odd.status.json").write_text("[]")
    assert run()[1].startswith("Gerbang112 is not running")


def test_a_pid_in_other_hands_is_not_a_running_service(state: Path) -> None:
    write(state, "supervisor", written_at="2020-01-01T00:00:00+00:00")
    write(state, "control", written_at="yesterday")
    assert run()[1].startswith("Gerbang112 is not running")


@pytest.mark.usefixtures("page")
def test_all_is_well(state: Path) -> None:
    write(state, "supervisor", figures=supervised(asterisk="ready", intake_0="ready"))
    code, output = run()
    assert code == 0
    assert "intake-0     ready      up 1 h 15 min      restarts 0" in output
    assert "Calls now  3  (1 filter, 2 queue)" in output
    assert "2 waiting, the first for 14 s; operators: 1 free, 1 talking" in output
    assert "0 waiting; operators: none" in output
    assert "101    Operator 1           free            darurat" in output
    assert "No alarms." in output


def test_the_filter_s_last_hour(page: dict[str, Any]) -> None:
    told = list(status.lines(status.Overview([LIVING], page), NOW))
    assert "  released 3, pass/key 4, release/silent 3" in told
    assert "  drops to review 12; marked as people 1, as nobody 0, unsure 0" in told
    del page["filter"]
    older = list(status.lines(status.Overview([LIVING], page), NOW))
    assert not [line for line in older if "Filter" in line]


def test_alarms_with_what_to_do(state: Path, page: dict[str, Any]) -> None:
    page["link"]["up"] = False
    page["calls"] = []
    write(state, "supervisor", figures=supervised(asterisk="waiting"))
    alarm = {"raised_at": NOW.isoformat(), "sentence": "look at [the] disk"}
    write(state, "recorder", alarms={"journal-gap": alarm})
    code, output = run()
    assert code == 1
    assert "this is the last seen" in output
    assert "Alarms: 2" in output
    assert f"(recorder, since {NOW.astimezone():%F %T})" in output
    assert "look at [the] disk" in output
    assert "asterisk is not ready (waiting)" in output
    told = json.loads(run("--json")[1])
    assert [a["alarm"] for a in told["alarms"]] == ["asterisk-waiting", "journal-gap"]


def test_without_supervisor_and_page_the_files_speak(state: Path) -> None:
    """As under systemd, with the control room down."""
    write(state, "recorder")
    write(state, "control", pid=2**22 + 1)
    code, output = run()
    assert code == 1
    assert "recorder     ready" in output
    assert "control      gone" in output
    assert "The control room does not answer" in output


@pytest.mark.parametrize(
    ("since", "told"),
    [
        (None, ""),
        ("soon", ""),
        ((NOW - timedelta(seconds=5)).isoformat(), "up 5 s"),
        ((NOW - timedelta(minutes=5)).isoformat(), "up 5 min"),
        ("2020-01-01T00:00:00", ""),
    ],
    ids=["not running", "no time", "seconds", "minutes", "no zone"],
)
def test_how_long_it_is_up(since: str | None, told: str) -> None:
    assert status._up(since, NOW) == told


def test_an_alarm_without_a_time() -> None:
    assert status._clock("") == "?"


def test_control_without_a_city_says_so(state: Path) -> None:
    (state / "city.toml").unlink()
    app = typer.Typer()
    status.register(app)
    control.register(app)
    result = CliRunner().invoke(app, ["control"])
    assert result.exit_code == 1
    assert "gerbang control: " in result.output
    assert "city.toml" in result.output
