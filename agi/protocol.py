"""AGI, bytes in and events out, without I/O: nothing here waits, nothing here raises on
what a peer says.

Asterisk opens the connection, sends its variables (`agi_…: value`, ended by an empty
line), then answers our commands, one reply each. At any moment it may say `HANGUP`.
Source: Asterisk's res/res_agi.c (`setup_env`, `run_agi`, `agi_handle_command`).

Three kinds of trouble are kept apart: the peer broke the protocol (`Violation`, an
event), we misused it (`MisuseError`, raised), the peer said no (`Reply` with its code).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_LINE_BYTES = 4096
MAX_HEADERS = 200
MAX_HEADER_BYTES = 32_768
MAX_USAGE_LINES = 200
"""A 520 reply carries the command's whole help text."""
MAX_COMMAND_BYTES = 8000
"""Asterisk reads a command into 8192 bytes (AGI_BUF_LEN) and would cut a longer one."""


class MisuseError(Exception):
    """We asked for something the protocol cannot carry: our bug."""


@dataclass(frozen=True, slots=True)
class Request:
    """Asterisk's opening: who calls, and what the dialplan wants of us."""

    variables: Mapping[str, str]
    """`agi_…` names to values; bad UTF-8 replaced, foreign text otherwise untouched."""

    @property
    def script(self) -> str:
        """The path of the agi:// URL, without its query."""
        return self.variables.get("agi_network_script", "").partition("?")[0]

    @property
    def uniqueid(self) -> str:
        """The channel's unique id: the call's id everywhere."""
        return self.variables.get("agi_uniqueid", "")

    @property
    def caller(self) -> str:
        """The caller's number; empty when withheld or unknown."""
        number = self.variables.get("agi_callerid", "")
        return "" if number == "unknown" else number

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the dialplan passed after the URL: `agi_arg_1`, `agi_arg_2`, …"""
        found: list[str] = []
        while (name := f"agi_arg_{len(found) + 1}") in self.variables:
            found.append(self.variables[name])
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the one command outstanding."""

    code: int
    """200 done, 510 unknown command, 511 not on a dead channel, 520 wrong syntax."""
    result: str
    """What followed `result=`; empty for other codes."""
    value: str = ""
    """What stood in parentheses."""
    usage: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether the command was carried out, whatever came of it."""
        return self.code == 200


@dataclass(frozen=True, slots=True)
class HungUp:
    """Asterisk says the caller has left; a reply may still follow."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer has closed the connection. The last event."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The peer does not speak AGI. The last event."""

    what: str


Event = Request | Reply | HungUp | Closed | Violation


class State(Enum):
    """Where a connection stands."""

    HEADERS = auto()
    IDLE = auto()
    WAITING = auto()
    USAGE = auto()
    """Waiting, inside the lines of a 520 reply."""
    OVER = auto()


# Python 3.11 looks a member up by a descriptor each time: 7 % of a session's cost.
_HEADERS: Final = State.HEADERS
_IDLE: Final = State.IDLE
_WAITING: Final = State.WAITING
_USAGE: Final = State.USAGE
_OVER: Final = State.OVER

_REPLY = re.compile(r"^(\d{3})(?: (.*))?$")
_RESULT = re.compile(r"^result=(\S*)(?: \((.*)\))?")
_ORDINARY = {b"200 result=%d\n" % n: Reply(200, str(n)) for n in (0, 1)}
"""What Asterisk says nearly always: `1` to SET VARIABLE, `0` to EXEC."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""All of them unprintable; so are some characters that may pass (a no-break space)."""


class Connection:
    """One AGI connection's state. `receive` bytes, `send` commands, obey events."""

    __slots__ = ("_buffer", "_header_bytes", "_state", "_usage", "_variables")

    def __init__(self) -> None:
        self._state = _HEADERS
        self._buffer = b""
        self._variables: dict[str, str] = {}
        self._header_bytes = 0
        self._usage: list[str] = []

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._state

    def send(self, *words: str) -> bytes:
        """One command as bytes for the wire, such as `("SET VARIABLE", "A", "b")`.

        The first word goes as it is, the others quoted. Raises MisuseError for
        control characters, a command too long, or one before the reply to the last:
        Asterisk buffers input and would not see a second line until something else
        comes (`run_agi` polls the descriptor, `fgets` reads ahead).
        """
        if self._state is not _IDLE:
            raise MisuseError(f"cannot send a command in state {self._state.name}")
        line = command_line(*words)
        self._state = _WAITING
        return line

    def receive(self, data: bytes) -> list[Event]:
        """Everything that follows from these bytes, in order.

        Whole lines are decoded and split together, not one by one: an opening has 26.
        """
        if self._state is _OVER:
            return []
        if self._state is _WAITING and not self._buffer and data in _ORDINARY:
            self._state = _IDLE
            return [_ORDINARY[data]]
        block, line_feed, self._buffer = (self._buffer + data).rpartition(b"\n")
        if len(self._buffer) > MAX_LINE_BYTES or _has_long_line(block):
            return self._violated("a line too long")
        if not line_feed:
            return []
        lines = iter(_lines(block))
        events: list[Event] = []
        if self._state is _HEADERS:
            self._header_bytes += len(block) + 1
            events = self._headers(lines)
        for line in lines:  # the opening has taken its own
            if self.state is _OVER:
                break
            events += self._line(line)
        return events

    def receive_eof(self) -> list[Event]:
        """The peer has closed; said once."""
        if self._state is _OVER:
            return []
        self._state = _OVER
        return [Closed()]

    def _headers(self, lines: Iterator[str]) -> list[Event]:
        """Take lines until the empty one that ends the opening."""
        variables = self._variables
        is_complete = False
        for line in lines:
            if not line:
                is_complete = True
                break
            name, colon, value = line.partition(":")
            if not colon or not name.startswith("agi_"):
                return self._violated(f"not an AGI variable: {line[:80]!r}")
            if name in variables:
                # A line break smuggled into a caller's number or name would look so.
                return self._violated(f"{name} is said twice")
            variables[name] = value.removeprefix(" ")
        if len(variables) > MAX_HEADERS or self._header_bytes > MAX_HEADER_BYTES:
            return self._violated("too many variables")
        return self._headers_complete() if is_complete else []

    def _headers_complete(self) -> list[Event]:
        if "agi_network" not in self._variables:
            return self._violated("no AGI variables")
        self._state = _IDLE
        return [Request(self._variables)]

    def _line(self, line: str) -> list[Event]:
        if line == "HANGUP" and self._state is not _USAGE:
            return [HungUp()]
        if self._state is _WAITING:
            return self._reply(line)
        if self._state is _USAGE:
            return self._usage_line(line)
        return self._violated(f"a reply to nothing: {line[:80]!r}")

    def _reply(self, line: str) -> list[Event]:
        if line.startswith("520-"):
            self._usage = [line]
            self._state = _USAGE
            return []
        match = _REPLY.match(line)
        if match is None:
            return self._violated(f"not a reply: {line[:80]!r}")
        self._state = _IDLE
        code, text = int(match[1]), match[2] or ""
        result = _RESULT.match(text)
        if result is None:
            if code == 200:
                return self._violated(f"a reply without result: {line[:80]!r}")
            return [Reply(code, "", text)]
        return [Reply(code, result[1], result[2] or "")]

    def _usage_line(self, line: str) -> list[Event]:
        self._usage.append(line)
        if line.startswith("520 "):
            self._state = _IDLE
            return [Reply(520, "", self._usage[0][4:], tuple(self._usage[1:-1]))]
        if len(self._usage) > MAX_USAGE_LINES:
            return self._violated("usage without end")
        return []

    def _violated(self, what: str) -> list[Event]:
        self._state = _OVER
        return [Violation(what)]


def _has_long_line(block: bytes) -> bool:
    return len(block) > MAX_LINE_BYTES and any(
        len(line) > MAX_LINE_BYTES for line in block.split(b"\n")
    )


def _lines(block: bytes) -> list[str]:
    lines = block.decode("utf-8", "replace").split("\n")
    return [line.rstrip("\r") for line in lines] if b"\r" in block else lines


def command_line(command: str, *arguments: str) -> bytes:
    """A command and its quoted arguments, ended by a line feed.

    Raises MisuseError for control characters (a line feed would start a command of
    its own: injection) and for more than Asterisk reads at once.
    """
    text = " ".join([command, *map(quoted, arguments)])
    if not text.isprintable() and _CONTROL.search(text):
        raise MisuseError(f"control character in AGI command {command!r}")
    line = text.encode() + b"\n"
    if len(line) > MAX_COMMAND_BYTES:
        raise MisuseError(f"AGI command {command!r} has {len(line)} bytes")
    return line


def quoted(argument: str) -> str:
    """An argument as Asterisk's `parse_args` reads it back: backslash and quote."""
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'
