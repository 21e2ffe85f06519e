"""Writing an export: page after page, so its memory does not grow with the city."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.model.masking import masked
from pbx.records import audit
from pbx.records.export.columns import Value, row_of
from pbx.records.feed import Listed, WantedCalls, listed_calls
from pbx.records.tables import calls

PAGE = 1000
"""Rows at a time, and in a row group of Parquet."""


class Format(StrEnum):
    """What is written."""

    CSV = "csv"
    PARQUET = "parquet"


class ExportError(RuntimeError):
    """The file cannot be written; the text says why, and the cure."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Who takes personal data out, and why."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Export:
    """What to write where: calls that began from `since` until before `until`.

    Callers stay masked without `personal`; with it the audit says who and why.
    """

    path: Path
    format: Format
    since: datetime
    until: datetime
    personal: Purpose | None = None


class _Table(Protocol):
    def write(self, rows: Sequence[Sequence[Value]]) -> None: ...

    def close(self) -> None: ...


async def count(engine: AsyncEngine, export: Export) -> int:
    """How many rows it will have, about: calls go on coming."""
    query = sa.select(sa.func.count()).where(
        calls.c.started_at >= export.since,
        calls.c.started_at < export.until,
        calls.c.joined_into.is_(None),
    )
    async with engine.connect() as connection:
        return await connection.scalar(query) or 0


async def write(
    engine: AsyncEngine, export: Export, tell: Callable[[int], None]
) -> int:
    """Write the file, whole or not at all; its rows. `tell` hears how many there are.

    `engine` must be one that writes, for the audit. Raises ExportError
    and what the database or the audit raise; no file is there then.
    """
    draft = export.path.with_name(f".{export.path.name}.part")
    try:
        with _said_of(export.path):
            table = _open(export.format, draft)
        written = 0
        try:
            async for page in _pages(engine, export):
                with _said_of(export.path):
                    await asyncio.to_thread(_add, table, page, export)
                written += len(page)
                tell(written)
        finally:
            with _said_of(export.path):
                table.close()
        with _said_of(export.path):
            await asyncio.to_thread(_settle, draft, export)
        if export.personal is not None:
            await _audit(engine, export, export.personal, written)
        with _said_of(export.path):
            draft.replace(export.path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    return written


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """What the disk refuses is the file's fault, not the record store's."""
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"{path}: not written: {error.strerror or error}; make room there, or "
            "name another place"
        ) from error


async def _pages(
    engine: AsyncEngine, export: Export
) -> AsyncIterator[Sequence[Listed]]:
    """By start and id; each page is a look of its own and holds up no writer."""
    after: tuple[datetime, str] | None = None
    while True:
        wanted = WantedCalls(since=export.since, until=export.until, after=after)
        page = await listed_calls(engine, wanted, most=PAGE)
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = (page[-1].started_at, page[-1].call_id)


def _add(table: _Table, page: Sequence[Listed], export: Export) -> None:
    is_whole = export.personal is not None
    table.write([row_of(c.record if is_whole else masked(c.record)) for c in page])


def _open(format_: Format, path: Path) -> _Table:
    """Begun, readable by nobody else yet."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    if format_ is Format.CSV:
        from pbx.records.export.csv_file import CsvFile

        return CsvFile(path)
    try:
        from pbx.records.export.parquet_file import ParquetFile
    except ImportError as error:
        raise ExportError(
            "Parquet needs the library pyarrow (50 MB), which is not installed here: "
            "pip install 'gerbang112[export]', or write CSV"
        ) from error
    return ParquetFile(path)


def _settle(draft: Path, export: Export) -> None:
    """On disk, and readable by others only if nobody's number is in it."""
    if export.personal is None:
        umask = os.umask(0)
        os.umask(umask)
        draft.chmod(0o666 & ~umask)
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _audit(
    engine: AsyncEngine, export: Export, who: Purpose, written: int
) -> None:
    async with engine.begin() as connection:
        await audit.append(
            connection,
            actor=who.actor,
            action="exported-personal",
            reason=who.reason,
            details={
                "file": export.path.name,
                "from": export.since.isoformat(),
                "until": export.until.isoformat(),
                "calls": written,
            },
        )
