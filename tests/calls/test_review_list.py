"""A real release: its audio can be heard, it is marked, and the alarm stands."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pbx.model.review import Review
from pbx.records.database import open_engine
from pbx.records.reviews import ReviewRow, find
from pbx.simulator.correlate import best_piece
from pbx.simulator.script import Say, Script
from pbx.simulator.voices import decode_wav, soft_noise, write_voice
from tests.calls.conftest import VOICE_ARRIVED, Town
from tests.calls.records import database
from tests.calls.scene import alarm, alarms
from tests.patience import until

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

AUDIO_SECONDS = 8.0
"""From the hang-up until the audio is found and the row is complete."""


async def test_a_release_can_be_heard_marked_and_answered_for(
    town: Town, tmp_path: Path
) -> None:
    """The line's hiss, below the filter's threshold, is what has to come back."""
    hiss = tmp_path / "hiss.wav"
    write_voice(hiss, soft_noise(40.0, level_dbfs=-60.0))
    call = await town.place(Script(afterwards=Say(hiss)))
    await call.finished(deadline_seconds=60)
    record = await town.only_record(call)
    assert record.disposition == "released", record.whole["verdict"]
    row = await row_once(lambda: listed(town, record.call_id), lambda r: bool(r.audio))
    assert (row.kind, row.reason, row.review) == ("released", "silent", "unreviewed")
    page = f"http://127.0.0.1:{town.city.city.network.status_port}"
    at_home = {"Origin": page}
    jar = aiohttp.CookieJar(unsafe=True)  # for an address instead of a name
    async with aiohttp.ClientSession(page, cookie_jar=jar) as browser:
        assert record.call_id in await text(browser.get("/review"))
        listener = {"by": "Sari", "why": "review"}
        await text(browser.post("/review/listener", data=listener, headers=at_home))
        async with browser.get(f"/review/{record.call_id}/audio") as answer:
            heard = await answer.read()
        assert hashlib.sha256(heard).hexdigest() == row.sha256
        kept = decode_wav(heard, source="the page")
        assert best_piece(kept, soft_noise(40.0, level_dbfs=-60.0)).peak > VOICE_ARRIVED
        assert row.seconds == pytest.approx(len(kept) / 8000, abs=0.01)
        assert row.seconds > 8, "both prompts and both waits"
        mark = {"by": "Sari", "review": "was-a-person", "note": "breath?"}
        place = f"/review/{record.call_id}"
        await text(browser.post(f"{place}/mark", data=mark, headers=at_home))
        await alarm(town.city, "person-released")
        marked = await listed(town, record.call_id)
        assert (marked.review, marked.reviewer) == (Review.PERSON, "Sari")
        by = {"by": "Budi"}
        await text(browser.post(f"{place}/acknowledge", data=by, headers=at_home))
    await until(lambda: "person-released" not in alarms(town.city))


async def text(asked: Any) -> str:
    async with asked as answer:
        told: str = await answer.text()
        assert answer.status == 200, told
        return told


async def row_once(
    look: Callable[[], Awaitable[ReviewRow]], holds: Callable[[ReviewRow], bool]
) -> ReviewRow:
    async with asyncio.timeout(AUDIO_SECONDS):
        while not holds(row := await look()):
            await asyncio.sleep(0.1)
        return row


async def listed(town: Town, call_id: str) -> ReviewRow:
    """As another program would read it."""
    engine = open_engine(f"sqlite+aiosqlite:///{database(town.city)}", writes=False)
    try:
        return await find(engine, call_id)
    finally:
        await engine.dispose()
