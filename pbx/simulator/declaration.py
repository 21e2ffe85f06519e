"""A declared city moved to addresses and ports of its own, for trials."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

Declaration = dict[str, Any]
"""A city file as `tomllib` reads it."""


_taken = itertools.count()


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A /24 of loopback: nobody else's as long as this process lives.

    Linux answers on all of 127.0.0.0/8 without any set-up; the network is picked by
    process id, so that trials running side by side do not meet.
    """

    prefix: str

    @classmethod
    def own(cls) -> Neighbourhood:
        """A new one at each call, so that cities of one process do not meet either."""
        place = os.getpid() + next(_taken) * 7919
        return cls(f"127.{16 + place // 250 % 200}.{1 + place % 250}")

    @property
    def city(self) -> str:
        """Where the city's SIP and RTP live."""
        return f"{self.prefix}.1"

    @property
    def carrier(self) -> str:
        """The trunk's address."""
        return f"{self.prefix}.2"

    @property
    def stranger(self) -> str:
        """An address nobody declared."""
        return f"{self.prefix}.66"

    def phone(self, number: str) -> str:
        """The softphone of an operator."""
        return f"{self.prefix}.{100 + int(number) % 100}"


def moved(declared: Declaration, place: Neighbourhood) -> Declaration:
    """The same city at other addresses, on free ports."""
    workers = int(declared.get("network", {}).get("intake_workers", 2))
    free = iter(free_ports(4))
    network = declared.get("network", {}) | {
        "sip_address": place.city,
        "manager_port": next(free),
        "agi_port": next(free),
        "status_port": next(free),
        "feed_port": next(free),
        "audiosocket_port": free_run(workers),
    }
    trunks = [
        trunk | {"addresses": [f"{place.carrier}/32"]} for trunk in declared["trunks"]
    ]
    return declared | {"network": network, "trunks": trunks}


_DRAWN_FROM, _DRAWN_TO = 10_000, 20_000
"""Below Linux's own range (32768 …) and our RTP: between our look and our use no
outgoing connection can take one of these."""
_DRAWS = 1000
_given: set[int] = set()
"""Drawn by this process already: two draws for one city must not meet."""
_marked: deque[socket.socket] = deque()
_MOST_MARKED = 200
"""Names only this process can hold, of the last ports it was given: so that another
trial is not given them between our look and our use."""


def free_ports(count: int) -> list[int]:
    """So many ports of 127.0.0.1 that nobody listens on now.

    Raises OSError if none are to be had.
    """
    return [free_run(1) for _ in range(count)]


def free_run(count: int) -> int:
    """The first of so many free ports in a row, none of them given before. Raises
    OSError without such a row."""
    if len(_given) > (_DRAWN_TO - _DRAWN_FROM) // 2:
        _given.clear()  # the oldest are long out of use
    for _ in range(_DRAWS):
        first = _DRAWN_FROM + secrets.randbelow(_DRAWN_TO - _DRAWN_FROM - count)
        row = range(first, first + count)
        if not _given.isdisjoint(row):
            continue
        try:
            with ExitStack() as held:
                marks = [_mark(port, held) for port in row]
                for port in row:
                    held.enter_context(_probe(port))
                _marked.extend(mark.dup() for mark in marks)
        except OSError:
            continue
        _given.update(row)
        while len(_marked) > _MOST_MARKED:
            _marked.popleft().close()
        return first
    raise OSError(
        f"no {count} free ports in a row between {_DRAWN_FROM} and {_DRAWN_TO}; end "
        "what listens there"
    )


def _mark(port: int, held: ExitStack) -> socket.socket:
    """Hold a port's name in Linux's abstract namespace (unix(7)), which ends with its
    last holder. Raises OSError if another process holds it."""
    mark = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    mark.bind(f"\0gerbang-port-{port}")
    return mark


def _probe(port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        raise
    return probe


def toml(declared: Declaration) -> str:
    """Write what `tomllib` reads: as much of TOML as a city file needs."""
    return "\n".join(_table((), declared)) + "\n"


def _table(path: tuple[str, ...], table: Declaration) -> Iterator[str]:
    for key, value in table.items():
        if not isinstance(value, dict) and not _is_tables(value):
            yield f"{key} = {json.dumps(value)}"
    for key, value in table.items():
        name = ".".join((*path, key))
        if isinstance(value, dict):
            yield f"\n[{name}]"
            yield from _table((*path, key), value)
        elif _is_tables(value):
            for entry in value:
                yield f"\n[[{name}]]"
                yield from _table((*path, key), entry)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
