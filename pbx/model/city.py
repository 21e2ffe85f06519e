"""The declared city: everything an admin may say about a 112 service.

One TOML file says it, this module says what may be said, and `pbx.asterisk.render`
turns it into Asterisk's configuration. Nothing here reads a file: text comes in, a
`City` or a `CityError` with line and cure goes out.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Self
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

from pbx.model.faults import CityError as CityError
from pbx.model.faults import ContradictionError, Problem, faults_of, line_of, toml_fault
from pbx.model.faults import Fault as Fault
from pbx.model.feed import Feed
from pbx.model.policy import Policy
from pbx.model.recording import Recording
from pbx.model.retention import Retention

_NAME = r"^[a-z][a-z0-9-]{0,39}$"
_NUMBER = r"^\+?[0-9]{2,15}$"
_EXTENSION = r"^[0-9]{2,15}$"
_UNSAFE = r"\p{C}\p{Zl}\p{Zp}<>\"\\;\[\]|,$`{}"
_TITLE = rf"^[^{_UNSAFE}\p{{Z}}][^{_UNSAFE}]{{0,59}}$"
_STRATEGY = "^(rrmemory|linear|leastrecent|fewestcalls|random)$"
_LANGUAGE = r"^[a-z]{2}$"

_IN_WORDS = {
    _NAME: "a name has small letters, digits and dashes, begins with a letter and has "
    "at most 40 characters",
    _NUMBER: "a number has 2 to 15 digits, perhaps with a plus before them",
    _EXTENSION: "an operator's number has 2 to 15 digits and nothing else",
    _TITLE: 'a title has 1 to 60 characters, none of < > " \\ ; [ ] | , $ ` { }, and '
    "begins with no space",
    _STRATEGY: "the strategy is rrmemory, linear, leastrecent, fewestcalls or random",
    _LANGUAGE: "a language is two small letters such as id",
}

Name = Annotated[str, StringConstraints(pattern=_NAME)]
"""A name that is safe in a file name, a dialplan context and a queue name."""

Number = Annotated[str, StringConstraints(pattern=_NUMBER)]
"""A number as dialled: digits, perhaps one leading plus (E.164 allows 15 digits)."""

Extension = Annotated[str, StringConstraints(pattern=_EXTENSION)]
"""An operator's own number; also the user name of his phone."""

Title = Annotated[str, StringConstraints(pattern=_TITLE)]
"""Text for people; without what Asterisk's configuration files treat specially."""

Port = Annotated[int, Field(ge=1, le=65535)]
OwnPort = Annotated[int, Field(ge=1024, le=65535)]
"""A port we listen on: as an unprivileged user, so none below 1024."""

Seconds = Annotated[float, Field(gt=0, le=3600)]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    language: Annotated[str, StringConstraints(pattern=_LANGUAGE)] = "id"
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
    sip_port: OwnPort = 5060
    sips_port: OwnPort = 5061
    rtp_first_port: Annotated[int, Field(ge=1024, le=65000)] = 20000
    rtp_last_port: Annotated[int, Field(ge=1024, le=65535)] = 29999
    """Four ports a call with its operator. When they run out, callers who wait hold all
    of them, new ones are refused and no operator can be rung: be generous."""
    manager_port: OwnPort = 5038
    agi_port: OwnPort = 4573
    audiosocket_port: OwnPort = 4580
    """Worker i listens on `audiosocket_port + i`."""
    intake_workers: Annotated[int, Field(ge=1, le=32)] = 2
    status_port: OwnPort = 8112
    feed_port: OwnPort = 8113
    """Records for other services: `gerbang feed`."""

    @field_validator("sip_address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        try:
            return str(ipaddress.ip_address(address))
        except ValueError as error:
            raise ValueError(f"{error}; write one such as 192.0.2.10") from error

    @model_validator(mode="after")
    def _ports_do_not_collide(self) -> Self:
        if self.rtp_last_port - self.rtp_first_port < 3:
            raise ValueError(
                "rtp_last_port must lie at least 3 above rtp_first_port: a call's two "
                "legs take two ports each"
            )
        media = range(self.rtp_first_port, self.rtp_last_port + 1)
        if self.sip_port in media:
            raise ValueError(
                f"sip_port {self.sip_port} lies in the range of the media's ports "
                f"(rtp_first_port to rtp_last_port); move one of them"
            )
        tcp = {
            "sip_port": self.sip_port,
            "sips_port": self.sips_port,
            "manager_port": self.manager_port,
            "agi_port": self.agi_port,
            "status_port": self.status_port,
            "feed_port": self.feed_port,
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
            try:
                network = ipaddress.ip_network(address)
            except ValueError as error:
                raise ValueError(
                    f"{error}; write an address such as 203.0.113.7/32 or a network "
                    f"such as 203.0.113.0/24"
                ) from error
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
    filter: Policy = Policy()
    """What each kind of caller without a sign of life leads to."""
    low_priority: Annotated[int, Field(ge=0, le=100)] = 0
    deadline_seconds: Annotated[int, Field(ge=10, le=60)] = 40
    """The dialplan's own net: after this long the caller goes to the queue anyway."""

    @model_validator(mode="after")
    def _goodbye_asks_nothing(self) -> Self:
        if self.release_prompt in (self.greeting, self.second_prompt):
            raise ValueError(
                f"release_prompt {self.release_prompt!r} also asks callers whether "
                "they are there; say goodbye with a prompt of its own, such as goodbye"
            )
        return self

    @model_validator(mode="after")
    def _deadline_leaves_time(self) -> Self:
        waits = self.wait_seconds + self.second_wait_seconds
        if self.deadline_seconds <= waits:
            raise ValueError(
                f"deadline_seconds {self.deadline_seconds} ends the flow before both "
                f"waits of {waits:g} s are over; the prompts need about 12 s more"
            )
        return self


class Queue(_Declared):
    """Where callers wait for operators."""

    name: Name
    title: Title
    members: Annotated[list[Extension], Field(min_length=1)]
    strategy: Annotated[str, StringConstraints(pattern=_STRATEGY)] = "rrmemory"
    """`ringall` is not offered: two phones can answer one caller (asterisk#176)."""
    ring_seconds: Annotated[int, Field(ge=5, le=60)] = 12
    wrapup_seconds: Annotated[int, Field(ge=0, le=300)] = 5
    overflow: list[Name] = []
    """Queues tried next, in order, when nobody answers in time or nobody is there."""
    overflow_after_seconds: Annotated[int, Field(ge=10, le=600)] = 60
    hold_prompt: Name


class Operator(_Declared):
    """A person with a softphone."""

    number: Extension
    name: Title
    transport: Transport = Transport.UDP


class Destination(_Declared):
    """A number outside that operators may dial or transfer to: an agency."""

    number: Number
    name: Title
    trunk: Name


_RESERVED_TRUNKS = frozenset(
    {"global", "system", "operator", "operator-line", "operator-login"}
    | {f"transport-{transport}" for transport in Transport}
)
"""Sections of pjsip.conf that are ours."""

_RESERVED_QUEUES = frozenset({"general", "queue", "strict", "patient"})
"""Sections of queues.conf that are ours."""


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
    retention: Retention = Retention()
    feed: Feed = Feed()
    recording: Recording = Recording()

    @model_validator(mode="after")
    def _everything_named_exists(self) -> Self:
        problems = [*self._doubled(), *self._dangling(), *self._ambiguous()]
        if problems:
            raise ContradictionError(problems)
        return self

    def _doubled(self) -> Iterable[Problem]:
        phones = _places("operators", "number", [o.number for o in self.operators])
        goals = _places("destinations", "number", [d.number for d in self.destinations])
        yield from _twice("number", phones | goals)
        dialled = [number.number for number in self.numbers]
        yield from _twice("number", _places("numbers", "number", dialled))
        for kind, taken, reserved in (
            ("trunks", [trunk.name for trunk in self.trunks], _RESERVED_TRUNKS),
            ("queues", [queue.name for queue in self.queues], _RESERVED_QUEUES),
        ):
            names = _places(kind, "name", taken)
            yield from _twice("name", names)
            for place, name in names.items():
                if name in reserved or name.endswith("-patient"):
                    yield place, f"the name {name!r} is taken by ourselves; use another"

    def _dangling(self) -> Iterable[Problem]:
        queues = {queue.name for queue in self.queues}
        operators = {operator.number for operator in self.operators}
        trunks = {trunk.name for trunk in self.trunks}
        for i, number in enumerate(self.numbers):
            at = f"numbers.{i}"
            yield from _missing(f"{at}.queue", "queue", number.queue, queues)
            yield from _missing(f"{at}.flow", "flow", number.flow, self.flows)
        for i, queue in enumerate(self.queues):
            for member in queue.members:
                yield from _missing(
                    f"queues.{i}.members", "operator", member, operators
                )
            for name in queue.overflow:
                yield from _missing(f"queues.{i}.overflow", "queue", name, queues)
            if queue.name in queue.overflow:
                yield (
                    f"queues.{i}.overflow",
                    f"{queue.name} overflows into itself; name another queue",
                )
        for i, goal in enumerate(self.destinations):
            yield from _missing(f"destinations.{i}.trunk", "trunk", goal.trunk, trunks)

    def _ambiguous(self) -> Iterable[Problem]:
        used = {destination.trunk for destination in self.destinations}
        seen: list[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network]] = []
        for i, trunk in enumerate(self.trunks):
            networks = [ipaddress.ip_network(address) for address in trunk.addresses]
            if trunk.name in used and networks[0].num_addresses > 1:
                yield (
                    f"trunks.{i}.addresses",
                    f"calls go out to {trunk.name}, so its first address must be a "
                    f"single one, not {networks[0]}",
                )
            for network in networks:
                for name, other in seen:
                    if network.version == other.version and network.overlaps(other):
                        yield (
                            f"trunks.{i}.addresses",
                            f"{network} is also {name}'s ({other}); a call from there "
                            f"could belong to either",
                        )
                seen.append((trunk.name, network))

    def prompts(self) -> dict[str, str]:
        """Every prompt the city names → the place that names it first."""
        named: dict[str, str] = {}
        for name, flow in self.flows.items():
            for step in ("greeting", "second_prompt", "release_prompt"):
                named.setdefault(getattr(flow, step), f"flows.{name}.{step}")
        for i, queue in enumerate(self.queues):
            named.setdefault(queue.hold_prompt, f"queues.{i}.hold_prompt")
        return named

    def queue(self, name: str) -> Queue:
        """The queue of that name. Raises KeyError if the city declares none."""
        for queue in self.queues:
            if queue.name == name:
                return queue
        raise KeyError(name)


def read_city(
    text: str, *, source: str, prompts: Collection[str] | None = None
) -> City:
    """Turn the text of a city file into a `City`.

    `source` is the file's name for messages; `prompts` the names of the prompts that
    exist (None: do not check). Raises CityError with every fault, its line and cure.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CityError(source, [toml_fault(error, text)]) from error
    try:
        city = City.model_validate(raw)
    except ValidationError as error:
        faults = [
            f for item in error.errors() for f in faults_of(dict(item), text, _IN_WORDS)
        ]
        raise CityError(source, faults) from error
    known = None if prompts is None else ", ".join(sorted(prompts))
    unknown = [
        Fault(
            where,
            f"there is no prompt {name!r}; known: {known or 'none'}. "
            "Add its text to sounds/ or correct the name",
            line_of(text, where.split(".")),
        )
        for name, where in city.prompts().items()
        if prompts is not None and name not in prompts
    ]
    if unknown:
        raise CityError(source, unknown)
    return city


def _places(kind: str, key: str, values: list[str]) -> dict[str, str]:
    """Dotted place → value, for one key of a list of tables."""
    return {f"{kind}.{index}.{key}": value for index, value in enumerate(values)}


def _twice(kind: str, names: Mapping[str, str]) -> Iterable[Problem]:
    """`names` is place → name; every place but the first of a name is a problem."""
    first: dict[str, str] = {}
    for place, name in names.items():
        if name in first:
            yield place, f"the {kind} {name} is declared at {first[name]} already"
        first.setdefault(name, place)


def _missing(
    place: str, kind: str, name: str, known: Collection[str]
) -> Iterable[Problem]:
    if name not in known:
        yield (
            place,
            f"there is no {kind} {name!r}; "
            f"declared: {', '.join(sorted(known)) or 'none'}",
        )
