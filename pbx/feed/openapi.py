"""The OpenAPI 3.1 document, made from the routes and their models.

Written here rather than taken from a library: those for aiohttp want their own way of
writing handlers, and of what they make we need these hundred lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from pbx.feed.problems import MEDIA_TYPE
from pbx.feed.routes import Answer, Route
from pbx.feed.words import RECORD, CallId, FileName, ProblemTold

_REF = "#/components/schemas/"
_BEARER = "token"
_PATH = {"call_id": CallId, "name": FileName}
_HEADERS = {"Range": {"pattern": "^bytes=[0-9]{0,18}-[0-9]{0,18}$"}}
_PROBLEMS: Mapping[int, str] = {
    400: "The query, or the body, is not as declared here.",
    401: "No token, or one that is expired, revoked or unknown.",
    403: "The token lacks a scope.",
    429: "Too much at once; see Retry-After.",
    500: "Our fault; it is logged.",
    503: "The record store does not answer; ask again.",
}
_OF_BODIES = {
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not JSON.",
}


def document(
    routes: Iterable[Route], record: Mapping[str, Any], *, version: str
) -> dict[str, Any]:
    """The whole document; `record` is the JSON Schema of a call's record."""
    routes = list(routes)
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gerbang112: call records for other services",
            "version": version,
            "description": "How to use it: docs/feed.md. Readers pass over fields "
            "they do not know.",
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas | {RECORD: dict(record)},
            "securitySchemes": {
                _BEARER: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `gerbang token create`.",
                }
            },
        },
    }


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    """Every model's schema; of what is asked as it is checked, of answers as told."""
    told: list[tuple[type[BaseModel], Any]] = [(ProblemTold, "serialization")]
    for route in routes:
        told.append((route.query, "validation"))
        if route.body is not None:
            told.append((route.body, "validation"))
        for answer in route.answers.values():
            if answer.model is not None:
                told.append((answer.model, "serialization"))
    found: dict[str, Any] = {}
    for mode in ("validation", "serialization"):
        models = [(model, way) for model, way in dict.fromkeys(told) if way == mode]
        _, made = models_json_schema(models, ref_template=_REF + "{model}")
        found |= made.get("$defs", {})
    return found


def _operation(route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [*_of_path(route), *_of_query(route, schemas), *_of_headers(route)]
    told: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.says.split(". ")[0].rstrip("."),
        "description": route.says
        + (f" Needs the scopes: {', '.join(route.scopes)}." if route.scopes else ""),
        "responses": _responses(route),
    }
    if parameters:
        told["parameters"] = parameters
    if route.scopes:
        told["security"] = [{_BEARER: []}]
        told["x-scopes"] = list(route.scopes)
    if route.body is not None:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": _of_model(route.body)},
        }
    return told


def _of_path(route: Route) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.path):
        schema = TypeAdapter(_PATH[name]).json_schema()
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schema | {"minLength": 1},
        }


def _of_query(route: Route, schemas: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name, schema in schemas[route.query.__name__].get("properties", {}).items():
        told = {k: v for k, v in schema.items() if k not in ("description", "default")}
        told = _without_null(told)
        parameter = {"name": name, "in": "query", "schema": told}
        if "description" in schema:
            parameter["description"] = schema["description"]
        if schema.get("default") is not None:
            told["default"] = schema["default"]
        yield parameter


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or not; it is never null."""
    choices = [c for c in schema.get("anyOf", []) if c != {"type": "null"}]
    told = {k: v for k, v in schema.items() if k != "anyOf"}
    if len(choices) == 1:
        told |= choices[0]
    elif choices:
        told["anyOf"] = choices
    return told


def _of_headers(route: Route) -> Iterable[dict[str, Any]]:
    for name, says in route.headers.items():
        yield {
            "name": name,
            "in": "header",
            "description": says,
            "schema": {"type": "string", "maxLength": 320} | _HEADERS.get(name, {}),
        }


def _responses(route: Route) -> dict[str, Any]:
    told = {str(status): _answer(answer) for status, answer in route.answers.items()}
    problems = dict(_PROBLEMS)
    if not route.scopes:
        for status in (401, 403, 429):
            del problems[status]
    if route.body is not None:
        problems |= _OF_BODIES
    for status, says in problems.items():
        told.setdefault(str(status), _answer(_problem(says, status)))
    return dict(sorted(told.items()))


def problem(says: str) -> Answer:
    """An answer that is an error, for a route's table."""
    return Answer(says, ProblemTold, MEDIA_TYPE)


def _problem(says: str, status: int) -> Answer:
    headers = {"Retry-After": "Seconds."} if status in (429, 503) else {}
    return Answer(says, ProblemTold, MEDIA_TYPE, headers=headers)


def _answer(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.says}
    if answer.model is not None:
        told["content"] = {answer.media_type: _of_model(answer.model)}
    elif answer.schema is not None:
        told["content"] = {answer.media_type: {"schema": dict(answer.schema)}}
    if answer.headers:
        told["headers"] = {
            name: {"description": says, "schema": {"type": "string"}}
            for name, says in answer.headers.items()
        }
    return told


def _of_model(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF + model.__name__}}
