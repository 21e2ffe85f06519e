"""A day's list among millions of calls, on both databases.

`CALLS=10000000 pytest -m campaign tests/integration/test_list_speed.py` is a year of a
province; by default two million, which take the same index as deep.
"""

from __future__ import annotations

import os
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from pbx.records.database import migrate, open_engine, patient_engine
from pbx.records.queries import list_calls
from pbx.records.tables import calls

pytestmark = [pytest.mark.postgres, pytest.mark.campaign, pytest.mark.timeout(3600)]

CALLS = int(os.environ.get("CALLS", "2000000"))
SECONDS_BETWEEN = 365 * 86_400 / 10_000_000
"""A year of a province: a call every 3.15 s, 27,397 a day."""
YEAR = datetime(2025, 1, 1, tzinfo=UTC)
DEADLINE_SECONDS = 0.05

NUMBERS = {
    "sqlite": "WITH RECURSIVE made(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM made "
    f"WHERE n < {CALLS - 1})",
    "postgresql": f"WITH made AS (SELECT generate_series(0, {CALLS - 1}) AS n)",
}
TIMES = {
    "sqlite": f"strftime('%Y-%m-%d %H:%M:%f', {YEAR.timestamp()} "
    f"+ n * {SECONDS_BETWEEN}, 'unixepoch') || '000'",
    "postgresql": f"to_timestamp({YEAR.timestamp()} + n * {SECONDS_BETWEEN})",
}


async def fill(address: str) -> None:
    """Rows as wide as a list needs them; the record itself, some 3 KB, is cut short:
    neither page nor count reads it."""
    engine = open_engine(address)
    await migrate(engine)
    name = engine.dialect.name
    if name == "postgresql":
        await engine.dispose()
        engine = patient_engine(sa.make_url(address))
    async with engine.begin() as connection:
        at = TIMES[name]
        await connection.execute(
            sa.text(
                f"{NUMBERS[name]} INSERT INTO calls (call_id, revision, state, "
                "disposition, direction, incomplete, truncated, started_at, ended_at, "
                "last_event_at, number, ani, queue, operator, verdict, reason, "
                "written_at, record) SELECT 'kediri-1-' || (1735689600 + n * 3) || '.' "
                "|| (n * 2), 3, 'closed', CASE n % 4 WHEN 0 THEN 'connected' ELSE "
                "'released' END, 'incoming', FALSE, FALSE, "
                f"{at}, {at}, {at}, '112', '0860' || n, 'darurat', '101', 'release', "
                f"'silent', {at}, '{{\"pad\":\"{'x' * 150}\"}}' FROM made"
            ).execution_options(no_parameters=True)
        )
    async with engine.connect() as connection:
        options = await connection.execution_options(isolation_level="AUTOCOMMIT")
        if name == "postgresql":  # as autovacuum does within the hour
            await options.execute(sa.text("VACUUM ANALYZE calls"))
    await engine.dispose()


async def test_a_days_list(url: str, tmp_path: Path) -> None:
    await fill(url)
    engine = open_engine(url, writes=False)
    span = timedelta(seconds=CALLS * SECONDS_BETWEEN)
    took: list[float] = []
    for part in (0.1, 0.35, 0.5, 0.75, 0.9):
        begin = (YEAR + span * part).replace(hour=17, minute=0, second=0, microsecond=0)
        end = begin + timedelta(days=1)
        await list_calls(engine, begin, end)  # a look before: the cache is warm
        began = time.perf_counter()
        listed = await list_calls(engine, begin, end)
        took.append(time.perf_counter() - began)
        assert listed.count == pytest.approx(86_400 / SECONDS_BETWEEN, abs=2)
        assert len(listed.rows) == 100
        last = listed.rows[-1]
        following = await list_calls(
            engine, begin, end, after=(last["started_at"], last["call_id"])
        )
        assert following.rows[0]["started_at"] > last["started_at"]
    async with engine.connect() as connection:
        total = await connection.scalar(sa.select(sa.func.count()).select_from(calls))
    await engine.dispose()
    assert total == CALLS
    print(
        f"\n{url.partition(':')[0]}: {CALLS:,} calls, a day's list and count in "
        f"{1000 * statistics.median(took):.1f} ms, slowest {1000 * max(took):.1f} ms"
    )
    assert statistics.median(took) < DEADLINE_SECONDS
