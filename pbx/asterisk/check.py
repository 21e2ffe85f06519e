"""Tries a city on a throw-away Asterisk before it may replace a good one.

Scratch home, free ports, nobody's calls: Asterisk boots on exactly what `render` would
write, and must say neither WARNING nor ERROR and know everything the city declares.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pbx.asterisk.activate import activate
from pbx.asterisk.dialplan import faults, read_dialplan
from pbx.asterisk.modules import MODULES
from pbx.asterisk.render import PATIENT, render_city
from pbx.asterisk.run import (
    Asterisk,
    AsteriskError,
    Root,
    User,
    console,
)
from pbx.asterisk.secrets import Secrets
from pbx.model.city import City

_BAD_LINE = re.compile(r"\] (WARNING|ERROR)\[|^(WARNING|ERROR)\b|declined to load")

_FORGIVEN = ("There are no local system nameservers configured",)
"""A machine without name service is a good one: the city names addresses only."""

_BOOT_SECONDS = 30.0

_BY_THE_INTAKE = ("AudioSocket", "CELGenUserEvent")
"""Applications no rendered line names: the intake runs them by `EXEC`."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it: `faults` forbid going live; empty is good."""

    faults: list[str]
    seconds: float


def static_faults(city: City) -> list[str]:
    """What reading the rendered files alone can find; takes milliseconds."""
    files = render_city(city, Secrets.placeholders(city))
    try:
        return faults(read_dialplan(files["extensions.conf"]))
    except ValueError as error:
        return [f"extensions.conf: {error}"]


async def try_city(
    city: City,
    root: Root,
    sounds: Path,
    *,
    user: User | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Trial:
    """Boot a throw-away Asterisk on this city and ask it what it understood.

    `sounds` is where the prompts are, `user` whom Asterisk runs as. Everything is gone
    when it returns.
    """
    started = time.monotonic()
    on_step("reading the rendered files")
    found = static_faults(city)
    try:
        shifted = with_free_ports(city)
    except OSError as error:
        return Trial([*found, _address_fault(city, error)], time.monotonic() - started)
    with tempfile.TemporaryDirectory(prefix="gerbang-check-") as scratch:
        home = Path(scratch)
        prompts = _or_empty(sounds, home / "no-sounds")
        found += await _boot(shifted, root, home, prompts, user, on_step)
    return Trial(found, time.monotonic() - started)


def with_free_ports(city: City) -> City:
    """The same city on ports that are free now. Raises OSError if its address is not
    this machine's."""
    address = city.network.sip_address
    with ExitStack() as held:
        sip = _free_port(held, address, socket.SOCK_STREAM, socket.SOCK_DGRAM)
        ports = {
            "sip_port": sip,
            "sips_port": _free_port(held, address, socket.SOCK_STREAM),
            "manager_port": _free_port(held, "127.0.0.1", socket.SOCK_STREAM),
        }
    network = city.network.model_copy(update=ports)
    return city.model_copy(update={"network": network})


def _free_port(held: ExitStack, address: str, *kinds: socket.SocketKind) -> int:
    """A port free for all these kinds, held until the stack closes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(20):
        with ExitStack() as mine:
            port = 0
            try:
                for kind in kinds:
                    bound = mine.enter_context(socket.socket(family, kind))
                    bound.bind((address, port))
                    port = bound.getsockname()[1]
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            held.enter_context(mine.pop_all())
            return int(port)
    raise OSError(errno.EADDRINUSE, f"no free port on {address}")


def _address_fault(city: City, error: OSError) -> str:
    address = city.network.sip_address
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"network.sip_address: {address} is not an address of this machine; "
            f"`ip addr` lists those it has"
        )
    return f"network.sip_address: {address} cannot be used: {error.strerror or error}"


def _or_empty(sounds: Path, instead: Path) -> Path:
    """A city may be checked before its prompts are made."""
    if sounds.is_dir():
        return sounds
    instead.mkdir()
    return instead


async def _boot(
    city: City,
    root: Root,
    home: Path,
    sounds: Path,
    user: User | None,
    on_step: Callable[[str], None],
) -> list[str]:
    activate(home, city, user, secrets=Secrets.placeholders(city))
    lines: list[str] = []
    asterisk = Asterisk(
        root, home, sounds, user, die_with_parent=True, on_line=lines.append
    )
    on_step("booting a throw-away Asterisk")
    try:
        await asterisk.start()
        await asterisk.wait_booted(_BOOT_SECONDS)
        on_step("asking it what it understood")
        missing = [fault async for fault in _misunderstood(city, home)]
    except AsteriskError as error:
        missing = [str(error)]
    finally:
        await asyncio.shield(asterisk.stop())
    return [*complaints(lines), *missing]


def complaints(lines: list[str]) -> list[str]:
    """Asterisk's own WARNING and ERROR lines, but for the forgiven."""
    return [
        f"Asterisk says: {line}"
        for line in lines
        if _BAD_LINE.search(line) and not any(words in line for words in _FORGIVEN)
    ]


async def _misunderstood(city: City, home: Path) -> AsyncIterator[str]:
    """What the city declares and the booted Asterisk does not know."""
    heard = {
        question: await console(home, question)
        for question in (
            "dialplan show",
            "queue show",
            "pjsip show endpoints",
            "pjsip show transports",
            "module show",
            "manager show users",
            "cel show status",
            "core show applications",
            "core show functions",
        )
    }
    for question, words in _expected(city).items():
        for what, pattern in words:
            if not re.search(pattern, heard[question], re.MULTILINE):
                yield f"Asterisk does not know {what} (asked: {question})"


def _expected(city: City) -> dict[str, list[tuple[str, str]]]:
    """Console question → what its answer must hold, by a pattern."""
    files = render_city(city, Secrets.placeholders(city))
    plan = read_dialplan(files["extensions.conf"])
    return {
        "dialplan show": list(_expected_dialplan(city)),
        "core show applications": [
            (f"application {name}", rf"(?i)^\s+{name}: ")
            for name in sorted({*plan.applications(), *_BY_THE_INTAKE})
        ],
        "core show functions": [
            (f"function {name}", rf"^{name}\s") for name in sorted(plan.functions())
        ],
        "queue show": [
            (f"queue {name}", rf"^{re.escape(name)} has \d+ calls")
            for queue in city.queues
            for name in (queue.name, queue.name + PATIENT)
        ],
        "pjsip show endpoints": [
            (f"operator {o.number}", rf"^ Endpoint:\s+{re.escape(o.number)}/")
            for o in city.operators
        ]
        + [
            (f"trunk {t.name}", rf"^   Identify:\s+{t.name}-identify/{t.name}$")
            for t in city.trunks
        ],
        "pjsip show transports": [
            (f"transport {name}", rf"transport-{name}\s+{name}\s")
            for name in ("udp", "tcp", "tls")
        ],
        "module show": [
            (f"module {name}", rf"^{name}\.so .*\sRunning\s")
            for names in MODULES.values()
            for name in names
        ],
        "manager show users": [("manager user control", r"^control\s*$")],
        "cel show status": [("the journal", r"CEL Custom CSV Logging")],
    }


def _expected_dialplan(city: City) -> Iterator[tuple[str, str]]:
    contexts = ["from-trunk", "from-operators", "transferred", "rescue", "waiting"]
    contexts += [f"filter-{name}" for name in city.flows]
    contexts += [f"degraded-{name}" for name in city.flows]
    contexts += [f"queue-{queue.name}" for queue in city.queues]
    for context in contexts:
        yield f"context {context}", rf"\[ Context '{re.escape(context)}' created by"
    for number in city.numbers:
        name = re.escape(number.number)
        yield f"number {number.number}", rf"^  '{name}' =>\s+1\. Set\(DIALLED={name}\)"
