"""The feed's two ways into the record store: one to read, one for its own few rows."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.records.base import Store
from pbx.records.database import open_engine

OPEN_SECONDS = 30.0
"""Whoever comes first brings the schema up to date; that may take long."""


class FeedStore:
    """Opened when first needed: the feed starts, and stays, while the database is away.

    Both properties of waiting raise whatever the driver raises.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opening = asyncio.Lock()
        self._writer: Store | None = None
        self._reader: AsyncEngine | None = None

    async def reader(self) -> AsyncEngine:
        """For reading; on SQLite it takes no lock and waits for no writer."""
        if self._reader is None:
            await self._open()
        if self._reader is None:
            raise OSError("the record store was closed")
        return self._reader

    async def writer(self) -> AsyncEngine:
        """For the audit and the tokens' last use."""
        if self._writer is None:
            await self._open()
        if self._writer is None:
            raise OSError("the record store was closed")
        return self._writer.engine

    async def _open(self) -> None:
        async with self._opening, asyncio.timeout(OPEN_SECONDS):
            if self._writer is None:
                self._writer = await Store.open(self._url)
            if self._reader is None:
                reader = open_engine(self._url, writes=False)
                if reader.dialect.name == "postgresql":
                    # Each question is one statement: a transaction around it would
                    # only be two more round trips.
                    reader = reader.execution_options(isolation_level="AUTOCOMMIT")
                self._reader = reader

    async def close(self) -> None:
        """Let go of the database, if it was ever reached."""
        async with self._opening:
            reader, writer = self._reader, self._writer
            self._reader = self._writer = None
            if reader is not None:
                await reader.dispose()
            if writer is not None:
                await writer.close()
