"""`gerbang feed` as a process: without a database, without its port, ended."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pbx.settings import PROJECT
from tests.fakes.live_city import on_free_ports
from tests.postgres import Postgres

pytestmark = pytest.mark.postgres


@contextmanager
def started(place: Path, url: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process and its port."""
    city = place / "city.toml"
    if not city.exists():
        text = (PROJECT / "asterisk-config" / "city.toml").read_text()
        city.write_text(on_free_ports(text))
    found = re.search(r"^feed_port = (\d+)", city.read_text(), re.M)
    assert found
    here = os.environ | {
        "GERBANG_STATE": str(place / "var"),
        "GERBANG_CITY": str(city),
        "GERBANG_DATABASE_URL": url,
    }
    with (place / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pbx", "feed"], cwd=PROJECT, env=here, stdout=log
        )
    try:
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()


async def health(port: int, wanted: int) -> None:
    """Wait until it says so."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/v1/health") as answer:
                    if answer.status == wanted:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def alarms(place: Path, wanted: set[str]) -> dict[str, Any]:
    """The status file, once exactly these stand."""
    path = place / "var" / "run" / "feed.status.json"
    async with asyncio.timeout(60):
        while True:
            if path.exists():
                told: dict[str, Any] = json.loads(path.read_text())
                if set(told["alarms"]) == wanted:
                    return told
            await asyncio.sleep(0.05)


async def test_it_starts_without_a_database_and_ends_when_asked(
    tmp_path: Path, postgres_server: Postgres, postgres_url: str
) -> None:
    await asyncio.to_thread(postgres_server.stop)
    with started(tmp_path, postgres_url.replace("+asyncpg", "")) as (process, port):
        await health(port, 503)
        await alarms(tmp_path, {"feed-store-unreachable"})
        await asyncio.to_thread(postgres_server.start)
        await health(port, 200)
        told = await alarms(tmp_path, set())
        assert told["figures"]["newest"] == 0
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0


async def test_a_taken_port_is_an_alarm_and_its_end_a_recovery(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'records.sqlite3'}"
    text = on_free_ports((PROJECT / "asterisk-config" / "city.toml").read_text())
    (tmp_path / "city.toml").write_text(text)
    found = re.search(r"^feed_port = (\d+)", text, re.M)
    assert found
    with closing(socket.socket()) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", int(found[1])))
        holder.listen()
        with started(tmp_path, url) as (_, port):
            told = await alarms(tmp_path, {"part-feed-http"})
            assert "feed" in told["alarms"]["part-feed-http"]["sentence"]
            holder.close()
            await health(port, 200)
            await alarms(tmp_path, set())


def test_without_a_city_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text("[city]\nname = 5\n")
    done = subprocess.run(
        [sys.executable, "-m", "pbx", "feed"],
        cwd=PROJECT,
        env=os.environ
        | {
            "GERBANG_STATE": str(tmp_path / "var"),
            "GERBANG_CITY": str(tmp_path / "city.toml"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "gerbang feed: " in done.stderr
    assert "city.toml:2" in done.stderr
