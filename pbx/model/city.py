"""The declared city: everything an admin may say about a 112 service.

One TOML file says it, this module says what may be said, and `pbx.asterisk.render`
turns it into Asterisk's configuration. Nothing here reads a file: text comes in, a
`City` or a `CityError` with line and cure goes out.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
"""A name that is safe in a file name, a dialplan context and a queue name."""

Number = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{2,15}$")]
"""A number as dialled: digits, perhaps one leading plus (E.164 allows 15 digits)."""

Title = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f<>\"\\;\[\]|,]{1,60}$")]
"""Text for people; without what Asterisk's configuration files treat specially."""

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SilentPolicy(StrEnum):
    """What silence, or nothing but noise, leads to after both prompts."""

    RELEASE = "release"
    LOW_PRIORITY = "low-priority"
    OPERATOR = "operator"


class Codec(StrEnum):
    """Telephone codecs a trunk or a phone may use, by Asterisk's names."""

    ALAW = "alaw"
    ULAW = "ulaw"


class Transport(StrEnum):
    """How a softphone reaches us."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class Identity(_Declared):
    """Whose 112 this is."""

    name: Title
    system_name: Name
    """Asterisk's `systemname`: makes call ids unique across nodes."""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] = "id"
    timezone: str = "Asia/Jakarta"

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(
                f"there is no time zone {zone!r}; use a name such as Asia/Jakarta"
            ) from error
        return zone


class Network(_Declared):
    """Addresses and ports. Only SIP and RTP ever leave loopback."""

    sip_address: str = "127.0.0.1"
    sip_port: Port = 5060
    sips_port: Port = 5061
    rtp_first_port: Annotated[int, Field(ge=1024, le=65000)] = 20000
    rtp_last_port: Annotated[int, Field(ge=1024, le=65535)] = 20999
    manager_port: Port = 5038
    agi_port: Port = 4573
    audiosocket_port: Port = 4580
    """Worker i listens on `audiosocket_port + i`."""
    intake_workers: Annotated[int, Field(ge=1, le=32)] = 2
    status_port: Port = 8112

    @field_validator("sip_address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        return str(ipaddress.ip_address(address))

    @model_validator(mode="after")
    def _ports_do_not_collide(self) -> Self:
        if self.rtp_last_port - self.rtp_first_port < 3:
            raise ValueError(
                "rtp_last_port must lie at least 3 above rtp_first_port: a call's two "
                "legs take two ports each"
            )
        tcp = {
            "sip_port": self.sip_port,
            "sips_port": self.sips_port,
            "manager_port": self.manager_port,
            "agi_port": self.agi_port,
            "status_port": self.status_port,
        } | {
            f"audiosocket_port of worker {i}": self.audiosocket_port + i
            for i in range(self.intake_workers)
        }
        taken = Counter(tcp.values())
        clashes = sorted(name for name, port in tcp.items() if taken[port] > 1)
        if clashes:
            raise ValueError(f"these want the same port: {', '.join(clashes)}")
        return self


class Trunk(_Declared):
    """A carrier. It is known by its address alone; nobody else may send calls."""

    name: Name
    addresses: Annotated[list[str], Field(min_length=1)]
    port: Port = 5060
    codecs: Annotated[list[Codec], Field(min_length=1)] = [Codec.ALAW, Codec.ULAW]

    @field_validator("addresses")
    @classmethod
    def _are_networks(cls, addresses: list[str]) -> list[str]:
        for address in addresses:
            network = ipaddress.ip_network(address)
            if network.prefixlen == 0:
                raise ValueError(
                    f"{address} is the whole internet; name the carrier's own addresses"
                )
        return addresses


class Number112(_Declared):
    """A number citizens dial, and what they meet."""

    number: Number
    flow: Name
    queue: Name
    priority: Annotated[int, Field(ge=0, le=100)] = 10


class Flow(_Declared):
    """Filter 0: greet, listen, ask once more, decide. Every end is a human unless
    the policy for proven silence says otherwise."""

    greeting: Name
    second_prompt: Name
    release_prompt: Name
    wait_seconds: Annotated[float, Field(ge=1, le=10)] = 3.0
    """How long to listen after the greeting, in silence, before asking again."""
    second_wait_seconds: Annotated[float, Field(ge=1, le=10)] = 5.0
    silent: SilentPolicy = SilentPolicy.LOW_PRIORITY
    """Media came, and from first to last nothing rose above the line's own floor."""
    noise: SilentPolicy = SilentPolicy.LOW_PRIORITY
    """Something was heard, but neither voice nor key."""
    low_priority: Annotated[int, Field(ge=0, le=100)] = 0
    deadline_seconds: Annotated[int, Field(ge=10, le=60)] = 40
    """The dialplan's own net: after this long the caller goes to the queue anyway."""


class Queue(_Declared):
    """Where callers wait for operators."""

    name: Name
    title: Title
    members: Annotated[list[Number], Field(min_length=1)]
    strategy: Annotated[
        str, StringConstraints(pattern="^(rrmemory|linear|leastrecent|fewestcalls|random)$")
    ] = "rrmemory"
    """`ringall` is not offered: two phones can answer one caller (asterisk#176)."""
    ring_seconds: Annotated[int, Field(ge=5, le=60)] = 12
    wrapup_seconds: Annotated[int, Field(ge=0, le=300)] = 5
    overflow: list[Name] = []
    """Queues tried next, in order, when nobody answers in time or nobody is there."""
    overflow_after_seconds: Annotated[int, Field(ge=10, le=600)] = 60
    hold_prompt: Name


class Operator(_Declared):
    """A person with a softphone."""

    number: Number
    name: Title
    transport: Transport = Transport.UDP


class Destination(_Declared):
    """A number outside that operators may dial or transfer to: an agency."""

    number: Number
    name: Title
    trunk: Name


class City(_Declared):
    """The whole declaration."""

    city: Identity
    network: Network = Network()
    trunks: Annotated[list[Trunk], Field(min_length=1)]
    numbers: Annotated[list[Number112], Field(min_length=1)]
    flows: dict[Name, Flow]
    queues: Annotated[list[Queue], Field(min_length=1)]
    operators: Annotated[list[Operator], Field(min_length=1)]
    destinations: list[Destination] = []

    @model_validator(mode="after")
    def _everything_named_exists(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterable[str]:
        queues = {queue.name for queue in self.queues}
        operators = {operator.number for operator in self.operators}
        trunks = {trunk.name for trunk in self.trunks}
        yield from _twice("trunk", (t.name for t in self.trunks))
        yield from _twice("number", (n.number for n in self.numbers))
        yield from _twice("queue", (q.name for q in self.queues))
        yield from _twice(
            "extension",
            [o.number for o in self.operators] + [d.number for d in self.destinations],
        )
        for number in self.numbers:
            yield from _missing(f"number {number.number}", "queue", number.queue, queues)
            yield from _missing(f"number {number.number}", "flow", number.flow, self.flows)
        for queue in self.queues:
            where = f"queue {queue.name}"
            for member in queue.members:
                yield from _missing(where, "operator", member, operators)
            for name in queue.overflow:
                yield from _missing(where, "overflow queue", name, queues)
            if queue.name in queue.overflow:
                yield f"{where}: overflows into itself; name another queue"
        for destination in self.destinations:
            where = f"destination {destination.number}"
            yield from _missing(where, "trunk", destination.trunk, trunks)

    def prompts(self) -> dict[str, str]:
        """Every prompt the city names → where it is named."""
        named: dict[str, str] = {}
        for name, flow in self.flows.items():
            for step in ("greeting", "second_prompt", "release_prompt"):
                named.setdefault(getattr(flow, step), f"flows.{name}.{step}")
        for queue in self.queues:
            named.setdefault(queue.hold_prompt, f"queue {queue.name}, hold_prompt")
        return named

    def queue(self, name: str) -> Queue:
        """The queue of that name. Raises KeyError if the city declares none."""
        for queue in self.queues:
            if queue.name == name:
                return queue
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a city file."""

    where: str
    """Dotted place in the file, such as `queues.0.members`; empty for the whole."""
    what: str
    line: int | None = None


class CityError(ValueError):
    """A city that must not go live; carries every fault found, not only the first."""

    def __init__(self, source: str, faults: list[Fault]) -> None:
        self.source = source
        self.faults = faults
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line a fault: `file:line: place: what is wrong and its cure`."""
        return [
            ":".join(
                [self.source]
                + ([str(fault.line)] if fault.line else [])
                + ([f" {fault.where}"] if fault.where else [])
                + [f" {fault.what}"]
            )
            for fault in self.faults
        ]


def read_city(text: str, *, source: str, prompts: Collection[str] | None = None) -> City:
    """Turn the text of a city file into a `City`.

    `source` is the file's name for messages; `prompts` the names of the prompts that
    exist (None: do not check). Raises CityError with every fault, its line and cure.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CityError(source, [_toml_fault(error, text)]) from error
    try:
        city = City.model_validate(raw)
    except ValidationError as error:
        raise CityError(
            source, [_fault(dict(item), text) for item in error.errors()]
        ) from error
    if prompts is not None:
        unknown = [
            Fault(
                where,
                f"there is no prompt {name!r}; known: {', '.join(sorted(prompts))}. "
                "Add its text to sounds/ or correct the name",
                _line_of(text, [name]),
            )
            for name, where in city.prompts().items()
            if name not in prompts
        ]
        if unknown:
            raise CityError(source, unknown)
    return city


def _twice(kind: str, names: Iterable[str]) -> Iterable[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{kind} {name} is declared {count} times; keep one"


def _missing(where: str, kind: str, name: str, known: Collection[str]) -> Iterable[str]:
    if name not in known:
        yield (
            f"{where}: there is no {kind} {name!r}; "
            f"declared: {', '.join(sorted(known)) or 'none'}"
        )


def _toml_fault(error: tomllib.TOMLDecodeError, text: str) -> Fault:
    message = str(error)
    head, _, tail = message.partition(" (at line ")
    if tail:
        return Fault("", f"not TOML: {head}", int(tail.split(",")[0]))
    return Fault("", f"not TOML: {message}", len(text.splitlines()) or 1)


_CURES = {
    "extra_forbidden": "unknown setting; remove it or correct its spelling",
    "missing": "must be declared",
}


def _fault(item: dict[str, Any], text: str) -> Fault:
    place = [str(part) for part in item["loc"]]
    what = _CURES.get(item["type"], str(item["msg"]).removeprefix("Value error, "))
    shown = item.get("input")
    if item["type"] not in _CURES and isinstance(shown, str | int | float):
        what += f" (is {shown!r})"
    return Fault(".".join(place), what, _line_of(text, place))


def _line_of(text: str, place: list[str]) -> int | None:
    """The line a dotted place stands on, as well as plain text search can tell."""
    lines = text.splitlines()
    start = 0
    found: int | None = None
    for depth, part in enumerate(place):
        if part.isdigit():
            heads = [
                i
                for i, line in enumerate(lines)
                if line.strip() == f"[[{'.'.join(place[:depth])}]]"
            ]
            if int(part) < len(heads):
                start = found = heads[int(part)]
            continue
        for i in range(start, len(lines)):
            stripped = lines[i].strip()
            header = stripped.strip("[] ")
            if (
                (stripped.startswith("[") and header.split(".")[-1] == part)
                or stripped.split("=")[0].strip() == part
                or (len(place) == 1 and f'"{part}"' in stripped)
            ):
                start = found = i
                break
    return None if found is None else found + 1
