"""The rendered reference city on a real Asterisk: who gets in, and who does not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
import pytest

from pbx.asterisk.check import complaints
from pbx.asterisk.run import find_root, service_user
from pbx.settings import Settings
from tests.fakes.live_city import LiveCity, live_city
from tests.fakes.sip_peer import SipPeer
from tests.patience import journal_records, until, whole_lines

pytestmark = pytest.mark.asterisk

TRUNK = "127.0.0.2"
STRANGER = "127.0.0.66"


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveCity]:
    async with live_city(tmp_path, find_root(Settings()), service_user()) as city:
        yield city


def journal(live: LiveCity) -> list[dict[str, Any]]:
    """What Asterisk told. Its JSON writer leaves backslashes as they are: the line of
    a caller with one in his display name is no JSON (pbx/model/events.py salvages)."""
    told = []
    for line in journal_records(live.settings.journal):
        with suppress(json.JSONDecodeError):
            told.append(json.loads(line))
    return told


def facts(live: LiveCity, name: str) -> list[str]:
    return [
        json.loads(event["eventextra"])["extra"]
        for event in journal(live)
        if event["eventtype"] == name
    ]


def password(live: LiveCity, number: str) -> str:
    told = json.loads(live.settings.secrets_file.read_text())
    return str(told["operators"][number])


async def test_it_boots_without_one_warning(live: LiveCity) -> None:
    log = live.settings.asterisk_home / "log" / "messages.log"
    assert complaints(log.read_text().splitlines()) == []
    assert complaints(live.asterisk.last_lines) == []


async def test_a_stranger_never_reaches_the_dialplan(live: LiveCity) -> None:
    with SipPeer(STRANGER, live.sip) as peer:
        for sender in ("0812345", "101", "anonymous", "carrier"):
            assert (await peer.invite("112", sender=sender)).code == 401, sender
    assert not live.settings.journal.exists()
    security = live.settings.asterisk_home / "log" / "security.jsonl"
    await until(lambda: STRANGER in str(whole_lines(security)))


async def test_an_operator_registers_with_his_password_only(live: LiveCity) -> None:
    with SipPeer(STRANGER, live.sip) as peer:
        assert (await peer.register("101", "wrong")).code == 401
        assert (await peer.register("199", password(live, "101"))).code == 401
        assert "No objects" in await live.console("pjsip list contacts like 101")
        assert (await peer.register("101", password(live, "101"))).code == 200
    contacts = await live.console("pjsip show contacts")
    assert f"101/sip:101@{STRANGER}" in contacts


async def test_operators_reach_only_what_the_city_declares(live: LiveCity) -> None:
    with SipPeer(STRANGER, live.sip) as peer:
        for number in ("081234567890", "112", "00441234", "s", "refused", "T"):
            reply = await peer.invite_as("101", password(live, "101"), number)
            assert reply.code in (404, 484, 503), (number, reply.code)
        # nobody has registered 102: the dialplan is asked, and its phone is not there
        reply = await peer.invite_as("101", password(live, "101"), "102")
        assert reply.code == 503
    assert facts(live, "OFFERED") == []
    started = [e for e in journal(live) if e["eventtype"] == "APP_START"]
    assert {(e["appname"], e["exten"]) for e in started} == {("Dial", "102")}


@pytest.mark.parametrize("number", ["112", "+62112", "sos", "0", "%22%3B%2C"])
async def test_whatever_a_carrier_dials_is_a_citizen(
    live: LiveCity, number: str
) -> None:
    with SipPeer(TRUNK, live.sip) as peer:
        reply = await peer.invite(
            number,
            **{"P-Asserted-Identity": '"A\\",b;${SHELL(id)}" <sip:+62812@x>'},
        )
        assert reply.code == 200
    await until(lambda: facts(live, "OFFERED"))
    (told,) = facts(live, "OFFERED")
    assert told.startswith("number=112&trunk=carrier&ani=%2B62812&presentation=")
    await until(lambda: facts(live, "QUEUED"))  # degraded: there is no intake at all
    assert facts(live, "DEGRADED") == ["heard=nothing"]
    assert facts(live, "QUEUED")[0] == "queue=darurat&priority=10&rung=1"
    offered = next(e for e in journal(live) if e["eventtype"] == "OFFERED")
    shown = await live.console(f"core show channel {offered['channame']}")
    (name,) = re.findall(r"Caller ID Name: (.*)", shown)
    assert name == "AbSHELLid"
    (header,) = facts(live, "CALLER")
    assert not set('"\\,;${}') & set(header)
    said = unquote(header).replace("\x01", ":")
    assert said.endswith('value="A\\",b;${SHELL(id)}" <sip:+62812@x>')


async def test_with_nobody_on_duty_a_caller_stays_and_hears_it_ring(
    live: LiveCity,
) -> None:
    with SipPeer(TRUNK, live.sip) as peer:
        assert (await peer.invite("112")).code == 200
        await until(lambda: len(facts(live, "QUEUED")) == 3)
        assert [f.split("status=")[1] for f in facts(live, "QUEUE_LEFT")] == [
            "JOINEMPTY&rung=1",
            "JOINEMPTY&rung=2",
        ]
        waiting = await live.console("queue show darurat-patient")
        assert "has 1 calls" in waiting
        assert "wait: 0:0" in waiting


async def test_the_watchdogs_redirect_brings_a_caller_to_the_queue(
    live: LiveCity,
) -> None:
    manager = await Manager.login(live)
    with SipPeer(TRUNK, live.sip) as peer:
        assert (await peer.invite("112")).code == 200
        await until(lambda: len(facts(live, "QUEUED")) == 3)
        (channel,) = {e["channame"] for e in journal(live) if e["channame"]}
        said = await manager.act(
            "Redirect", Channel=channel, Context="rescue", Exten="s", Priority="1"
        )
        assert "Success" in said
        await until(lambda: facts(live, "RESCUED") == ["reason=watchdog"])
        await until(lambda: len(facts(live, "QUEUED")) == 6)
    manager.close()


async def test_the_manager_link_cannot_run_anything(live: LiveCity) -> None:
    manager = await Manager.login(live)
    for name, more in (
        ("Originate", {"Channel": "PJSIP/101", "Application": "Wait", "Data": "1"}),
        ("Command", {"Command": "core show uptime"}),
        ("GetConfig", {"Filename": "manager.conf"}),
        ("UpdateConfig", {"SrcFilename": "a.conf", "DstFilename": "b.conf"}),
        ("ModuleLoad", {"LoadType": "reload"}),
        ("Reload", {}),
        ("DBPut", {"Family": "released-0", "Key": "1", "Val": "1"}),
    ):
        assert "Permission denied" in await manager.act(name, **more), name
    assert "Success" in await manager.act("QueueStatus")
    assert "Success" in await manager.act("CoreShowChannels")
    said = await manager.act(
        "Setvar", Variable="SHELL(touch /tmp/gerbang-hole)", Value="1"
    )
    assert "Success" not in said
    manager.close()


async def test_nobody_else_logs_in(live: LiveCity) -> None:
    with pytest.raises(AssertionError, match="Authentication failed"):
        await Manager.login(live, secret="x")


async def test_everything_listens_on_loopback_alone(live: LiveCity) -> None:
    with SipPeer(TRUNK, live.sip) as peer:
        assert (await peer.invite("112")).code == 200  # its media has sockets, too
        process = psutil.Process(live.pid)
        addresses = {
            (c.laddr.ip, c.laddr.port)
            for c in process.net_connections(kind="inet")
            if c.laddr and not c.raddr
        }
    network = live.city.network
    own = {network.sip_port, network.sips_port, network.manager_port}
    media = range(network.rtp_first_port, network.rtp_last_port + 1)
    assert {port for ip, port in addresses if ip == "127.0.0.1"} >= own
    assert [port for _, port in addresses if port in media]
    elsewhere = [(ip, port) for ip, port in addresses if ip != "127.0.0.1"]
    # PJSIP opens two UDP sockets to ask name servers; they hear answers, nothing else.
    assert len(elsewhere) <= 2
    assert not {port for _, port in elsewhere} & ({*own} | {*media})
    assert all(kind == socket.SOCK_DGRAM for kind in kinds(process, elsewhere))


def kinds(process: psutil.Process, places: list[tuple[str, int]]) -> list[int]:
    return [
        connection.type
        for connection in process.net_connections(kind="inet")
        if connection.laddr and tuple(connection.laddr) in places
    ]


async def test_what_is_secret_is_readable_by_its_owner_alone(live: LiveCity) -> None:
    home = live.settings.asterisk_home
    secret = [live.settings.secrets_file, home / "tls" / "key.pem"]
    secret += (home / "current").resolve().iterdir()
    for path in secret:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for name in (".", "releases", "tls", "log", "db", "run", "spool"):
        assert stat.S_IMODE((home / name).stat().st_mode) & 0o007 == 0, name
    if os.geteuid() == 0:
        owners = {path.stat().st_uid for path in secret[1:]}
        assert owners == {(user := service_user()) and user.uid}
        assert live.settings.secrets_file.stat().st_uid == 0


class Manager:
    """The manager link, spoken by hand."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def login(cls, live: LiveCity, secret: str | None = None) -> Manager:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", live.city.network.manager_port
        )
        await reader.readline()
        link = cls(reader, writer)
        said = await link.act(
            "Login", Username="control", Secret=secret or live.secret, Events="off"
        )
        if "Success" not in said:
            link.close()
            raise AssertionError(said)
        return link

    async def act(self, name: str, **headers: str) -> str:
        lines = [f"Action: {name}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        self._writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(30):
            while True:
                block = (await self._reader.readuntil(b"\r\n\r\n")).decode()
                if block.startswith("Response:"):
                    return block

    def close(self) -> None:
        self._writer.close()
