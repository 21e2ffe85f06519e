"""The JSON Schema of a call's record, made from the very classes that make the record.

Version 1 may only grow: `incompatible` says what would break who reads it already, and
then it is version 2. Readers pass over fields and words they do not know.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from pbx.model.call import Call

VERSION = 1
"""The record's, told with every record that leaves the house."""

SCHEMA_ID = f"urn:gerbang112:call-record:{VERSION}"
"""`dataschema` of a webhook's event, `$id` of the schema."""

_OPEN = "Open: be ready for a word that is not known yet."
_SCALARS: Mapping[type, Mapping[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time"},
}


def record_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the record as store, feed and webhooks give it.

    Every field is there in every record, null or empty where nothing is known. Nothing
    is referred to: it can stand anywhere in an OpenAPI document. `x-known-values` are
    an enumeration's words as of now; it is no `enum`, for more may come.
    """
    call = _object(Call)
    own = {
        "revision": {
            "type": "integer",
            "minimum": 1,
            "description": "Counts up with every change of this call's record.",
        },
        "joined_into": {
            "type": ["string", "null"],
            "description": "The call_id of the call this one became part of; its "
            "record tells the rest.",
        },
        "erased_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When personal data was last taken out of this record, for "
            "good; `erased` stands in its place. Whoever has a copy takes it out too.",
        },
    }
    call["properties"] = own | call["properties"]
    call["required"] = [*own, *call["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": f"Record of one call, version {VERSION}",
        **call,
        "description": "One call, as it is known at this revision. Times are ISO 8601 "
        "in UTC with milliseconds, durations seconds. Fields are added within a "
        "version, never taken away: pass over those you do not know.",
    }


def incompatible(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What in `new` could break a reader made for `old`, one line each."""
    return list(_breaks(old, new, "record"))


def _breaks(
    old: Mapping[str, Any], new: Mapping[str, Any], where: str
) -> Iterator[str]:
    if more := _types(new) - _types(old):
        yield f"{where} may now be {' or '.join(sorted(more))}"
    if not _types(new) & _types(old) - {"null"}:
        yield f"{where} can no longer be what it was"
    if old.get("format") != new.get("format") or old.get("$id") != new.get("$id"):
        yield f"{where} is written differently"
    if gone := set(old.get("x-known-values", [])) - set(new.get("x-known-values", [])):
        yield f"{where} no longer says {', '.join(sorted(gone))}"
    if "items" in old and "items" in new:
        yield from _breaks(old["items"], new["items"], f"{where}[]")
    for name in old.get("required", []):
        if name not in new.get("required", []):
            yield f"{where}.{name} may now be missing"
    for name, value in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from _breaks(value, new["properties"][name], f"{where}.{name}")
        else:
            yield f"{where}.{name} is gone"


def _types(schema: Mapping[str, Any]) -> set[str]:
    told = schema.get("type", [])
    return {told} if isinstance(told, str) else set(told)


# ---- the walk -----------------------------------------------------------------------


def _object(kind: type) -> dict[str, Any]:
    """The schema of a dataclass: docstrings are what it says of its fields."""
    hints, told = get_type_hints(kind), _field_docs(kind)
    properties = {}
    for field in fields(kind):
        schema = _schema(hints[field.name])
        says = " ".join(filter(None, [told.get(field.name), schema.get("description")]))
        properties[field.name] = schema | ({"description": says} if says else {})
    return {
        "type": "object",
        "description": _tidy(kind.__doc__ or ""),
        "properties": properties,
        "required": list(properties),
    }


def _schema(hint: Any) -> dict[str, Any]:
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = (a for a in get_args(hint) if a is not types.NoneType)
        schema = _schema(inner)
        return schema | {"type": [schema["type"], "null"]}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if is_dataclass(hint) and isinstance(hint, type):
        return _object(hint)
    if issubclass(hint, StrEnum):
        words = [word.value for word in hint]
        return {"type": "string", "x-known-values": words, "description": _OPEN}
    return dict(_SCALARS[hint])


@cache
def _field_docs(kind: type) -> Mapping[str, str]:
    """The docstring below each field of a class, which Python itself forgets."""
    source = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    body = next(
        node.body
        for node in source.body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    found = {}
    for field, after in zip(body, body[1:], strict=False):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = _tidy(text)
            case _:
                pass
    return found


def _tidy(text: str) -> str:
    return " ".join(text.split())
