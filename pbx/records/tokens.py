"""Tokens of the services that read the feed, as the store keeps them: hashed.

A token is `gerbang_<id>_<secret>`: 64 bits to find its row, 256 bits that only its
holder knows. Of the secret the store has SHA-256; that is enough, for nobody guesses
256 random bits, and a slow hash would only slow down every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.records import audit
from pbx.records.token_tables import feed_tokens

_FORM = re.compile(r"gerbang_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,79}")


class Scope(StrEnum):
    """What a token's holder may do. None contains another one."""

    READ = "read"
    """Records, without what tells who called."""
    PERSONAL = "personal"
    """The caller's number and place, in every record that is read."""
    AUDIO = "audio"
    """Recordings, each playback with a reason and an entry in the audit."""
    ADMIN = "admin"
    """Say what a call was, and how the caller rated it."""


class TokenError(ValueError):
    """A token that cannot be made or found; the text says the cure."""


@dataclass(frozen=True, slots=True)
class Token:
    """One row: whose token it is, and what it opens."""

    token_id: str
    name: str
    sha256: bytes
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of_row(cls, row: Any) -> Self:
        """From the store; a scope this version does not know opens nothing."""
        told = dict(row._mapping)
        known = {scope.value for scope in Scope}
        words = told["scopes"].split()
        told["scopes"] = frozenset(Scope(word) for word in words if word in known)
        return cls(**told)

    def is_valid(self, at: datetime) -> bool:
        """Neither expired nor revoked."""
        return self.revoked_at is None and at < self.expires_at

    def is_opened_by(self, secret: str) -> bool:
        """Whether this is its secret, compared in constant time."""
        return hmac.compare_digest(self.sha256, _digest(secret))


def split(text: str) -> tuple[str, str] | None:
    """A token's id and secret; None if it is not a token at all."""
    found = _FORM.fullmatch(text)
    return (found[1], found[2]) if found else None


async def create(
    engine: AsyncEngine,
    name: str,
    scopes: Collection[Scope],
    *,
    days: int,
    at: datetime,
    by: str | None = None,
) -> str:
    """Make a token and return its text, which is stored nowhere.

    `by` is who makes it, for the audit (None: a trial, without an entry). Raises what
    `audit.append` raises, and TokenError for a name that is none, or was used before.
    """
    if not _NAME.fullmatch(name):
        raise TokenError(
            f"{name!r} is no name for a token; small letters, digits and dashes, a "
            "letter first, at most 80"
        )
    if not scopes:
        raise TokenError("a token without a scope opens nothing; add --scope read")
    token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = {
        "token_id": token_id,
        "name": name,
        "sha256": _digest(secret),
        "scopes": " ".join(scope for scope in Scope if scope in scopes),
        "created_at": at,
        "expires_at": at + timedelta(days=days),
    }
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.insert(feed_tokens).values(**row))
            if by is not None:
                about = {"token": name, "scopes": row["scopes"], "days": days}
                await audit.append(
                    connection, actor=by, action="token-created", details=about
                )
    except IntegrityError as error:
        raise TokenError(
            f"there is, or was, a token {name}; the audit knows tokens by their name, "
            "so choose another one"
        ) from error
    return f"gerbang_{token_id}_{secret}"


async def every_token(engine: AsyncEngine) -> list[Token]:
    """All there ever were, by name."""
    async with engine.begin() as connection:
        rows = await connection.execute(
            sa.select(feed_tokens).order_by(feed_tokens.c.name)
        )
        return [Token.of_row(row) for row in rows]


async def revoke(
    engine: AsyncEngine, name: str, at: datetime, *, by: str | None = None
) -> None:
    """Close what it opens; again does no harm. Raises TokenError if there is none.

    `by` is who does it, for the audit, as in `create`.
    """
    mine = feed_tokens.c.name == name
    async with engine.begin() as connection:
        done = await connection.execute(
            sa.update(feed_tokens)
            .where(mine, feed_tokens.c.revoked_at.is_(None))
            .values(revoked_at=at)
        )
        if await connection.scalar(sa.select(feed_tokens.c.name).where(mine)) is None:
            raise TokenError(f"there is no token {name}; `gerbang token list` has all")
        if by is not None and done.rowcount:
            await audit.append(
                connection, actor=by, action="token-revoked", details={"token": name}
            )


async def used(engine: AsyncEngine, when: Mapping[str, datetime]) -> None:
    """Note when tokens were last used, by id."""
    async with engine.begin() as connection:
        for token_id, at in when.items():
            await connection.execute(
                sa.update(feed_tokens)
                .where(feed_tokens.c.token_id == token_id)
                .values(last_used_at=at)
            )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
