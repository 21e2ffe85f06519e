"""`POST /v1/calls/{id}/classification` and `/survey`: what people say of a call.

It goes into the notes journal, never into a table: the recorder makes the record's next
revision of it, so that a record can always be made anew from raw lines. Of a sealed
call (`pbx.records.erasures`) the recorder takes no line, so nothing is written.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

from pbx.feed import problems
from pbx.feed.calls import answer_json, find
from pbx.feed.problems import Problem
from pbx.feed.routes import Asked
from pbx.feed.words import Classification, Survey
from pbx.notes import Notes
from pbx.records.erasures import sealed_of

_log = logging.getLogger(__name__)


async def classify(asked: Asked) -> web.StreamResponse:
    """What the call was; the last word counts."""
    said = asked.body_as(Classification)
    return await _tell(asked, "CLASSIFIED", said.model_dump(exclude_none=True))


async def rate(asked: Asked) -> web.StreamResponse:
    """How the caller rates the service; the last word counts."""
    said = asked.body_as(Survey)
    return await _tell(asked, "SURVEYED", said.model_dump())


async def _tell(asked: Asked, name: str, values: dict[str, Any]) -> web.StreamResponse:
    call = await find(asked)
    home = call.record.get("joined_into") or call.call_id
    await _must_be_open_to_words(asked, {call.call_id, home})
    notes = Notes(asked.services.settings.notes.parent)
    try:
        await asyncio.to_thread(lambda: notes.tell(home, name, **values))
    except OSError as error:
        _log.error("note not written: %s", error)  # noqa: TRY400 — says it all
        raise problems.unavailable("the note cannot be written; try again") from None
    _log.info("%s, told by %s", name, asked.grant.name, extra={"call_id": home})
    return answer_json({"call_id": home}, status=202)


async def _must_be_open_to_words(asked: Asked, call_ids: set[str]) -> None:
    """Raises Problem where the record is final: what is said of it would be lost, and
    its text would lie in the notes for nothing."""
    engine = await asked.services.store.reader()
    async with engine.connect() as connection:
        if await sealed_of(connection, call_ids):
            raise Problem(
                409,
                "call-sealed",
                "this record is final: its raw lines are kept no longer, or something "
                "was erased from it; nothing was written down",
            )
