"""`/v1/calls/{id}/recordings`: conversations, and what the filter heard.

Nobody hears a caller unnoticed. Before the first byte goes out, `playing` stands in the
audit, with who and why; where it cannot be written, nothing is played. Afterwards
`played` says how many seconds of sound were sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from pbx.feed import problems
from pbx.feed.calls import answer_json, find
from pbx.feed.problems import Problem
from pbx.feed.ranges import Sound, Span, UnsatisfiableError, sound_of, wanted_span
from pbx.feed.routes import Asked, Services
from pbx.feed.words import (
    AudioAsked,
    FileName,
    Listener,
    Reason,
    RecordingKind,
)
from pbx.model.call import State
from pbx.model.kept import places
from pbx.records import audit
from pbx.records.audit import AuditKeyError
from pbx.records.feed import Listed

_log = logging.getLogger(__name__)

FILTER_NAME = "filter.wav"
"""What the filter heard goes by this name, whatever the file is called."""
REASON, PERSON = "Gerbang-Reason", "Gerbang-Person"
CHUNK_BYTES = 64 * 1024
HEAD_BYTES = 4096
SLOW_SECONDS = 30.0
"""Whoever does not take a chunk in this time is let go."""

_NAME: TypeAdapter[str] = TypeAdapter(FileName)
_REASON: TypeAdapter[str] = TypeAdapter(Reason)
_PERSON: TypeAdapter[str] = TypeAdapter(Listener)


@dataclass(frozen=True, slots=True)
class Kept:
    """One sound on the disk."""

    name: str
    kind: RecordingKind
    path: Path


@dataclass(frozen=True, slots=True)
class Who:
    """Whose ears, and why."""

    actor: str
    reason: str


async def recordings(asked: Asked) -> web.StreamResponse:
    """The sounds of a call that are still there."""
    call = await find(asked)
    told = await asyncio.to_thread(lambda: [_told(kept) for kept in _kept(asked, call)])
    return answer_json({"recordings": [one for one in told if one is not None]})


async def play(asked: Asked) -> web.StreamResponse:
    """One of them, whole or in part; of HEAD only what it would be."""
    call = await find(asked)
    kept = await asyncio.to_thread(_named, asked, call)
    try:
        file = await asyncio.to_thread(kept.path.open, "rb")
    except OSError:
        raise _no_recording() from None
    with file:
        return await _Playback(asked, call.call_id, kept, file).answer()


def _named(asked: Asked, call: Listed) -> Kept:
    """The sound the path names. Raises Problem."""
    try:
        name = _NAME.validate_python(asked.request.match_info["name"])
    except ValidationError:
        raise _no_recording() from None
    for kept in _kept(asked, call):
        if kept.name == name:
            if (
                kept.kind is RecordingKind.CONVERSATION
                and call.record["state"] != State.CLOSED.value
            ):
                raise Problem(409, "call-open", "the call goes on; so does its sound")
            return kept
    raise _no_recording()


def _no_recording() -> Problem:
    return Problem(
        404, "unknown-recording", "this call has no such sound, or it is kept no longer"
    )


def _kept(asked: Asked, call: Listed) -> list[Kept]:
    """Every sound the record and the disk agree on."""
    settings, found = asked.services.settings, []
    for told in call.record.get("recordings") or []:
        path = _inside(settings.recordings, str(told["name"]))
        if path is not None:
            found.append(Kept(path.name, RecordingKind.CONVERSATION, path))
    for place in places(call.call_id, call.started_at):
        path = _inside(settings.kept, str(place))
        # The story comes last: without it the sound is not whole.
        if path is not None and path.with_suffix(".json").is_file():
            found.append(Kept(FILTER_NAME, RecordingKind.FILTER, path))
            break
    return found


def _inside(folder: Path, name: str) -> Path | None:
    """A file of that folder; None where there is none, or a name leads out of it."""
    try:
        path = (folder / name).resolve()
        is_ours = path.is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):
        return None
    return path if is_ours else None


def _told(kept: Kept) -> dict[str, Any] | None:
    try:
        size = kept.path.stat().st_size
    except OSError:
        return None
    return {"name": kept.name, "kind": kept.kind.value, "bytes": size}


# ---- one playback -------------------------------------------------------------------


class _Playback:
    """One answer with sound in it."""

    def __init__(self, asked: Asked, call_id: str, kept: Kept, file: BinaryIO) -> None:
        self._asked = asked
        self._call_id = call_id
        self._kept = kept
        self._file = file
        facts = os.fstat(file.fileno())
        self._size = facts.st_size
        self._tag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'

    async def answer(self) -> web.StreamResponse:
        """Send what is asked for. Raises Problem before anything was sent."""
        headers = {"ETag": self._tag, "Accept-Ranges": "bytes"}
        if self._is_known():
            return web.Response(status=304, headers=headers)
        span = self._span()
        response = web.StreamResponse(status=206 if span else 200, headers=headers)
        response.content_type = "audio/wav"
        if span:
            told = f"bytes {span.start}-{span.stop - 1}/{self._size}"
            response.headers["Content-Range"] = told
        span = span or Span(0, self._size)
        response.content_length = span.length
        if self._asked.request.method == "HEAD":
            await response.prepare(self._asked.request)
            return response
        who = _who(self._asked)
        sound = await asyncio.to_thread(self._sound)
        await self._note("playing", who, span, None)
        await self._send(response, span, who, sound)
        return response

    def _is_known(self) -> bool:
        told = self._asked.request.if_none_match or ()
        return any(tag.value in (self._tag.strip('"'), "*") for tag in told)

    def _span(self) -> Span | None:
        headers = self._asked.request.headers
        if headers.get("If-Range", self._tag) != self._tag:
            return None
        try:
            return wanted_span(headers.get("Range"), self._size)
        except UnsatisfiableError:
            raise Problem(
                416,
                "range-not-satisfiable",
                "there are no such bytes; Content-Range says how many there are",
                {"Content-Range": f"bytes */{self._size}"},
            ) from None

    def _sound(self) -> Sound:
        return sound_of(self._file.read(HEAD_BYTES))

    async def _send(
        self, response: web.StreamResponse, span: Span, who: Who, sound: Sound
    ) -> None:
        sent = span.start
        try:
            await response.prepare(self._asked.request)
            self._file.seek(span.start)
            while sent < span.stop:
                if not await self._asked.still_holds():
                    raise PermissionError("the token ended")
                wanted = min(CHUNK_BYTES, span.stop - sent)
                chunk = await asyncio.to_thread(self._file.read, wanted)
                if not chunk:
                    raise OSError("the file became shorter")
                async with asyncio.timeout(SLOW_SECONDS):
                    await response.write(chunk)
                sent += len(chunk)
        except (OSError, TimeoutError) as error:
            # Too late for a problem: what was promised does not come.
            _log.info("playback broke off: %s", type(error).__name__)
            if self._asked.request.transport is not None:
                self._asked.request.transport.abort()
        finally:
            seconds = sound.seconds(Span(span.start, sent))
            await self._note_heard(who, span, seconds)

    async def _note(
        self, action: str, who: Who, span: Span, seconds: float | None
    ) -> None:
        """Into the audit, now. Raises Problem where it takes nothing."""
        entry = self._entry(action, who, span, seconds)
        try:
            await write_down(self._asked.services, entry)
        except AuditKeyError as error:
            _log.error("audit: %s", error)  # noqa: TRY400 — its text is the cure
            raise problems.unavailable("the audit takes no entry") from None

    async def _note_heard(self, who: Who, span: Span, seconds: float) -> None:
        """Into the audit; if it does not take it now, later (`unheard`)."""
        entry = self._entry("played", who, span, seconds)
        services = self._asked.services
        services.count("playbacks")
        try:
            await write_down(services, entry)
        except Exception as error:  # noqa: BLE001 — whatever it is, the entry must stand
            _log.warning("audit is late: %s", type(error).__name__)
            services.unaudited.append(entry)

    def _entry(
        self, action: str, who: Who, span: Span, seconds: float | None
    ) -> Mapping[str, Any]:
        return {
            "actor": who.actor,
            "action": action,
            "call_id": self._call_id,
            "reason": who.reason,
            "seconds": seconds,
            "details": {
                "recording": self._kept.name,
                "bytes": f"{span.start}-{span.stop - 1}",
            },
        }


async def write_down(services: Services, *entries: Mapping[str, Any]) -> None:
    """Entries of the audit, committed, all or none. Raises what `audit.append`
    raises."""
    engine = await services.store.writer()
    async with engine.begin() as connection:
        for entry in entries:
            await audit.append(connection, secrets=services.settings.secrets, **entry)


def _who(asked: Asked) -> Who:
    """Who listens and why. Raises Problem where nobody says why."""
    query, headers = asked.query_as(AudioAsked), asked.request.headers
    try:
        reason = _REASON.validate_python(query.reason or headers.get(REASON))
        person = query.person or headers.get(PERSON)
        listener = _PERSON.validate_python(person) if person else None
    except ValidationError:
        raise Problem(
            400,
            "reason-missing",
            f"say why, in 3 to 200 characters: ?reason=… or the header {REASON}; and "
            f"who, in at most 80, if this token is several people's: {PERSON}",
        ) from None
    actor = f"token {asked.grant.name}"
    return Who(f"{actor}, {listener}" if listener else actor, reason)
