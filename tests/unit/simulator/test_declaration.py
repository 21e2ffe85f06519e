"""A city moved to places of its own is still the same valid city."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import tomllib
from contextlib import suppress

import pytest

from pbx.model.city import read_city
from pbx.settings import PROJECT
from pbx.simulator import declaration
from pbx.simulator.declaration import (
    Neighbourhood,
    free_ports,
    free_run,
    moved,
    toml,
)

REFERENCE = tomllib.loads((PROJECT / "asterisk-config/city.toml").read_text())


def test_toml_is_read_back_as_it_was() -> None:
    assert tomllib.loads(toml(REFERENCE)) == REFERENCE


def test_a_moved_city_is_valid_and_elsewhere() -> None:
    place = Neighbourhood("127.77.7")
    city = read_city(toml(moved(REFERENCE, place)), source="moved")
    assert city.network.sip_address == place.city == "127.77.7.1"
    assert city.trunks[0].addresses == ["127.77.7.2/32"]
    assert len({place.city, place.carrier, place.stranger, place.phone("101")}) == 4
    assert city.queues == read_city(toml(REFERENCE), source="here").queues


def test_two_neighbourhoods_do_not_meet() -> None:
    assert Neighbourhood.own() != Neighbourhood.own()


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    first = free_run(4)
    for port in range(first, first + 4):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a range nearly used up, too; only when half of it is given it begins anew."""
    monkeypatch.setattr("pbx.simulator.declaration._given", given := set[int]())
    monkeypatch.setattr("pbx.simulator.declaration._DRAWN_FROM", 18_000)
    monkeypatch.setattr("pbx.simulator.declaration._DRAWN_TO", 18_041)
    ports = [*free_ports(12), free_run(3)]
    assert len(set(ports)) == 13
    assert len(given) == 15
    free_ports(6)
    assert len(given) == 21
    free_ports(1)
    assert len(given) == 1


def test_another_process_is_given_other_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look whether a port is free and its use lies a start of Asterisk."""
    monkeypatch.setattr("pbx.simulator.declaration._DRAWN_FROM", 18_100)
    monkeypatch.setattr("pbx.simulator.declaration._DRAWN_TO", 18_111)
    code = (
        "from pbx.simulator import declaration as d; "
        "d._DRAWN_FROM, d._DRAWN_TO = 18_100, 18_111; "
        "print(d.free_run(4), flush=True); input()"
    )
    argv = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True) as one:
        assert one.stdout
        first = int(one.stdout.readline())
        theirs = set(range(first, first + 4))
        ours: set[int] = set()
        with suppress(OSError):  # until we hold all the others
            while True:
                ours.add(free_run(1))
        assert ours
        assert ours.isdisjoint(theirs)
        one.communicate("\n")


def test_the_oldest_marks_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbx.simulator.declaration._MOST_MARKED", 5)
    free_ports(9)
    assert len(declaration._marked) == 5


def test_no_run_of_ports_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(port: int) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "taken")

    monkeypatch.setattr("pbx.simulator.declaration._probe", taken)
    with pytest.raises(OSError, match="in a row"):
        free_run(4)
