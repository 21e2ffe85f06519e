"""The review page: hear what the filter heard, and say whether somebody was there.

On loopback, as the whole control room. Browsers on the same machine visit other pages
too, so a form is taken only from our own: `Host` must be a name of loopback (a foreign
name that resolves to it would be another site's) and `Origin` must be that host.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, StrictUndefined
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.control.listening import Listener, Player, listener_of, remember
from pbx.model.review import Kind, Review
from pbx.records import reviews
from pbx.records.audit import AuditKeyError
from pbx.records.database import explain
from pbx.records.reviews import UnknownCallError, WantedReviews

_log = logging.getLogger(__name__)

LONGEST_NOTE = 1000
LONGEST_NAME = 80
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "media-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ReviewPage:
    """The page's requests. `engine` opens the store, `kept` holds the audio, `secrets`
    the audit's key (None: where the settings say)."""

    def __init__(
        self,
        engine: Callable[[], Awaitable[AsyncEngine]],
        kept: Path,
        zone: Callable[[], str],
        secrets: Path | None = None,
    ) -> None:
        self._engine = engine
        self._kept = kept
        self._zone = zone
        self._player = Player(engine, secrets)
        source = files("pbx.control").joinpath("review.html.j2").read_text("utf-8")
        self._template = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True
        ).from_string(source)

    def add_to(self, app: web.Application) -> None:
        """`/review`, its audio and its forms."""
        router = app.router
        router.add_get("/review", _guarded(self._list))
        router.add_get("/review/{call_id}/audio", _guarded(self._audio))
        router.add_post("/review/listener", _guarded(self._listener))
        router.add_post("/review/{call_id}/mark", _guarded(self._mark))
        router.add_post("/review/{call_id}/acknowledge", _guarded(self._acknowledge))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        wanted = _wanted(request)
        engine = await self._engine()
        zone = ZoneInfo(self._zone())
        text = self._template.render(
            rows=await reviews.listed(engine, wanted),
            picture=await reviews.picture(engine, datetime.now(UTC)),
            kinds=list(Kind),
            marks=list(Review),
            asked=request.query,
            listener=listener_of(request),
            clock=lambda at: f"{at.astimezone(zone):%F %T}",
        )
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def _audio(self, request: web.Request) -> web.StreamResponse:
        call_id = request.match_info["call_id"]
        row = await reviews.find(await self._engine(), call_id)
        if row.audio is None:
            raise web.HTTPNotFound(text="No audio: none was kept, or its days are over")
        path = (self._kept / row.audio).resolve()
        if not path.is_relative_to(self._kept.resolve()) or not path.is_file():
            raise web.HTTPNotFound(text="The audio is not where the list says it is")
        return await self._player.play(request, call_id, path, HEADERS)

    async def _listener(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        by = _text(form.get("by"), LONGEST_NAME)
        why = _text(form.get("why"), LONGEST_NOTE)
        if not by or not why:
            raise web.HTTPBadRequest(text="Say who you are and why you listen")
        answer = web.HTTPSeeOther("/review")
        remember(answer, Listener(by, why))
        raise answer

    async def _mark(self, request: web.Request) -> web.StreamResponse:
        call_id = request.match_info["call_id"]
        form = await request.post()
        by = _text(form.get("by"), LONGEST_NAME)
        try:
            review = Review(_text(form.get("review"), 16))
        except ValueError as error:
            raise web.HTTPBadRequest(text="There is no such mark") from error
        if not by:
            raise web.HTTPBadRequest(text="Say who you are: a mark has a name")
        note = _text(form.get("note"), LONGEST_NOTE) or None
        engine = await self._engine()
        row = await reviews.mark(
            engine, call_id, review, by=by, note=note, at=datetime.now(UTC)
        )
        _log.info("call marked %s by %s", review, by, extra={"call_id": call_id})
        if row.review is not review:
            raise web.HTTPConflict(text=reviews.STANDS.format(reviewer=row.reviewer))
        raise web.HTTPSeeOther("/review")

    async def _acknowledge(self, request: web.Request) -> web.StreamResponse:
        call_id = request.match_info["call_id"]
        by = _text((await request.post()).get("by"), LONGEST_NAME)
        if not by:
            raise web.HTTPBadRequest(text="Say who you are: somebody answers for it")
        engine = await self._engine()
        await reviews.acknowledge(engine, call_id, by=by, at=datetime.now(UTC))
        _log.info("dropped person acknowledged by %s", by, extra={"call_id": call_id})
        raise web.HTTPSeeOther("/review")


def _guarded(handler: Handler) -> Handler:
    """Only our own page may ask, and a store that is away is said in words."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if (why := foreign(request)) is not None:
            raise web.HTTPForbidden(text=why)
        try:
            return await handler(request)
        except UnknownCallError as error:
            raise web.HTTPNotFound(text=str(error)) from error
        except AuditKeyError as error:
            raise web.HTTPServiceUnavailable(
                text=f"Nothing is played that is not written down: {error}"
            ) from error
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise web.HTTPServiceUnavailable(
                text=f"The record store does not answer: {explain(error)}"
            ) from error

    return guarded


def foreign(request: web.Request) -> str | None:
    """Why this request is not from our own page; None: it is."""
    name = request.host.rsplit(":", 1)[0] if "]" not in request.host else "[::1]"
    if name not in LOOPBACK_NAMES:
        return "This page answers to 127.0.0.1 and localhost only"
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin != f"http://{request.host}":
        return "This form came from another page"
    return None


def _wanted(request: web.Request) -> WantedReviews:
    try:
        kind, mark = request.query.get("kind"), request.query.get("mark")
        return WantedReviews(
            kinds=[Kind(kind)] if kind else [],
            reviews=[Review(mark)] if mark else [],
            at_random="random" in request.query,
            with_audio="random" in request.query,
            most=10 if "random" in request.query else 100,
        )
    except ValueError as error:
        raise web.HTTPBadRequest(text="There is no such filter") from error


def _text(value: object, longest: int) -> str:
    """What a form's field says: one line, without control characters."""
    said = value if isinstance(value, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[
        :longest
    ]
