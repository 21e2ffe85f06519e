"""The running 112: who lives, who holds the ports, which alarms stand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from pbx import status
from pbx.asterisk.run import AsteriskError, console, running_pid
from pbx.commands.diagnosis import Finding, fault, ok, warning
from pbx.model.city import CityError, read_city
from pbx.settings import Settings
from pbx.supervisor import ports

CONSOLE_SECONDS = 5.0


def processes(settings: Settings) -> Iterator[Finding]:
    """Asterisk and each Python process that ever wrote its status here."""
    engine = running_pid(settings.asterisk_home)
    told = list(status.read_all(settings.run))
    living = [word for word in told if _lives(word)]
    if engine is None and not living:
        yield warning("112", "is not running: nobody answers", "gerbang run")
        return
    if engine is None:
        yield fault(
            "asterisk",
            "is not running: nobody answers",
            "if it does not come back within seconds, see its lines in `gerbang run`",
        )
    else:
        yield _console_of(settings.asterisk_home, engine)
    for word in told:
        name = str(word.get("process"))
        if _lives(word):
            yield ok(name, f"runs (pid {word['pid']})")
        else:
            yield fault(
                name,
                f"does not run (last heard {word.get('written_at')}); calls still "
                "reach operators",
                "it is restarted within seconds; if not, start `gerbang run` again: it "
                "takes calls in progress over",
            )


def _console_of(home: Path, pid: int) -> Finding:
    try:
        asyncio.run(console(home, "core show uptime", deadline_seconds=CONSOLE_SECONDS))
    except AsteriskError:
        return fault(
            "asterisk",
            f"runs (pid {pid}) but does not answer on its console: it hangs",
            f"calls may hang with it; `kill -9 {pid}`, it is restarted",
        )
    return ok("asterisk", f"runs and answers (pid {pid})")


def _lives(word: dict[str, Any]) -> bool:
    with suppress(psutil.Error, KeyError, TypeError, ValueError):
        process = psutil.Process(int(word["pid"]))
        return process.status() != psutil.STATUS_ZOMBIE and _is_ours(process)
    return False


def _is_ours(process: psutil.Process) -> bool:
    """Pids are used again: another program under an old pid is not our process."""
    line = " ".join(process.cmdline())
    return "pbx" in line or "gerbang" in line


def alarms(settings: Settings) -> Iterator[Finding]:
    """What the processes themselves complain of."""
    standing = 0
    for word in status.read_all(settings.run):
        if not _lives(word):
            continue
        for name, alarm in word.get("alarms", {}).items():
            standing += 1
            whose = f"{word.get('process')}, {str(alarm.get('raised_at'))[:19]}"
            yield fault(
                "alarm",
                f"{name}: {alarm.get('sentence', '')} ({whose})",
                "do what it says; docs/runbook.md tells more",
            )
    if not standing:
        yield ok("alarm", "none stands")


def held_ports(settings: Settings) -> Iterator[Finding]:
    """The city's ports: free while we do not run, ours while we do."""
    try:
        network = read_city(settings.city_file.read_text(), source="").network
    except (OSError, CityError):
        return  # `city` has said so
    engine = running_pid(settings.asterisk_home)
    ours = {int(word["pid"]) for word in status.read_all(settings.run) if _lives(word)}
    ours |= _with_children(ours) | ({engine} if engine else set())
    serving = bool(ours)
    wrong = 0
    for endpoint in ports.wanted(network):
        place = f"{endpoint.setting} {endpoint.address}:{endpoint.port}"
        holders = _holders(endpoint)
        strangers = holders - ours
        if strangers:
            wrong += 1
            names = ", ".join(sorted(_name(pid) for pid in strangers))
            yield fault(
                "ports",
                f"{place} is held by {names}",
                "end that program, or give the city file another port",
            )
        elif serving and not holders:
            wrong += 1
            yield fault(
                "ports",
                f"nobody listens on {place}",
                "see above which process is missing",
            )
    if not wrong:
        yield ok("ports", "all ours" if serving else "all free")


def _with_children(pids: set[int]) -> set[int]:
    found: set[int] = set()
    for pid in pids:
        with suppress(psutil.Error):
            found |= {
                child.pid for child in psutil.Process(pid).children(recursive=True)
            }
    return found


def _holders(endpoint: ports.Endpoint) -> set[int]:
    """Pids that listen there; 0 stands for a process of another user."""
    listening = (
        {psutil.CONN_LISTEN}
        if endpoint.kind is socket.SOCK_STREAM
        else {psutil.CONN_NONE}
    )
    return {
        link.pid or 0
        for link in psutil.net_connections("inet")
        if link.laddr
        and link.type == endpoint.kind
        and link.status in listening
        and link.laddr.port == endpoint.port
        and link.laddr.ip in (endpoint.address, "0.0.0.0", "::")  # noqa: S104 - compared
    }


def _name(pid: int) -> str:
    if pid == 0:
        return "a process of another user"
    with suppress(psutil.Error):
        return f"{psutil.Process(pid).name()} (pid {pid})"
    return f"pid {pid}"


CHECKS = (processes, held_ports, alarms)
