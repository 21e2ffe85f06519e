"""Logs: one JSON object a line on stdout, the call's id bound once.

The supervisor and journald read them; `gerbang run` shows them to people.
"""

from __future__ import annotations

import contextvars
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

call_id: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "call_id", default=None
)
"""Set at the start of a call's task; every line logged in that task carries it."""

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON; `extra={...}` becomes fields of their own."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line: at, level, process, message, call_id if any, extras, traceback."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "process": self._process,
            "message": record.getMessage(),
        }
        if (bound := call_id.get()) is not None:
            line["call_id"] = bound
        line |= {k: v for k, v in vars(record).items() if k not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(process: str, *, level: int = logging.INFO) -> None:
    """Send all logging of this process to stdout as JSON lines; call once, at start."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(process))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def masked(number: str) -> str:
    """A caller's number fit for a log: `0812…678`. Short numbers vanish wholly."""
    return f"{number[:4]}…{number[-3:]}" if len(number) >= 9 else "…" if number else ""
