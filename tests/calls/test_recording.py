"""Conversations kept as sound; a folder or full disk that takes none harms no call."""

from __future__ import annotations

import asyncio
import time
import wave
from pathlib import Path

import pytest

from pbx.asterisk.run import find_root
from pbx.model.events import FactTold, read_event
from pbx.model.facts import RecordingBegan
from pbx.simulator.correlate import best_piece
from pbx.simulator.script import Press, Say, Script
from pbx.simulator.trial import TrialCity
from pbx.simulator.voices import human_voice, read_voice
from tests.calls.conftest import VOICE_ARRIVED

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

TALK_SECONDS = 3.0
AT_ONCE_SECONDS = 2.0
"""From the operator's phone ringing to the talk: nothing waits for a file."""


async def talk(city: TrialCity) -> tuple[Path, Path]:
    """One conversation with audio both ways; what each side heard."""
    root = find_root(city.settings).base
    caller, voice = human_voice(root), human_voice(root, which=2)
    operator = await city.operator("101", voice=voice, answer_after_seconds=1.0)
    call = await city.place_call(Script((Press("0"),), afterwards=Say(caller)))
    incoming = await operator.wait_ringing(deadline_seconds=30)
    async with asyncio.timeout(AT_ONCE_SECONDS):
        await operator.wait_answered(incoming)
    await asyncio.sleep(TALK_SECONDS)
    assert incoming.closed_at is None, "the call was ended"
    result = await call.hang_up()
    await operator.wait_closed(incoming)
    assert result.heard
    assert incoming.heard
    assert likeness(result.heard, voice) >= VOICE_ARRIVED
    assert likeness(incoming.heard, caller) >= VOICE_ARRIVED
    await city.wait_idle()
    return caller, voice


def begun(city: TrialCity) -> list[str]:
    """The recordings the journal tells of."""
    events = map(read_event, city.journal_lines())
    told = (e.fact for e in events if isinstance(e, FactTold))
    return [fact.name for fact in told if isinstance(fact, RecordingBegan)]


async def test_a_conversation_is_kept_both_sides_and_nothing_else() -> None:
    async with TrialCity(python=False) as city:
        caller, voice = await talk(city)
        (name,) = begun(city)
        file = city.settings.recordings / name
        with wave.open(str(file)) as kept:
            seconds = kept.getnframes() / kept.getframerate()
            assert (kept.getframerate(), kept.getnchannels()) == (8000, 1)
        # Only the talk: neither the greeting's five seconds nor the ringing.
        assert TALK_SECONDS - 0.5 <= seconds <= TALK_SECONDS + 2
        assert likeness(file, caller) >= 0.5  # both voices lie over each other
        assert likeness(file, voice) >= 0.5


async def test_a_folder_that_takes_no_file_changes_no_call() -> None:
    async with TrialCity(python=False) as city:
        monitor = city.settings.recordings
        monitor.rmdir()
        monitor.write_text("a file where the folder should be\n")
        await talk(city)
        assert begun(city)
        assert monitor.is_file()


async def test_a_full_disk_under_it_changes_no_call() -> None:
    """Every write of the file fails: whatever its name, it is a link to /dev/full."""
    async with TrialCity(python=False) as city:
        monitor = city.settings.recordings
        name, now = city.city.city.system_name, int(time.time())
        files = {monitor / f"{name}-{now + i}.0.wav" for i in range(120)}
        for file in files:
            file.symlink_to("/dev/full")
        await talk(city)
        (told,) = begun(city)
        assert monitor / told in files
        assert set(monitor.iterdir()) == files


async def test_where_it_is_not_declared_nothing_is_kept() -> None:
    def off(declared: dict[str, object]) -> None:
        declared["recording"] = {"conversations": False}

    async with TrialCity(python=False, change=off) as city:
        await talk(city)
        assert not begun(city)
        assert not list(city.settings.recordings.iterdir())


def likeness(recording: Path, voice: Path) -> float:
    return best_piece(read_voice(recording), read_voice(voice)).peak
