"""What is wrong with a city file, told so that it can be put right: line and cure."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Problem = tuple[str, str]
"""A dotted place and what is wrong there, with its cure."""


class ContradictionError(ValueError):
    """Parts of a city that are right each for itself and wrong together."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{where}: {what}" for where, what in problems))


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a city file."""

    where: str
    """Dotted place in the file, such as `queues.0.members`; empty for the whole."""
    what: str
    line: int | None = None


class CityError(ValueError):
    """A city that must not go live; carries every fault found, not only the first."""

    def __init__(self, source: str, faults: list[Fault]) -> None:
        self.source = source
        self.faults = faults
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line a fault: `file:line: place: what is wrong and its cure`."""
        return [
            ":".join(
                [self.source]
                + ([str(fault.line)] if fault.line else [])
                + ([f" {fault.where}"] if fault.where else [])
                + [f" {fault.what}"]
            )
            for fault in self.faults
        ]


def toml_fault(error: tomllib.TOMLDecodeError, text: str) -> Fault:
    """What is wrong with a text that is not TOML at all."""
    message = str(error)
    head, _, tail = message.partition(" (at line ")
    if tail:
        return Fault("", f"not TOML: {head}", int(tail.split(",")[0]))
    return Fault("", f"not TOML: {message}", len(text.splitlines()) or 1)


_CURES = {
    "extra_forbidden": "unknown setting; remove it or correct its spelling",
    "missing": "must be declared",
}


def faults_of(
    item: dict[str, Any], text: str, patterns: Mapping[str, str]
) -> list[Fault]:
    """One of pydantic's errors as faults; `patterns` says in words what each asks."""
    context = item.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, ContradictionError):
        return [
            Fault(where, what, line_of(text, where.split(".")))
            for where, what in cause.problems
        ]
    place = [str(part) for part in item["loc"]]
    what = _CURES.get(item["type"], str(item["msg"]).removeprefix("Value error, "))
    what = patterns.get(context.get("pattern", ""), what)
    shown = item.get("input")
    if item["type"] not in _CURES and isinstance(shown, str | int | float):
        what += f" (is {shown!r})"
    return [Fault(".".join(place), what, line_of(text, place))]


_HEADER = re.compile(r"""^\s*(\[\[?)\s*([\w."'-]+)\s*\]""")


def line_of(text: str, place: list[str]) -> int | None:
    """The line of a dotted place, counted from 1: its key's, else its table's."""
    lines = text.splitlines()
    headers = list(_headers(lines))
    start, depth = 0, 0
    for line, header in headers:
        if len(header) > depth and place[: len(header)] == header:
            start, depth = line + 1, len(header)
    end = min((line for line, _ in headers if line >= start), default=len(lines))
    for number in range(start, end):
        key = lines[number].split("=")[0].strip().strip("\"'")
        if place[depth : depth + 1] == [key]:
            return number + 1
    return start or None


def _headers(lines: list[str]) -> Iterable[tuple[int, list[str]]]:
    """Each table's line (from 0) and place; tables of a list carry their index."""
    seen: Counter[str] = Counter()
    for number, line in enumerate(lines):
        if match := _HEADER.match(line):
            name = match[2]
            place = [part.strip("\"'") for part in name.split(".")]
            if match[1] == "[[":
                place.append(str(seen[name]))
                seen[name] += 1
            yield number, place
