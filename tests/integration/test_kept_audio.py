"""A whole call through a worker, and what lies on the disk afterwards."""

from __future__ import annotations

import asyncio
import json
import wave
from pathlib import Path

import numpy as np
import pytest

from agi import kept_audio
from agi.server import Worker
from pbx.model.kept import is_release
from pbx.settings import Settings
from tests.fakes.asterisk import Caller, place_call
from tests.integration.test_intake import can_connect, settings
from tests.patience import until

__all__ = ["settings"]  # the fixture

NOISE = np.random.default_rng(7).normal(0, 12, 160).astype("<i2").tobytes()
"""One frame of a silent line, repeated to the end: released by the reference city."""


async def served(settings: Settings, caller: Caller) -> Worker:
    """One call, and the worker told to stop the moment it is handed over."""
    worker = Worker(settings, 0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.serve(drain_seconds=5.0))
        await until(lambda: can_connect(worker.agi_port))
        result = await place_call(worker.agi_port, caller)
        assert result.variables["INTAKE"] == "done"
        worker.stop()
    return worker


def kept(settings: Settings) -> list[Path]:
    return sorted(p for p in settings.kept.rglob("*") if p.is_file())


async def test_a_release_leaves_its_audio_even_as_the_worker_ends(
    settings: Settings,
) -> None:
    worker = await served(settings, Caller(background=NOISE))
    story_file, audio_file = kept(settings)
    story = json.loads(story_file.read_text())
    assert story["call_id"] == "kediri-1-1763756000.12"
    assert story["verdict"]["ruling"] == "release"
    assert is_release(story)
    assert [p["name"] for p in story["prompts"]] == ["greeting", "second-chance"]
    assert "081234567678" not in story_file.read_text()
    with wave.open(str(audio_file), "rb") as file:
        heard = file.readframes(file.getnframes())
    frames = len(heard) // 320
    assert heard == NOISE * frames
    assert frames >= story["context"]["expected_frames"] * 0.9
    assert worker.status.figures["audio_kept"] == 1


async def test_who_passes_at_once_leaves_nothing(settings: Settings) -> None:
    await served(settings, Caller(key="0", key_at_seconds=0.2, background=NOISE))
    assert kept(settings) == []


async def test_a_city_may_keep_everybody(settings: Settings) -> None:
    text = settings.city_file.read_text()
    settings.city_file.write_text(text.replace('keep = "filtered"', 'keep = "all"'))
    await served(settings, Caller(key="0", key_at_seconds=0.2, background=NOISE))
    assert json.loads(kept(settings)[0].read_text())["keys"][0]["digit"] == "0"


async def test_a_disk_that_refuses_is_an_alarm_and_the_call_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_audio, "RETRY_SECONDS", 0.01)
    settings.state.mkdir(exist_ok=True)
    settings.kept.write_text("a file where the folder should be")
    text = settings.city_file.read_text()
    settings.city_file.write_text(text.replace('keep = "filtered"', 'keep = "all"'))
    worker = Worker(settings, 0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.serve(drain_seconds=5.0))
        await until(lambda: can_connect(worker.agi_port))
        caller = Caller(key="0", key_at_seconds=0.2, background=NOISE)
        result = await place_call(worker.agi_port, caller)
        assert result.variables["INTAKE_ROUTE"] == "queue"
        await until(lambda: "audio-not-kept" in worker.status.alarms)
        settings.kept.unlink()
        await until(lambda: "audio-not-kept" not in worker.status.alarms)
        worker.stop()
    assert len(kept(settings)) == 2
