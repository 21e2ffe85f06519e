"""The reference city on a real Asterisk of a test's own: free ports, scratch home."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pbx.ami import Login
from pbx.asterisk import run
from pbx.asterisk.activate import activate
from pbx.model.city import City, read_city
from pbx.settings import PROJECT, Settings
from pbx.simulator.declaration import free_ports, free_run


@dataclass
class LiveCity:
    """A booted Asterisk and the settings that lead to it."""

    settings: Settings
    city: City
    asterisk: run.Asterisk

    @property
    def secret(self) -> str:
        told = json.loads(self.settings.secrets_file.read_text())
        return str(told["manager"]["control"])

    def login(self) -> Login:
        return Login(
            "127.0.0.1", self.city.network.manager_port, "control", self.secret
        )

    @property
    def sip(self) -> tuple[str, int]:
        return self.city.network.sip_address, self.city.network.sip_port

    async def console(self, line: str) -> str:
        return await run.console(self.settings.asterisk_home, line)

    @property
    def pid(self) -> int:
        pid = run.running_pid(self.settings.asterisk_home)
        assert pid
        return pid

    async def start(self) -> None:
        await self.asterisk.start()
        await self.asterisk.wait_booted()

    async def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        await self.asterisk.wait()


_PORTS = (
    "sip_port",
    "sips_port",
    "manager_port",
    "agi_port",
    "status_port",
    "feed_port",
)


def on_free_ports(text: str) -> str:
    """The city's text with every port it listens on replaced by a free one."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    ports["audiosocket_port"] = free_run(2)  # one for each worker of the intake
    for name, port in ports.items():
        text = re.sub(rf"^{name} = \d+", f"{name} = {port}", text, flags=re.M)
    return text


@asynccontextmanager
async def live_city(
    state: Path, root: run.Root, user: run.User | None
) -> AsyncIterator[LiveCity]:
    settings = Settings(state=state, city_file=state / "city.toml")
    text = on_free_ports((PROJECT / "asterisk-config" / "city.toml").read_text())
    settings.city_file.write_text(text)
    city = read_city(text, source="city.toml")
    activate(settings.asterisk_home, city, user)
    settings.sounds.mkdir()
    asterisk = run.Asterisk(
        root, settings.asterisk_home, settings.sounds, user, die_with_parent=True
    )
    live = LiveCity(settings, city, asterisk)
    try:
        await live.start()
        yield live
    finally:
        with suppress(AssertionError, ProcessLookupError):
            os.kill(live.pid, signal.SIGCONT)
        await live.asterisk.stop()
