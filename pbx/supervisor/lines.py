"""A process's log line, as people read it.

`{"at": …, "message": "call offered", …}` becomes `20:31:07 intake-0  call offered …`.
What is not JSON is shown as it is. Names and numbers in log lines come from SIP, so
nothing that could steer a terminal passes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

_KNOWN = frozenset({"at", "level", "process", "message", "call_id", "traceback"})
_LEVEL_COLOURS = {"warning": "33", "error": "31;1", "critical": "31;1"}
_PROCESS_COLOURS = ("36", "35", "34", "32", "96", "95")
_RAW_LEVELS = (("Traceback", "error"), ("Error:", "error"))
"""How a dying Python marks trouble in plain text."""
_ASTERISK = re.compile(
    r"\[[^]]*\] (?P<level>[A-Z]+)\[\d+\](?:\[C-[0-9a-f]+\])?: (?P<message>.*)"
)
"""main/logger.c: `[time] WARNING[thread][C-call]: file.c:12 function: text`."""

_QUIET = frozenset({"notice", "verbose", "debug", "dtmf"})
_CHATTER = ("PBX UUID: ", "Could not find option ")
"""What Asterisk says at each start before its logger works: main/asterisk.c, and
main/config_options.c of a default that needs no setting."""


@dataclass(frozen=True, slots=True)
class Style:
    """How lines are shown."""

    zone: tzinfo = UTC
    colour: bool = False
    as_json: bool = False


def shown(process: str, raw: str, style: Style, now: datetime) -> str:
    """One line of output, without its newline; perhaps several rows of text.

    `now` (aware) stands in where the line tells no time of its own.
    """
    fields = _parse(raw)
    if style.as_json:
        return json.dumps(_as_json(process, raw, fields, now), ensure_ascii=False)
    if fields is None:
        level, text = _plain(raw)
        return _row(now, process, level, _printable(text), style)
    at = _time(fields.get("at"), now)
    parts = [str(fields.get("message", ""))]
    parts += [f"{k}={v}" for k, v in fields.items() if k not in _KNOWN]
    if call_id := fields.get("call_id"):
        parts.append(f"[{call_id}]")
    row = _row(
        at,
        process,
        str(fields.get("level", "info")),
        _printable("  ".join(parts)),
        style,
    )
    if traceback := fields.get("traceback"):
        row += "".join(
            f"\n         {_printable(line)}" for line in str(traceback).splitlines()
        )
    return row


def is_chatter(process: str, raw: str) -> bool:
    """Whether people need not see this line: Asterisk's below WARNING.

    It stands in Asterisk's own log, and in `--log json`. A line of another form is
    shown: it may be a dying program's last word.
    """
    if process != "asterisk":
        return False
    told = _ASTERISK.match(raw)
    return told["level"].lower() in _QUIET if told else raw.startswith(_CHATTER)


def _parse(raw: str) -> dict[str, Any] | None:
    if not raw.startswith("{"):
        return None
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and "message" in fields else None


def _as_json(
    process: str, raw: str, fields: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    if fields is not None:
        return fields | {"process": process}
    level, text = _plain(raw)
    return {
        "at": now.astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "process": process,
        "message": text,
    }


def _plain(raw: str) -> tuple[str, str]:
    """The level and the text of a line that is not JSON."""
    if told := _ASTERISK.match(raw):
        return told["level"].lower(), told["message"]
    return next((name for mark, name in _RAW_LEVELS if mark in raw), "info"), raw


def _time(at: object, now: datetime) -> datetime:
    try:
        told = datetime.fromisoformat(str(at))
    except ValueError:
        return now
    return told if told.tzinfo else now


def _row(at: datetime, process: str, level: str, text: str, style: Style) -> str:
    clock = f"{at.astimezone(style.zone):%H:%M:%S}"
    name = f"{process:<9}"
    if not style.colour:
        mark = f"{level.upper()}: " if level in _LEVEL_COLOURS else ""
        return f"{clock} {name} {mark}{text}"
    tone = _PROCESS_COLOURS[sum(process.encode()) % len(_PROCESS_COLOURS)]
    if level in _LEVEL_COLOURS:
        text = f"\x1b[{_LEVEL_COLOURS[level]}m{text}\x1b[0m"
    return f"\x1b[2m{clock}\x1b[0m \x1b[{tone}m{name}\x1b[0m {text}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " if c == "\t" else "·" for c in text)
