"""The witness's way to the record store, opened when first needed.

The control room starts, and stays, while the database is away.
"""

from __future__ import annotations

from datetime import datetime

from pbx.records.witness import WitnessStore


class LazyStore:
    """Opens the store at the first word; each call raises what the driver raises."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: WitnessStore | None = None

    async def _store(self) -> WitnessStore:
        if self._opened is None:
            self._opened = await WitnessStore.open(self._url)
        return self._opened

    async def close(self) -> None:
        """Let go of the database, if it was ever reached."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def witness_seen(
        self,
        call_id: str,
        *,
        channel: str,
        trunk: str,
        seen_at: datetime,
        number: str,
        ani: str,
    ) -> None:
        """A trunk channel exists."""
        store = await self._store()
        await store.witness_seen(
            call_id,
            channel=channel,
            trunk=trunk,
            seen_at=seen_at,
            number=number,
            ani=ani,
        )

    async def witness_ended(
        self, call_id: str, *, ended_at: datetime, cause: int | None
    ) -> None:
        """It ended; None: it was gone when we looked again."""
        store = await self._store()
        await store.witness_ended(call_id, ended_at=ended_at, cause=cause)

    async def open_witnesses(self) -> list[str]:
        """Call ids seen and not ended, as stored."""
        return await (await self._store()).open_witnesses()

    async def boot_seen(self, booted_at: datetime) -> None:
        """Asterisk started then."""
        await (await self._store()).boot_seen(booted_at)
