"""Reading the store into a report."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.model.period import Period
from pbx.model.report import Report
from pbx.records.reporting import count_calls, reported_calls

OnRead = Callable[[int, int], None]
"""Calls read so far, and how many there are."""


async def gather(engine: AsyncEngine, period: Period, on_read: OnRead) -> Report:
    """The report over a period; raises whatever the database's driver raises."""
    report, read = Report.of(period), 0
    every = await count_calls(engine, period.begin, period.end)
    async for batch in reported_calls(engine, period.begin, period.end):
        for call in batch:
            report.add(call)
        read += len(batch)
        on_read(read, every)
    return report
