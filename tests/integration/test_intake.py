"""Whole calls through one intake worker, by real AGI and AudioSocket connections."""

from __future__ import annotations

import asyncio
import socket
import struct
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from agi.server import Worker
from pbx.settings import PROJECT, Settings
from tests.fakes.asterisk import FRAME, Caller, CallResult, headers, place_call

GREETING_SECONDS = 1.0
SECOND_SECONDS = 0.6

RNG = np.random.default_rng(112)
COMFORT_NOISE = RNG.normal(0, 12, 160).astype("<i2").tobytes()
"""One frame at about −69 dBFS, the same each time: the quietest line there is."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tone(seconds: float, level: int = 8000) -> bytes:
    t = np.arange(int(8000 * seconds))
    return (level * np.sin(2 * np.pi * 440 * t / 8000)).astype("<i2").tobytes()


def write_prompt(settings: Settings, name: str, seconds: float) -> None:
    path = settings.sounds / "id" / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(tone(seconds))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    text = (PROJECT / "asterisk-config" / "city.toml").read_text()
    for setting, port in (("agi_port", 4573), ("audiosocket_port", 4580)):
        text = text.replace(f"{setting} = {port}", f"{setting} = {free_port()}")
    text = text.replace("wait_seconds = 3.0", "wait_seconds = 1.0")
    text = text.replace("second_wait_seconds = 5.0", "second_wait_seconds = 1.0")
    city = tmp_path / "city.toml"
    city.write_text(text)
    made = Settings(state=tmp_path / "var", city_file=city, cache=tmp_path / "cache")
    write_prompt(made, "greeting", GREETING_SECONDS)
    write_prompt(made, "second-chance", SECOND_SECONDS)
    return made


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker on its own ports, drained at the end."""
    made = Worker(settings, 0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.serve(drain_seconds=1.0))
        async with asyncio.timeout(5):
            while not can_connect(made.agi_port):
                await asyncio.sleep(0.01)
        yield made
        made.stop()
    assert made.figures.active == 0


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_key_during_the_greeting_passes_at_once(worker: Worker) -> None:
    result = await place_call(worker.agi_port, Caller(key="0", key_at_seconds=0.4))
    assert result.variables == {
        "INTAKE": "done",
        "INTAKE_WORKER": "0",
        "INTAKE_ROUTE": "queue",
        "INTAKE_QUEUE": "darurat",
        "INTAKE_PRIORITY": "10",
    }
    assert result.exec_result == 0
    verdict = result.fact("VERDICT")
    assert (verdict["verdict"], verdict["reason"]) == ("pass", "key")
    assert 380 <= int(verdict["at_ms"]) <= 700
    assert result.fact("KEY")["digit"] == "0"
    prompt = result.fact("PROMPT")
    assert (prompt["name"], prompt["ended"]) == ("greeting", "key")
