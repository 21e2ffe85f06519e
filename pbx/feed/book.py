"""Who holds which token: the store's rows, remembered for a moment.

There are few tokens, so all of them are read together. A revoked one is refused after
`FRESH_SECONDS`; while the store is away the last known ones hold, and nothing but
`/v1/health` can be answered anyway.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from pbx.feed.store import FeedStore
from pbx.records import tokens
from pbx.records.tokens import Scope, Token

FRESH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What the holder of a token may do."""

    token_id: str
    name: str
    scopes: frozenset[Scope]

    @property
    def sees_personal(self) -> bool:
        """Whether records are shown to him as they are."""
        return Scope.PERSONAL in self.scopes


class TokenBook:
    """Knows every token; `used` gathers what `tell` writes down."""

    def __init__(self, store: FeedStore) -> None:
        self._store = store
        self._known: dict[str, Token] = {}
        self._read_at = -FRESH_SECONDS
        self._reading = asyncio.Lock()
        self._used: dict[str, datetime] = {}

    async def grant(self, text: str) -> Grant | None:
        """What this token opens now; None: nothing. Raises the driver's errors."""
        parts = tokens.split(text)
        if parts is None:
            return None
        token_id, secret = parts
        await self._refresh()
        token = self._known.get(token_id)
        if token is None or not token.is_opened_by(secret):
            return None
        at = datetime.now(UTC)
        if not token.is_valid(at):
            return None
        self._used[token_id] = at
        return Grant(token_id, token.name, token.scopes)

    async def still_holds(self, grant: Grant) -> bool:
        """Whether a token that opened a stream would open it again."""
        await self._refresh()
        token = self._known.get(grant.token_id)
        return (
            token is not None
            and token.is_valid(datetime.now(UTC))
            and token.scopes == grant.scopes
        )

    async def tell(self) -> None:
        """Write down when tokens were used. Raises the driver's errors."""
        told, self._used = self._used, {}
        if told:
            try:
                await tokens.used(await self._store.writer(), told)
            except BaseException:
                self._used = told | self._used
                raise

    async def _refresh(self) -> None:
        if time.monotonic() - self._read_at < FRESH_SECONDS:
            return
        async with self._reading:
            if time.monotonic() - self._read_at < FRESH_SECONDS:
                return
            engine = await self._store.reader()
            self._known = {t.token_id: t for t in await tokens.every_token(engine)}
            self._read_at = time.monotonic()
