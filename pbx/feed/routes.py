"""What a request is on its way: the route's declaration, and who asks for what.

A route says all that OpenAPI tells of it; `answer` holds everybody to it: token, rate,
scopes, query, body, deadline, in this order, before the handler is called.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from pbx.feed import problems
from pbx.feed.book import Grant, TokenBook
from pbx.feed.limits import Bucket, Buckets, Room
from pbx.feed.problems import Problem
from pbx.feed.reads import HOUR_SECONDS, Reads
from pbx.feed.shown import Shower
from pbx.feed.store import FeedStore
from pbx.feed.words import CallId, NothingAsked
from pbx.records.tokens import Scope
from pbx.records.wake import Waker
from pbx.settings import Settings

BODY_SECONDS = 10.0
ANSWER_SECONDS = 15.0
"""Beside what a caller asked to wait: longer than any wait inside the store."""

_Model = TypeVar("_Model", bound=BaseModel)
_CALL_ID: TypeAdapter[str] = TypeAdapter(CallId)


@dataclass(slots=True)
class Services:
    """What handlers work with; one for the process."""

    store: FeedStore
    waker: Waker
    book: TokenBook
    buckets: Buckets
    room: Room
    zone: Callable[[], str]
    """The city's time zone."""
    settings: Settings
    """Where recordings, kept audio and notes lie."""
    strangers: Bucket = field(default_factory=lambda: Bucket(10.0, 100.0))
    """For requests without a good token, all together."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    reads: Reads = field(default_factory=Reads)
    """Personal data that went out, on its way into the audit."""
    sent: Reads = field(default_factory=lambda: Reads("sent-personal", HOUR_SECONDS))
    """The same, by webhook."""
    shower: Shower = field(init=False)
    figures: dict[str, int] = field(default_factory=dict)
    unaudited: list[Mapping[str, Any]] = field(default_factory=list)
    """Playbacks the audit has not taken yet; written down as soon as it does."""

    def __post_init__(self) -> None:
        """What goes out whole is noted."""
        self.shower = Shower(self.reads)

    def count(self, name: str) -> None:
        """One more of these, for the status file."""
        self.figures[name] = self.figures.get(name, 0) + 1


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that may go on."""

    request: web.Request
    services: Services
    grant: Grant
    query: BaseModel
    body: BaseModel | None = None

    def query_as(self, kind: type[_Model]) -> _Model:
        """The query, checked; a route that declares another is our fault."""
        return _as(kind, self.query)

    def body_as(self, kind: type[_Model]) -> _Model:
        """The body, checked."""
        return _as(kind, self.body)

    @property
    def call_id(self) -> str:
        """The call the path names. Raises Problem where no call can be called so."""
        try:
            return _CALL_ID.validate_python(self.request.match_info["call_id"])
        except ValidationError:
            raise problems.unknown_call() from None

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        transport = self.request.transport
        return transport is None or transport.is_closing()

    async def still_holds(self) -> bool:
        """Whether the token would be let in again: asked before more goes out of what
        takes long. A store that is away ends nothing."""
        try:
            return await self.services.book.still_holds(self.grant)
        except (SQLAlchemyError, OSError):
            return True


Handler = Callable[[Asked], Awaitable[web.StreamResponse]]

NOBODY = Grant("", "", frozenset())
"""Who asks where no token is needed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a route, as OpenAPI tells it."""

    says: str
    model: type[BaseModel] | None = None
    """JSON of this kind."""
    media_type: str = "application/json"
    schema: Mapping[str, Any] | None = None
    """Where no model says it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Name → what it says."""


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked."""

    method: str
    path: str
    name: str
    """The operation's id."""
    says: str
    handler: Handler
    answers: Mapping[int, Answer]
    scopes: tuple[Scope, ...] = ()
    """All of them are needed; none: no token either."""
    query: type[BaseModel] = NothingAsked
    body: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the request that mean something: name → what."""
    is_stream: bool = False
    """Has its own deadlines."""


async def answer(
    route: Route, request: web.Request, services: Services
) -> web.StreamResponse:
    """Check a request against its route and answer it. Raises Problem."""
    grant = await _admitted(route, request, services)
    try:
        query = route.query.model_validate(_flat(request))
    except ValidationError as error:
        raise problems.invalid(error, "query") from None
    body = await _body(route, request)
    asked = Asked(request, services, grant, query, body)
    if route.is_stream:
        return await route.handler(asked)
    wait = getattr(query, "wait", 0.0)
    async with asyncio.timeout(wait + ANSWER_SECONDS):
        return await route.handler(asked)


async def _admitted(route: Route, request: web.Request, services: Services) -> Grant:
    if not route.scopes:
        return NOBODY
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    is_bearer = kind.lower() == "bearer"
    grant = await services.book.grant(text.strip()) if is_bearer else None
    if grant is None:
        services.count("refused")
        if wait := services.strangers.take(time.monotonic()):
            raise problems.too_many(wait, "too many requests without a valid token")
        raise problems.unauthorized()
    if wait := services.buckets.take(grant.token_id, time.monotonic()):
        services.count("throttled")
        raise problems.too_many(wait, "this token asks too often; see Retry-After")
    if missing := [scope for scope in route.scopes if scope not in grant.scopes]:
        services.count("refused")
        raise problems.forbidden(missing)
    return grant


def _flat(request: web.Request) -> dict[str, str]:
    """The query, each name once. Raises Problem."""
    query = request.query
    if len(query) != len(set(query)):
        raise Problem(400, "invalid", "query: a parameter is given twice")
    return dict(query)


async def _body(route: Route, request: web.Request) -> BaseModel | None:
    if route.body is None:
        return None
    if request.content_type != "application/json":
        raise Problem(415, "not-json", "the body must be application/json")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            sent = await request.read()
    except TimeoutError:
        raise Problem(408, "body-late", "the body did not come in time") from None
    try:
        return route.body.model_validate_json(sent)
    except ValidationError as error:
        raise problems.invalid(error, "body") from None


def _as(kind: type[_Model], value: BaseModel | None) -> _Model:
    if not isinstance(value, kind):
        raise TypeError(f"the route does not declare {kind.__name__}")
    return value
