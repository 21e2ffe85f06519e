"""`/v1/calls`: the feed with its long poll, a list of a time, and single records."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from aiohttp import web

from pbx.feed import problems
from pbx.feed.cursors import (
    HIGHEST,
    CursorError,
    ListPlace,
    feed_cursor,
    feed_number,
    list_cursor,
    list_place,
)
from pbx.feed.limits import TooManyError
from pbx.feed.problems import Problem
from pbx.feed.routes import Asked
from pbx.feed.shown import as_json
from pbx.feed.words import CallsAsked, Moment
from pbx.model.audit import subject_of
from pbx.model.numbers import NotANumberError, normalised
from pbx.records import feed
from pbx.records.audit import AuditKeyError, files_of
from pbx.records.feed import Entry, Listed, WantedCalls
from pbx.records.queries import newest_cursor
from pbx.records.tokens import Scope

LOOK_SECONDS = 1.0
"""While somebody waits: how often it is looked whether he still does, and whether there
is something nobody was told of."""
_LONGEST_PUBLIC_NUMBER = 5
"""Digits of a number that is nobody's own: 112, 119, an operator's phone."""


def item(entry: Entry, asked: Asked) -> str:
    """One change as JSON, as the feed and live events tell it."""
    return asked.services.shower.item(
        asked.grant,
        feed_cursor(entry.cursor),
        entry.call_id,
        entry.revision,
        entry.written_at,
        entry.text,
        entry.cursor,
    )


async def calls(asked: Asked) -> web.StreamResponse:
    """The feed; with `from`, a list."""
    query = asked.query_as(CallsAsked)
    if query.since is not None:
        return await _list(asked, query, query.since)
    after = cursor_number(query.after)
    try:
        if query.wait == 0:
            entries = await _entries(asked, query, after)
        else:
            with asked.services.room.entered(asked.grant.token_id):
                entries = await _wait(asked, query, after)
    except TooManyError:
        raise problems.too_many(5, "too many wait at the same time") from None
    told = entries[: query.limit]
    return _page(
        [item(entry, asked) for entry in told],
        feed_cursor(told[-1].cursor if told else after),
        more=len(entries) > query.limit,
    )


def _page(items: list[str], following: str | None, *, more: bool) -> web.Response:
    """`words.Page`, from items that are JSON already."""
    rest = as_json({"next": following, "more": more})
    return _json(f'{{"items":[{",".join(items)}],{rest[1:]}')


async def _wait(asked: Asked, query: CallsAsked, after: int) -> list[Entry]:
    """Entries as soon as there are any; none when the time is over. Raises Problem
    where the token ended meanwhile."""
    services, loop = asked.services, asyncio.get_running_loop()
    until = loop.time() + query.wait
    while True:
        seen = services.waker.count
        if not await asked.still_holds():
            raise problems.unauthorized()
        entries = await _entries(asked, query, after)
        left = until - loop.time()
        if entries or left <= 0 or services.stopping.is_set() or asked.is_gone:
            return entries
        await services.waker.changed(seen, min(left, LOOK_SECONDS))


async def _entries(asked: Asked, query: CallsAsked, after: int) -> list[Entry]:
    engine = await asked.services.store.reader()
    entries = await feed.entries_after(
        engine,
        after,
        most=query.limit + 1,
        closed_only=query.state is not None,
    )
    if not entries and after > await newest_cursor(engine):
        raise cursor_ahead()
    return entries


def cursor_ahead() -> Problem:
    """The consumer has seen more than this store has: it is not the same store."""
    return Problem(
        410,
        "cursor-ahead",
        "this cursor is ahead of the record store, so the store was replaced, perhaps "
        "by a backup; read it again from the beginning, without `after`",
    )


async def _list(asked: Asked, query: CallsAsked, since: Moment) -> web.StreamResponse:
    wanted = _wanted(asked, query, since)
    for number in (query.caller, query.number):
        if number is not None and _is_private(number):
            _note_question(asked, number)
    engine = await asked.services.store.reader()
    found = await feed.listed_calls(engine, wanted, most=query.limit + 1)
    told = found[: query.limit]
    return _page(
        [_listed_item(call, asked) for call in told],
        list_cursor(_place(told[-1])) if told else query.after,
        more=len(found) > query.limit,
    )


def _place(call: Listed) -> ListPlace:
    return ListPlace(call.started_at, call.call_id)


def _listed_item(call: Listed, asked: Asked) -> str:
    return asked.services.shower.item(
        asked.grant,
        list_cursor(_place(call)),
        call.call_id,
        call.revision,
        call.written_at,
        call.text,
    )


def _wanted(asked: Asked, query: CallsAsked, since: Moment) -> WantedCalls:
    """What the store is asked for. Raises Problem where a filter would tell a reader
    whose number it is that he may not see."""
    is_private = query.number is not None and _is_private(query.number)
    if (query.caller or is_private) and not asked.grant.sees_personal:
        raise problems.forbidden([Scope.PERSONAL])
    place = None
    try:
        if query.after is not None:
            place = list_place(query.after)
    except CursorError as error:
        raise _bad_cursor(error) from None
    zone = ZoneInfo(asked.services.zone())
    return WantedCalls(
        since=_moment(since, zone),
        until=None if query.to is None else _moment(query.to, zone),
        dialled=query.number,
        caller=query.caller,
        disposition=query.disposition.value if query.disposition else None,
        state=query.state.value if query.state else None,
        after=None if place is None else (place.started_at, place.call_id),
    )


def _is_private(number: str) -> bool:
    return len(number.lstrip("+")) > _LONGEST_PUBLIC_NUMBER


def _note_question(asked: Asked, number: str) -> None:
    """That it was asked, which tells something even where nothing is found.

    In the audit stands what stands for the number, not the number. Raises Problem.
    """
    secrets = asked.services.settings.secrets
    try:
        subject = subject_of(_one_form(number), files_of(secrets).key())
    except (AuditKeyError, OSError) as error:
        raise problems.unavailable(
            "the audit's key cannot be read, and nobody asks about a number without it"
        ) from error
    asked.services.reads.asked(f"token {asked.grant.name}", subject)


def _one_form(number: str) -> str:
    """As who looks for what was asked about a person will write it."""
    try:
        return normalised(number)
    except NotANumberError:
        return number


def _moment(told: Moment, zone: ZoneInfo) -> datetime:
    if isinstance(told, datetime):
        return told.astimezone(UTC)
    return datetime.combine(told, time(), zone).astimezone(UTC)


def cursor_number(cursor: str | None) -> int:
    """Where the feed goes on. Raises Problem."""
    try:
        return 0 if cursor is None else min(feed_number(cursor), HIGHEST)
    except CursorError as error:
        raise _bad_cursor(error) from None


def _bad_cursor(error: CursorError) -> Problem:
    return Problem(
        400,
        "invalid-cursor",
        f"query.after: {error}",
        errors=[{"where": "query.after", "what": str(error)}],
    )


# ---- one call -----------------------------------------------------------------------


async def call(asked: Asked) -> web.StreamResponse:
    """One record; 304 where the reader has this revision already."""
    found = await find(asked)
    mark = f"{found.revision}{'' if asked.grant.sees_personal else '-masked'}"
    headers = {"ETag": f'"{mark}"'}
    told = asked.request.if_none_match
    if told and any(tag.value in (mark, "*") for tag in told):
        return web.Response(status=304, headers=headers)
    shower = asked.services.shower
    shown = shower.record(asked.grant, found.call_id, found.revision, found.text)
    return _json(shown, headers)


async def find(asked: Asked) -> Listed:
    """The call the path names. Raises Problem if there is none."""
    engine = await asked.services.store.reader()
    found = await feed.one_call(engine, asked.call_id)
    if found is None:
        raise problems.unknown_call()
    return found


# ---- shared -------------------------------------------------------------------------


def answer_json(told: object, *, status: int = 200) -> web.Response:
    """Whatever it is, as JSON."""
    return _json(as_json(told), status=status)


def _json(
    text: str, headers: Mapping[str, str] | None = None, *, status: int = 200
) -> web.Response:
    return web.Response(
        body=text.encode(),
        status=status,
        content_type="application/json",
        headers=headers,
    )
