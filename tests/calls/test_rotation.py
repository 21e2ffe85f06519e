"""Journal and logs are rotated under a call again and again: one whole record."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pbx.asterisk.run import find_root
from pbx.control.read_files import why_unread, why_unswept
from pbx.control.rotation import KEPT_OPEN, Rotation
from pbx.records.journal import NOTES
from pbx.records.queue_log import read_queue_log
from pbx.records.store import RecordStore
from pbx.records.sweep import Places, keep, sweep
from pbx.settings import zone_of
from pbx.simulator.script import Press, Say, Script
from pbx.simulator.trial import TrialCity
from pbx.simulator.voices import human_voice
from tests.calls.records import Record, records, settled

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]

TALK_SECONDS = 3.0
EVERY_SECONDS = 0.2


@dataclass(slots=True)
class Turner:
    """Rotates all there is, again and again, as if each time a night had passed."""

    turns: Rotation
    renamed: list[Path] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            now = datetime.now(UTC)
            self.renamed += self.turns.rotate(now, now + timedelta(days=1))
            await self.turns.reopen()
            assert self.turns.problems == []
            await asyncio.sleep(EVERY_SECONDS)

    def of(self, name: str) -> list[Path]:
        return [path for path in self.renamed if path.name.startswith(name)]


async def talk(city: TrialCity, number: str) -> Record:
    operator = await city.operator(
        "101", voice=human_voice(find_root(city.settings).base), answer_after_seconds=1
    )
    caller = human_voice(find_root(city.settings).base, which=2)
    script = Script((Press("0"),), number=number, afterwards=Say(caller))
    call = await city.place_call(script)
    incoming = await operator.wait_ringing(deadline_seconds=30)
    await operator.wait_answered(incoming)
    await asyncio.sleep(TALK_SECONDS)
    await call.hang_up()
    await operator.wait_closed(incoming)
    await city.wait_idle()
    (record,) = await settled(city, [number])
    return record


async def test_a_call_while_all_is_rotated_keeps_its_one_whole_record() -> None:
    async with TrialCity() as city:
        turner = Turner(Rotation(city.settings))
        turning = asyncio.create_task(turner.run())
        record = await talk(city, "081234500001")
        turning.cancel()
        with suppress(asyncio.CancelledError):
            await turning
        await turner.turns.reopen()  # it may have been cut short just there
        assert len(turner.of("journal.jsonl")) >= 3, "the call lies in one file"
        assert len(turner.of("queue_log")) >= 2
        assert (record.state, record.disposition) == ("closed", "connected")
        assert not record.incomplete
        assert not record.whole["truncated"]
        assert record.whole["talk_seconds"] >= TALK_SECONDS - 0.5
        assert len(records(city)) == 1
        await _compared(city, turner)
        await _logged_in_new_files(city)


async def _compared(city: TrialCity, turner: Turner) -> None:
    """Each line of each file is stored; then, and only then, files may go."""
    settings = city.settings
    zone = zone_of(settings)()
    places = Places(
        settings.journal.parent, settings.notes.parent, settings.asterisk_home / "log"
    )
    today = datetime.now(UTC).astimezone(zone).date()
    store = await RecordStore.open(settings.database_url)
    try:
        found = await sweep(store.engine, today, zone, places)
        assert found.waited == 1
        assert found.files >= len(turner.of("journal.jsonl"))
        assert found.told == []
        await keep(store.engine, found)
        positions = await store.positions()
        for path in turner.of("journal.jsonl"):
            assert why_unread(path, positions) is None
            assert why_unread(path, {}) is not None
            assert why_unread(path, positions, NOTES) is not None
    finally:
        await store.close()
    days = {today, _day_of(city)}
    for path in turner.of("queue_log"):
        assert why_unswept(path, days, zone) is None
        assert why_unswept(path, set(), zone) is not None


def _day_of(city: TrialCity) -> date:
    """The day the call began, should it be midnight meanwhile."""
    (record,) = records(city)
    began = datetime.fromisoformat(record.whole["started_at"])
    return began.astimezone(zone_of(city.settings)()).date()


async def _logged_in_new_files(city: TrialCity) -> None:
    """Asterisk has let go of the renamed ones: the next call's lines are elsewhere."""
    log = city.settings.asterisk_home / "log"
    before = {path: path.stat().st_size for path in log.glob("queue_log-*")}
    number = "081234500002"
    assert (await talk(city, number)).disposition == "connected"
    assert {path: path.stat().st_size for path in log.glob("queue_log-*")} == before
    assert number.encode() in (log / "queue_log").read_bytes()
    begin = datetime.now(UTC) - timedelta(hours=1)
    waited = read_queue_log(log, begin, datetime.now(UTC) + timedelta(hours=1))
    assert len(waited or {}) == 2
    assert [name for name in KEPT_OPEN if not (log / name).exists()] == []
