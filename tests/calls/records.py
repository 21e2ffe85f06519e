"""Reading the records of a trial, as any other program may: with plain SQL."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pbx.simulator.trial import TrialCity


@dataclass(frozen=True, slots=True)
class Record:
    """One row of `calls`."""

    call_id: str
    ani: str
    state: str
    disposition: str
    incomplete: bool
    whole: dict[str, Any]


def database(city: TrialCity) -> Path:
    """The SQLite file of a trial."""
    url = city.environment.get("GERBANG_DATABASE_URL", "")
    return (
        Path(url.removeprefix("sqlite:///"))
        if url
        else city.settings.state / "records.sqlite3"
    )


def records(city: TrialCity) -> list[Record]:
    """Every incoming call's record, open ones too; empty while there is no table."""
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{database(city)}?mode=ro", uri=True)) as store,
    ):
        rows = store.execute(
            "SELECT call_id, ani, state, disposition, incomplete, record FROM calls"
            " WHERE direction = 'incoming'"
        ).fetchall()
        return [
            Record(
                call_id, ani or "", state, disposition, bool(part), json.loads(whole)
            )
            for call_id, ani, state, disposition, part, whole in rows
        ]
    return []


async def settled(
    city: TrialCity, anis: list[str], *, deadline_seconds: float = 20.0
) -> list[Record]:
    """The records of these callers, once each of them has a closed one.

    Whoever has none, or an open one, after the deadline is missing or open in the
    answer: the caller of this asserts. A short look further catches late doubles.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(deadline_seconds):
            while True:
                found = [r for r in records(city) if r.ani in anis]
                if {r.ani for r in found if r.state == "closed"} == set(anis):
                    break
                await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    return [r for r in records(city) if r.ani in anis]
