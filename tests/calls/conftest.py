"""A whole running city for call tests: `gerbang run`, a carrier, two softphones.

One city serves the session, since bringing it up takes seconds; whatever a test leaves
behind in it fails that test. Tests that break the city make a `TrialCity` of their own.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from pbx.asterisk.run import find_root
from pbx.simulator.cel import CallResult
from pbx.simulator.correlate import best_piece
from pbx.simulator.operator import IncomingCall
from pbx.simulator.script import Script
from pbx.simulator.trial import TrialCall, TrialCity
from pbx.simulator.voices import human_voice, read_voice
from tests.calls.records import Record, database, records, settled
from tests.fakes.processes import children, command_line

VOICE_ARRIVED = 0.8
"""Correlation that proves a voice arrived (see pbx.simulator.correlate)."""

_numbers = itertools.count(1)


@dataclass(slots=True)
class Town:
    """The running city, its people's voices, and what a test asks of them."""

    city: TrialCity
    caller_voice: Path
    operator_voice: Path

    async def place(self, script: Script) -> TrialCall:
        """Dial, from a number nobody used before."""
        number = f"0811{os.getpid() % 10000:04d}{next(_numbers):05d}"
        return await self.city.place_call(replace(script, number=number))

    def caller_heard_operator(self, result: CallResult) -> float:
        """How well the caller's recording contains the operator's voice."""
        assert result.heard
        return _alike(result.heard, self.operator_voice)

    def operator_heard_caller(self, incoming: IncomingCall) -> float:
        """How well the operator's recording contains the caller's voice."""
        assert incoming.heard
        return _alike(incoming.heard, self.caller_voice)

    async def only_record(self, call: TrialCall) -> Record:
        """The one closed record of this call; fails unless there is exactly one."""
        found = await settled(self.city, [call.placed.script.number])
        assert len(found) == 1, found
        assert found[0].state == "closed"
        return found[0]

    def seconds_to_record(self, record: Record, result: CallResult) -> float:
        """From the hang-up, as the carrier saw it, to the record's last change."""
        query = "SELECT written_at FROM calls WHERE call_id = ?"
        with closing(sqlite3.connect(database(self.city))) as store:
            [(text,)] = store.execute(query, (record.call_id,)).fetchall()
        written = datetime.fromisoformat(text)
        if written.tzinfo is None:
            written = written.replace(tzinfo=UTC)
        assert result.hung_up_at
        return (written - result.hung_up_at).total_seconds()

    def invites(self) -> set[str]:
        """The call ids of every INVITE the trunk ever sent, as the journal has them."""
        return {
            line.split(b'"uniqueid":"')[1].split(b'"')[0].decode()
            for line in self.city.journal_lines()
            if b'"CHAN_START"' in line and b'"context":"from-trunk"' in line
        }

    def recorded(self) -> set[str]:
        """The call ids that have a record."""
        return {record.call_id for record in records(self.city)}


def _alike(recording: Path, voice: Path) -> float:
    return best_piece(read_voice(recording), read_voice(voice)).peak


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_town() -> AsyncIterator[Town]:
    """The session's city. Use `town`: it also looks for what a test left behind."""
    city = TrialCity()
    async with city:
        root = find_root(city.settings).base
        town = Town(city, human_voice(root), human_voice(root, which=2))
        for number in ("101", "102"):
            await city.operator(number, voice=town.operator_voice)
        yield town


@pytest_asyncio.fixture(loop_scope="session")
async def town(whole_town: Town) -> AsyncIterator[Town]:
    """The city for one test; afterwards: no channel left, the same processes alive."""
    await whole_town.city.wait_idle()
    before = whole_town.city.processes()
    yield whole_town
    await whole_town.city.wait_idle()
    assert whole_town.city.processes() == before, "a process died or was restarted"


@pytest.fixture(scope="session", autouse=True)
def _no_strays() -> Iterator[None]:
    """Whatever this session started has ended when it is over."""
    yield
    _, alive = psutil.wait_procs(children(recursive=True), timeout=5)
    assert not alive, f"left running: {[command_line(p) for p in alive]}"
