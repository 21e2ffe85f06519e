"""Every route of the feed. A new one begins here; the OpenAPI document follows."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from pbx.feed import audio, calls, events, health, said
from pbx.feed.calls import answer_json
from pbx.feed.openapi import document, problem
from pbx.feed.routes import Answer, Asked, Handler, Route
from pbx.feed.words import (
    RECORD,
    Accepted,
    AudioAsked,
    CallsAsked,
    Classification,
    EventsAsked,
    Health,
    Page,
    Recordings,
    Survey,
)
from pbx.records.record_schema import record_schema
from pbx.records.tokens import Scope

_CALL = "/v1/calls/{call_id}"
_NO_CALL = problem("There is no such call.")
_AHEAD = problem("The cursor is ahead of the store, which was replaced.")
_ETAG = {"ETag": "Of this revision, for this reader."}
_WAV: Any = {
    "media_type": "audio/wav",
    "schema": {"type": "string", "contentMediaType": "audio/wav"},
    "headers": _ETAG,
}
_RECORD: Mapping[str, Any] = {"$ref": f"#/components/schemas/{RECORD}"}


def routes() -> list[Route]:
    """All of them, the document that tells of them among them."""
    table = _table()
    about: dict[str, Any] = {}

    async def openapi(_: Asked) -> web.StreamResponse:
        return answer_json(about)

    table.append(
        Route(
            "GET",
            "/v1/openapi.json",
            "readOpenapi",
            "This document.",
            openapi,
            {200: Answer("OpenAPI 3.1.", schema={"type": "object"})},
        )
    )
    about |= document(table, record_schema(), version=_version())
    return table


def _table() -> list[Route]:
    return [
        Route(
            "GET",
            "/v1/calls",
            "readCalls",
            "Records in the order of their changes, or of a time. Without `from` this "
            "is the feed: what changed after a cursor, each call by its newest "
            "revision; `wait` makes it a long poll. With `from` it is a list of the "
            "calls that began then, for people and reports; it is no feed.",
            calls.calls,
            {200: Answer("Some of them, in order.", Page), 410: _AHEAD},
            scopes=(Scope.READ,),
            query=CallsAsked,
        ),
        Route(
            "GET",
            _CALL,
            "readCall",
            "One call's record, as it is now.",
            calls.call,
            {
                200: Answer("The record.", schema=_RECORD, headers=_ETAG),
                304: Answer("The reader has it: If-None-Match.", headers=_ETAG),
                404: _NO_CALL,
            },
            scopes=(Scope.READ,),
            headers={"If-None-Match": "An ETag got before."},
        ),
        Route(
            "GET",
            f"{_CALL}/recordings",
            "readRecordings",
            "Every sound of a call that is still kept.",
            audio.recordings,
            {200: Answer("Their names.", Recordings), 404: _NO_CALL},
            scopes=(Scope.AUDIO,),
        ),
        *(_play(method) for method in ("GET", "HEAD")),
        _post(
            "classification",
            "classifyCall",
            "Say what a call was. The last word counts; the record's next revision has "
            "it, mostly within a second.",
            said.classify,
            Classification,
        ),
        _post(
            "survey",
            "rateCall",
            "Say how the caller rates the service. The last word counts.",
            said.rate,
            Survey,
        ),
        Route(
            "GET",
            "/v1/events",
            "readEvents",
            "Changes as they come, as server-sent events. Event `call`, its id is the "
            "cursor, its data an item as in GET /v1/calls. Comments keep the line "
            "open. Who is too slow is let go, and comes back with Last-Event-ID.",
            events.events,
            {
                200: Answer(
                    "A stream without an end.",
                    media_type="text/event-stream",
                    schema={"type": "string"},
                ),
                410: _AHEAD,
            },
            scopes=(Scope.READ,),
            query=EventsAsked,
            headers={events.LAST_EVENT_ID: "Go on after this cursor."},
            is_stream=True,
        ),
        Route(
            "GET",
            "/v1/health",
            "readHealth",
            "Whether the feed and its store answer. Needs no token.",
            health.health,
            {
                200: Answer("Both do.", Health),
                503: Answer("The store does not.", Health),
            },
        ),
    ]


def _post(
    what: str, name: str, says: str, handler: Handler, body: type[BaseModel]
) -> Route:
    return Route(
        "POST",
        f"{_CALL}/{what}",
        name,
        says,
        handler,
        {
            202: Answer("Written down.", Accepted),
            404: _NO_CALL,
            409: problem("The record is final; nothing was written down."),
        },
        scopes=(Scope.ADMIN,),
        body=body,
    )


def _play(method: str) -> Route:
    """Of HEAD nobody hears anything, so nobody is asked why."""
    return Route(
        method,
        f"{_CALL}/recordings/{{name}}",
        "playRecording" if method == "GET" else "seeRecording",
        "One sound, whole or in part (Range). Each playback needs a reason and is "
        "written to the audit, with the seconds that were sent.",
        audio.play,
        {
            200: Answer("The sound.", **_WAV),
            206: Answer("A part of it.", **_WAV),
            304: Answer("The reader has it: If-None-Match.", headers=_ETAG),
            404: problem("No such call, or no such sound is kept."),
            409: problem("The call goes on; so does its sound."),
            416: problem("There are no such bytes."),
        },
        scopes=(Scope.AUDIO,),
        query=AudioAsked,
        headers={
            "Range": "One part, as RFC 9110 has it: bytes=0-1023",
            "If-Range": "An ETag: the part, if the sound is still the same.",
            "If-None-Match": "An ETag got before.",
            audio.REASON: "Why, if the query does not say it.",
            audio.PERSON: "Who, if the query does not say it.",
        },
        is_stream=True,
    )


def _version() -> str:
    try:
        return version("gerbang112")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
