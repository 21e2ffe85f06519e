"""Playing kept audio: to somebody who said who he is, and never without the audit.

`playing` stands in the audit before the first byte goes out, `played` says afterwards
how many seconds of sound were sent: browsers ask for parts, and stop.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.records import audit
from pbx.records.audit import AuditKeyError

_log = logging.getLogger(__name__)

COOKIE = "gerbang-listener"
CHUNK_BYTES = 16 * 1024
"""One second of sound: so exact is what `played` says of one who stops."""
BYTES_A_SECOND = 16_000
HEAD_BYTES = 44
DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens, and why."""

    by: str
    why: str


def listener_of(request: web.Request) -> Listener | None:
    """Who said so on our page; None: nobody did."""
    try:
        told = json.loads(unquote(request.cookies.get(COOKIE, "")))
        listener = Listener(str(told["by"]), str(told["why"]))
    except (ValueError, TypeError, KeyError):
        return None
    return listener if listener.by and listener.why else None


def remember(response: web.StreamResponse, listener: Listener) -> None:
    """Until the browser is closed, and for our pages only."""
    told = json.dumps({"by": listener.by, "why": listener.why})
    response.set_cookie(
        COOKIE, quote(told), path="/review", httponly=True, samesite="Strict"
    )


@dataclass(frozen=True, slots=True)
class Player:
    """Plays, and writes down who heard what."""

    engine: Callable[[], Awaitable[AsyncEngine]]
    secrets: Path | None
    _telling: set[asyncio.Task[None]] = field(default_factory=set)

    async def play(
        self, request: web.Request, call_id: str, path: Path, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Send the file, or the part asked for (RFC 9110, 14). Raises HTTPForbidden if
        nobody said who listens, AuditKeyError, SQLAlchemyError, OSError."""
        listener = listener_of(request)
        if listener is None:
            raise web.HTTPForbidden(
                text="Say who you are and why you listen, at the top of /review"
            )
        content = await asyncio.to_thread(path.read_bytes)
        try:
            start, stop, _ = request.http_range.indices(len(content))
        except ValueError as error:
            raise web.HTTPRequestRangeNotSatisfiable from error
        if start >= stop:
            raise web.HTTPRequestRangeNotSatisfiable
        response = _response(request, start, stop, len(content), headers)
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        await self._tell("playing", call_id, listener, None)
        sent = 0
        try:
            await response.prepare(request)
            for at in range(start, stop, CHUNK_BYTES):
                part = content[at : min(at + CHUNK_BYTES, stop)]
                await response.write(part)
                sent += len(part)
            await response.write_eof()
        except ConnectionError:
            _log.debug("stopped listening", extra={"call_id": call_id})
        finally:
            # A browser that goes may take this task with it, not the audit's entry.
            telling = asyncio.create_task(self._played(call_id, listener, start, sent))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
            await asyncio.shield(telling)
        return response

    async def _played(
        self, call_id: str, listener: Listener, start: int, sent: int
    ) -> None:
        sound = max(0, start + sent - max(start, HEAD_BYTES))
        seconds = sound / BYTES_A_SECOND
        try:
            await self._tell("played", call_id, listener, seconds)
        except (AuditKeyError, SQLAlchemyError, OSError, TimeoutError) as error:
            _log.error(  # noqa: TRY400 — `playing` stands, only its end is missing
                "audit: %s heard %.1f s and it is not written down: %s",
                listener.by,
                seconds,
                error,
                extra={"call_id": call_id},
            )

    async def _tell(
        self, action: str, call_id: str, listener: Listener, seconds: float | None
    ) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            engine = await self.engine()
            async with engine.begin() as connection:
                await audit.append(
                    connection,
                    actor=listener.by,
                    action=action,
                    call_id=call_id,
                    reason=listener.why,
                    seconds=seconds,
                    secrets=self.secrets,
                )


def _response(
    request: web.Request, start: int, stop: int, size: int, headers: dict[str, str]
) -> web.StreamResponse:
    is_part = "Range" in request.headers
    response = web.StreamResponse(
        status=206 if is_part else 200,
        headers=headers | {"Content-Type": "audio/wav", "Accept-Ranges": "bytes"},
    )
    response.content_length = stop - start
    if is_part:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return response
