"""Who read personal data, and asked about a number: an entry in the audit a minute.

An entry for every answer would be a write for every read. So a reader's first read is
written within a second, and what follows once a minute; a service that is killed loses
at most a minute's count of a reader who is in the audit already. Where the audit takes
nothing for `REFUSE_SECONDS`, nobody reads personal data until it does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pbx.feed import problems

MINUTE_SECONDS = 60.0
HOUR_SECONDS = 3600.0
ASKED = "asked-number"
REFUSE_SECONDS = 60.0
"""How long readers go on while the audit takes no entry."""
MOST_CALLS = 100
"""Calls one entry names; then it is closed and the next one begins."""


_Key = tuple[str, str | None]
"""Who, and the number he asked about; None: what he read."""


@dataclass(slots=True)
class _Tally:
    since: datetime
    until: datetime
    records: int = 0
    first: int | None = None
    last: int | None = None
    calls: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Reads:
    """Counts; `due` gives what the audit is to take, `written` or `failed` what came
    of it."""

    action: str = "read-personal"
    window_seconds: float = MINUTE_SECONDS
    waiting: list[Mapping[str, Any]] = field(default_factory=list)
    """Entries the audit has not taken yet."""
    _open: dict[_Key, _Tally] = field(default_factory=dict)
    _closed_at: dict[_Key, float] = field(default_factory=dict)
    _failing_since: float | None = None

    def note(self, actor: str, call_id: str, cursor: int | None = None) -> None:
        """A record goes out whole: by its place in the feed, or else by its name.

        Raises Problem where it must not, for the audit takes nothing.
        """
        tally = self._count((actor, None))
        if cursor is None:
            tally.calls[call_id] = None
            if len(tally.calls) >= MOST_CALLS:
                self._close((actor, None))
            return
        tally.first = cursor if tally.first is None else min(tally.first, cursor)
        tally.last = cursor if tally.last is None else max(tally.last, cursor)

    def asked(self, actor: str, subject: str) -> None:
        """Somebody asked about a number, whether or not anything was found.

        `subject` stands for it (`pbx.model.audit.subject_of`). Raises as `note`.
        """
        self._count((actor, subject))

    def _count(self, key: _Key) -> _Tally:
        if self.is_refusing:
            raise problems.unavailable(
                "the audit takes no entry, and personal data is not read without one"
            )
        at = datetime.now(UTC)
        tally = self._open.setdefault(key, _Tally(at, at))
        tally.until = at
        tally.records += 1
        return tally

    @property
    def is_refusing(self) -> bool:
        """Whether the audit has taken nothing for too long."""
        since = self._failing_since
        return since is not None and time.monotonic() - since > REFUSE_SECONDS

    def due(self, *, ends: bool = False) -> list[Mapping[str, Any]]:
        """What the audit is to take now; at the end, all there is."""
        before = time.monotonic() - self.window_seconds
        self._closed_at = {k: at for k, at in self._closed_at.items() if at > before}
        for key in list(self._open):
            if ends or key not in self._closed_at:
                self._close(key)
        return list(self.waiting)

    def written(self, count: int) -> None:
        """The audit took the first `count` of them."""
        del self.waiting[:count]
        self._failing_since = None

    def failed(self) -> None:
        """It did not; they wait."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    def _close(self, key: _Key) -> None:
        tally, (actor, subject) = self._open.pop(key), key
        self._closed_at[key] = time.monotonic()
        details: dict[str, Any] = {
            "records" if subject is None else "times": tally.records,
            "since": tally.since.isoformat(timespec="milliseconds"),
            "until": tally.until.isoformat(timespec="milliseconds"),
        }
        if subject is not None:
            self.waiting.append(
                {
                    "actor": actor,
                    "action": ASKED,
                    "subject": subject,
                    "details": details,
                }
            )
            return
        if tally.first is not None:
            details |= {"first_cursor": tally.first, "last_cursor": tally.last}
        if tally.calls:
            details["calls"] = list(tally.calls)
        is_one = len(tally.calls) == 1 and tally.first is None
        self.waiting.append(
            {
                "actor": actor,
                "action": self.action,
                "call_id": next(iter(tally.calls)) if is_one else None,
                "details": details,
            }
        )
