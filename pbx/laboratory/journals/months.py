"""Writes the journals of months: Asterisk's and our own processes', a file a month."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

from pbx.laboratory.journals.mix import Mix, Way
from pbx.laboratory.journals.plan import Planned, plan
from pbx.laboratory.journals.shapes import Shape, load
from pbx.model.category import Category
from pbx.notes import note_line

OPERATORS = ("101", "102")
"""Whose phones may ring, in shapes with one phone."""
_SYSTEM = "kediri-1"
_NUMBERS = 40_000
_PRANKSTERS = 700
_RING_MS = (1500, 6000)


@dataclass(slots=True)
class Written:
    """What was written."""

    calls: dict[Category, int] = field(default_factory=dict)
    lines: int = 0
    files: list[Path] = field(default_factory=list)


def synthesize(
    mix: Mix,
    months: list[date],
    directory: Path,
    *,
    seed: int,
    zone: str = "Asia/Jakarta",
    tell: Callable[[int, int], None] = lambda *_: None,
) -> Written:
    """Write the journals of these months (first days) below `directory`; the same seed
    makes the same bytes. Raises OSError; FileExistsError if there is a journal already.
    """
    city = ZoneInfo(zone)
    dice = random.Random(seed)  # noqa: S311 — no secret
    planned = plan(mix, months, city, dice)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.glob("*.jsonl*")):
        raise FileExistsError(f"there is a journal in {directory} already")
    asterisk = _Stream(directory, "journal.jsonl", months, city)
    notes = _Stream(directory, "notes.jsonl", months, city)
    writer = _Writer(dice, asterisk, notes)
    for count, call in enumerate(planned):
        asterisk.flush(call.at_ms)
        notes.flush(call.at_ms)
        writer.place(call)
        if count % 1000 == 0:
            tell(count, len(planned))
    for stream in (asterisk, notes):
        stream.flush(None)
        stream.close()
        writer.written.lines += stream.lines
        writer.written.files += stream.files
    tell(len(planned), len(planned))
    return writer.written


@dataclass(slots=True)
class _Stream:
    """Lines in order of time, into a file a month of the city's."""

    directory: Path
    name: str
    months: list[date]
    zone: ZoneInfo
    lines: int = 0
    files: list[Path] = field(default_factory=list)
    _waiting: list[tuple[int, int, str]] = field(default_factory=list)
    _taken: int = 0
    _ends: list[int] = field(default_factory=list)
    _file: IO[str] | None = None

    def __post_init__(self) -> None:
        self._ends = [
            int(datetime(m.year, m.month, 1, tzinfo=self.zone).timestamp()) * 1000
            for m in self.months[1:]
        ]

    def take(self, at_ms: int, line: str) -> None:
        self._taken += 1
        self._waiting.append((at_ms, self._taken, line))

    def flush(self, until_ms: int | None) -> None:
        """Write what happened before then; None: all."""
        self._waiting.sort()
        done = 0
        for at_ms, _, line in self._waiting:
            if until_ms is not None and at_ms >= until_ms:
                break
            self._write(at_ms, line)
            done += 1
        del self._waiting[:done]
        self.lines += done

    def _write(self, at_ms: int, line: str) -> None:
        if self._file is None or (self._ends and at_ms >= self._ends[0]):
            while self._ends and at_ms >= self._ends[0]:
                del self._ends[0]
            self.close()
            month = self.months[len(self.months) - 1 - len(self._ends)]
            path = self.directory / f"{self.name}-{month:%Y-%m}"
            self._file = path.open("w")
            self.files.append(path)
        self._file.write(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass(slots=True)
class _Writer:
    """Places calls one after the other."""

    dice: random.Random
    asterisk: _Stream
    notes: _Stream
    written: Written = field(default_factory=Written)
    _channels: int = 0
    _free_at: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(OPERATORS, 0)
    )

    def place(self, call: Planned) -> None:
        """All lines of the call, in both journals."""
        shape = _shape(call.way)
        operator = self._operator(shape, call.at_ms)
        times, talk_ms = self._times(shape, call, operator)
        slots: dict[str, str] = {"a": self._number(call.category)}
        for n, at in enumerate(times):
            slots[f"t{n}"] = _stamp(at)
        ids = []
        for n, endpoint in enumerate(shape.endpoints):
            at = times[shape.starts[n]]
            ids.append(f"{_SYSTEM}-{at // 1000}.{self._channels}")
            who = operator if n == 1 and len(shape.endpoints) == 2 else endpoint
            slots[f"c{n}"] = ids[n]
            slots[f"n{n}"] = f"PJSIP/{who}-{self._channels:08x}"
            self._channels += 1
        for n in range(shape.bridges):
            slots[f"b{n}"] = _uuid(self.dice)
        for at, line in zip(
            times, (shape.form % slots).splitlines(keepends=True), strict=True
        ):
            self.asterisk.take(at, line)
        counts = self.written.calls
        counts[call.category] = counts.get(call.category, 0) + 1
        if shape.talks_at is not None:
            last = len(shape.endpoints) - 1
            who = operator if last == 1 else shape.endpoints[last]
            self._note(call, ids[0], who, times[-1], talk_ms)

    def _operator(self, shape: Shape, at_ms: int) -> str:
        """Whoever is free, else who will be first."""
        free = [o for o in OPERATORS if self._free_at[o] <= at_ms]
        if free:
            return self.dice.choice(free)
        return min(OPERATORS, key=lambda o: self._free_at[o])

    def _times(
        self, shape: Shape, call: Planned, operator: str
    ) -> tuple[list[int], int]:
        """When each line is written: as recorded, but for waiting, ringing, talking."""
        times = [call.at_ms + ms for ms in shape.at_ms]
        if shape.dialled_at is None:
            return times, 0
        wait = max(0, self._free_at[operator] - times[shape.dialled_at])
        _delay(times, shape.dialled_at, wait)
        _delay(times, shape.starts[-1] + 1, self.dice.randrange(*_RING_MS))
        talk = 0
        if shape.talks_at is not None and call.way.talk_seconds is not None:
            least, usual = call.way.talk_seconds
            seconds = least + self.dice.expovariate(1 / (usual - least))
            talk = int(1000 * min(seconds, 900.0))
            _delay(times, shape.talks_at + 1, talk)
        if shape.talks_at is not None:
            self._free_at[operator] = times[-1] + 8000
        return times, talk

    def _number(self, category: Category) -> str:
        """Numbers of no network (0860 is given to none); the same people call again."""
        if category is Category.PRANK:
            who = int(_PRANKSTERS * self.dice.random() ** 2)
        else:
            who = _PRANKSTERS + self.dice.randrange(_NUMBERS)
        return f"0860{who:08d}"

    def _note(
        self, call: Planned, call_id: str, operator: str, end_ms: int, talk_ms: int
    ) -> None:
        """What the operator and the caller say afterwards."""
        ready = end_ms + self.dice.randrange(2000, 7000)
        if call.category is Category.VALID and talk_ms > 60_000:
            held = end_ms - talk_ms // 2
            self._tell(held, call_id, "HELD", by=operator)
            self._tell(held + talk_ms // 5, call_id, "UNHELD", by=operator)
        said = {"category": call.category.value, "operator": operator}
        if call.type:
            said["type"] = call.type
        self._tell(ready - 500, call_id, "CLASSIFIED", **said)
        self._tell(ready, call_id, "WRAPPED_UP", operator=operator)
        if call.score:
            later = self.dice.randrange(60_000, 3_000_000)
            self._tell(end_ms + later, call_id, "SURVEYED", score=call.score)

    def _tell(self, at_ms: int, call_id: str, name: str, **values: object) -> None:
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        line = note_line(call_id, name, None, at, values)
        self.notes.take(at_ms, line.decode())


@cache
def _shape(way: Way) -> Shape:
    return load(way.shape, nobody=way.nobody)


def _delay(times: list[int], first: int, by_ms: int) -> None:
    for n in range(first, len(times)):
        times[n] += by_ms


@cache
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _stamp(at_ms: int) -> str:
    if _second.cache_info().currsize > 10_000:
        _second.cache_clear()
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d} +0000"


def _uuid(dice: random.Random) -> str:
    text = f"{dice.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
