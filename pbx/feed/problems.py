"""Every error as RFC 9457 tells it: `application/problem+json`, for all who read it.

No text here repeats a value that was sent: it may have been somebody's number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ValidationError

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:gerbang112:problem:"


@dataclass
class Problem(Exception):  # noqa: N818 - it is what RFC 9457 calls it
    """An answer that is an error; raise it wherever a request cannot go on."""

    status: int
    kind: str
    """Ends its `type`: a word that stays the same whatever the text says."""
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[Mapping[str, str]] = ()
    """Each field that is wrong: where, and what is asked for."""

    def answer(self) -> web.Response:
        """As it goes over the wire."""
        told: dict[str, Any] = {
            "type": _TYPE + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            told["errors"] = list(self.errors)
        return web.Response(
            status=self.status,
            body=json.dumps(told).encode(),
            content_type=MEDIA_TYPE,
            headers=self.headers,
        )


def unauthorized() -> Problem:
    """No token, or none that opens anything. RFC 6750, 3."""
    return Problem(
        401,
        "unauthorized",
        "this needs a token that is neither expired nor revoked, in the header "
        "Authorization: Bearer; `gerbang token create` makes one",
        {"WWW-Authenticate": 'Bearer realm="gerbang112"'},
    )


def forbidden(scopes: Sequence[str]) -> Problem:
    """The token is good, but not for this."""
    words = " ".join(scopes)
    return Problem(
        403,
        "scope-missing",
        f"this needs a token with the scope {' and '.join(scopes)}; "
        "`gerbang token create` makes one",
        {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{words}"'},
    )


def too_many(seconds: float, detail: str) -> Problem:
    """Come back later."""
    wait = str(max(1, math.ceil(seconds)))
    return Problem(429, "too-many-requests", detail, {"Retry-After": wait})


def unavailable(detail: str) -> Problem:
    """The store, or a disk, does not answer; nothing is lost."""
    return Problem(503, "unavailable", detail, {"Retry-After": "2"})


def failure() -> Problem:
    """Ours."""
    return Problem(500, "failure", "this is our fault, and it is logged")


def unknown_call() -> Problem:
    """There is no such call."""
    return Problem(404, "unknown-call", "there is no call with this id")


def invalid(error: ValidationError, where: str) -> Problem:
    """Query or body that is not as declared; never with what was sent."""
    errors = [
        {
            "where": ".".join([where, *(str(part) for part in item["loc"])]),
            "what": _what(item["type"], item["msg"]),
        }
        for item in error.errors(include_input=False, include_url=False)
    ]
    detail = "; ".join(f"{e['where']}: {e['what']}" for e in errors[:5])
    return Problem(400, "invalid", detail, errors=errors[:20])


def _what(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such parameter"
    return message.removeprefix("Value error, ")


def of_http(error: web.HTTPException) -> Problem:
    """What aiohttp itself refuses: no such path, no such method, too much."""
    keep = {k: v for k, v in error.headers.items() if k == "Allow"}
    kinds = {
        404: ("not-found", "there is nothing here; GET /v1/openapi.json tells what is"),
        405: ("method-not-allowed", "this cannot be done here; see the header Allow"),
        413: ("too-large", "the body is too large"),
        417: ("expectation-failed", "there is no expectation but 100-continue"),
    }
    kind, detail = kinds.get(error.status, ("refused", "this request is not taken"))
    return Problem(error.status, kind, detail, keep)
