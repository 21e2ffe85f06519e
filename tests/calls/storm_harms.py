"""What breaks while callers come: each harm goes on until it is cancelled.

Whatever a harm holds (a lock, a full disk, a stopped server) it gives back at its end.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from pbx.simulator.trial import TrialCity, TrialError
from tests.calls import faults
from tests.calls.storm import Harm
from tests.postgres import Postgres


async def recorder_killed(
    city: TrialCity, dice: random.Random, done: Counter[str]
) -> None:
    """kill -9 every 3 to 7 seconds."""
    while True:
        await asyncio.sleep(dice.uniform(3.0, 7.0))
        with suppress(TrialError, ProcessLookupError):
            city.kill("recorder")
            done["recorder killed"] += 1


async def journal_rotated(
    city: TrialCity, dice: random.Random, done: Counter[str]
) -> None:
    """As logrotate does: renamed, and Asterisk makes a new one."""
    for number in itertools.count(1):
        await asyncio.sleep(dice.uniform(5.0, 10.0))
        journal = city.settings.journal
        with suppress(FileNotFoundError):
            journal.rename(journal.with_name(f"{journal.name}.{number}"))
            done["journal rotated"] += 1


def server_stopped(server: Postgres, *, away_seconds: float = 4.0) -> Harm:
    """PostgreSQL crashes every now and then, and comes back."""

    async def harm(city: TrialCity, dice: random.Random, done: Counter[str]) -> None:
        while True:
            await asyncio.sleep(dice.uniform(6.0, 12.0))
            try:
                await asyncio.to_thread(server.stop)
                done["PostgreSQL stopped"] += 1
                await asyncio.sleep(away_seconds)
            finally:
                server.start_if_down()

    return harm


def file_locked(path: Path, *, seconds: float = 4.0) -> Harm:
    """SQLite's way of being away: another program holds the file."""

    async def harm(city: TrialCity, dice: random.Random, done: Counter[str]) -> None:
        while True:
            await asyncio.sleep(dice.uniform(8.0, 14.0))
            with closing(sqlite3.connect(path, timeout=10)) as other:
                with suppress(sqlite3.OperationalError):
                    other.execute("BEGIN EXCLUSIVE")
                    done["SQLite locked"] += 1
                    await asyncio.sleep(seconds)
                other.rollback()

    return harm


def disk_filled(mounted: Path, *, seconds: float = 4.0) -> Harm:
    """Not a byte left there, again and again."""

    async def harm(city: TrialCity, dice: random.Random, done: Counter[str]) -> None:
        while True:
            await asyncio.sleep(dice.uniform(10.0, 16.0))
            with faults.full(mounted):
                done["disk filled"] += 1
                await asyncio.sleep(seconds)

    return harm
