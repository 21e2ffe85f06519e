"""The HTTP server: every route, and what holds for each answer.

Whatever goes wrong becomes a problem (RFC 9457). What is our fault is logged without
what was sent, counted, and told as 500 and nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import NoReturn

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from pbx.feed import problems
from pbx.feed.problems import Problem
from pbx.feed.routes import Route, Services, answer
from pbx.records.store import is_poison

_log = logging.getLogger(__name__)

MOST_BODY_BYTES = 16 * 1024
IDLE_SECONDS = 30.0
"""A connection that asks nothing in this time, or does not come to its end with
asking, is closed."""
LINGER_SECONDS = 1.0
"""What is still sent after an answer that did not wait for it is read this long."""
END_SECONDS = 2.0
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "gerbang112",
    "X-Content-Type-Options": "nosniff",
}

_Answers = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def build(routes: Iterable[Route], services: Services) -> web.Application:
    """The application with these routes."""
    app = web.Application(client_max_size=MOST_BODY_BYTES)
    app.on_response_prepare.append(_dress)
    for route in routes:
        app.router.add_route(route.method, route.path, _bound(route, services))
    return app


def _bound(
    route: Route, services: Services
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        services.count("requests")
        return await answer(route, request, services)

    return handle


async def _dress(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


async def serve(
    app: web.Application, services: Services, port: int, *, host: str = "127.0.0.1"
) -> NoReturn:
    """Serve until cancelled. Raises OSError if the port is taken."""
    runner = _Runner(app, services)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await asyncio.get_running_loop().create_future()
    finally:
        services.stopping.set()
        services.waker.wake()
        await runner.cleanup()
    raise AssertionError("a future nobody resolves")


# ---- whatever goes wrong ------------------------------------------------------------


def _guarded(handler: _Answers, services: Services) -> _Answers:
    """Around all of aiohttp's own handling: also what finds no route is a problem."""

    async def guarded(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return problem.answer()
        except web.HTTPException as error:
            return problems.of_http(error).answer()
        except Exception as error:  # noqa: BLE001 — one request, never the rest
            if request.transport is None or request.transport.is_closing():
                raise ConnectionError("the reader has gone") from error
            if is_ours(error):
                services.count("failures")
                _log_failure(request, error)
                return problems.failure().answer()
            services.count("store_failures")
            return problems.unavailable(
                "the record store does not answer; nothing is lost, ask again"
            ).answer()

    return guarded


def is_ours(error: Exception) -> bool:
    """Whether asking again would fail again: not the store's or the disk's fault."""
    if isinstance(error, SQLAlchemyError):
        return is_poison(error)
    return not isinstance(error, OSError | TimeoutError)


def _log_failure(request: web.BaseRequest, error: Exception) -> None:
    """Where it happened; the message, which may quote somebody's number, stays out."""
    place = getattr(getattr(request, "match_info", None), "route", None)
    resource = getattr(place, "resource", None)
    _log.error(
        "request failed: %s in %s %s",
        type(error).__name__,
        request.method,
        getattr(resource, "canonical", "?"),
        extra={"traceback": "".join(traceback.format_tb(error.__traceback__))},
    )


class _Runner(web.AppRunner):
    """aiohttp's, with our guard around it; `_make_server` is where it can be put."""

    __slots__ = ("_services",)

    def __init__(self, app: web.Application, services: Services) -> None:
        super().__init__(
            app,
            access_log=None,
            shutdown_timeout=END_SECONDS,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGER_SECONDS,
        )
        self._services = services

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            _guarded(made.request_handler, self._services),
            request_factory=made.request_factory,
            **made._kwargs,
        )


class _Server(web.Server):
    """Makes our connections."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    """Bytes that are no HTTP are answered by a problem, too."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called by aiohttp for what never became a request."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        _log.debug("no request: %s", type(exc).__name__)
        kind = "failure" if status >= 500 else "bad-request"
        answer = Problem(status, kind, "this is no request as HTTP has it").answer()
        answer.headers.update(HEADERS)
        answer.force_close()
        return answer
