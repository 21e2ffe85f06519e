"""Records as rows of text: as many columns as there is room for, none of them cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pbx.log import masked

Record = Mapping[str, Any]

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `cell` makes its text of a record."""

    head: str
    cell: Callable[[Record], str]
    is_number: bool = False


@dataclass(slots=True)
class CallsTable:
    """Makes rows, the heads first. Rows made later keep to the same columns.

    `room` is how many characters fit into a line; None: any number (a file, a pipe).
    Then every column is there; else those of least use are left out until it fits, the
    call id before the date.
    """

    zone: ZoneInfo
    with_numbers: bool
    room: int | None
    _columns: list[Column] = field(default_factory=list)
    _widths: list[int] = field(default_factory=list)
    _day: str = ""

    def rows(self, records: Iterable[Record]) -> Iterator[tuple[str, str]]:
        """Each row's text and its style (rich's words)."""
        shown = list(records)
        is_first = not self._columns
        if is_first:
            self._columns = self._fitting(shown)
        self._widths = _widths(self._columns, shown, self._widths)
        if is_first:
            yield self._row([column.head for column in self._columns]), "bold"
        for record in shown:
            if self._is_without_date and (day := self._date(record)) != self._day:
                self._day = day
                yield day, "bold"
            yield self._row([c.cell(record) for c in self._columns]), style(record)

    def _fitting(self, records: list[Record]) -> list[Column]:
        layouts = [
            [self._began, *_CALLED, self._caller, *_FACTS, *_QUEUE, *_TIMES, _ID],
            [self._began, self._caller, *_FACTS, *_TIMES, _ID],
            [self._began, self._caller, *_FACTS, *_TIMES],
        ]
        for columns in layouts:
            widths = _widths(columns, records, [])
            length = sum(widths) + len(GAP) * (len(widths) - 1)
            if self.room is None or length <= self.room:
                return columns
        return [self._clock, self._caller, *_FACTS, *_TIMES]

    @property
    def _is_without_date(self) -> bool:
        return self._columns[0].head == self._clock.head

    def _row(self, cells: list[str]) -> str:
        padded = (
            text.rjust(width) if column.is_number else text.ljust(width)
            for text, column, width in zip(
                cells, self._columns, self._widths, strict=True
            )
        )
        return GAP.join(padded).rstrip()

    @property
    def _began(self) -> Column:
        return Column("began", lambda record: f"{self._at(record):%d %b %H:%M:%S}")

    @property
    def _clock(self) -> Column:
        return Column("clock", lambda record: f"{self._at(record):%H:%M:%S}")

    def _date(self, record: Record) -> str:
        return f"{self._at(record):%d %b %Y}"

    def _at(self, record: Record) -> datetime:
        at: datetime = datetime.fromisoformat(record["started_at"])
        return at.astimezone(self.zone)

    @property
    def _caller(self) -> Column:
        return Column("caller", self._number)

    def _number(self, record: Record) -> str:
        ani = _printable(record["ani"])
        return (ani if self.with_numbers else masked(ani)) or "no number"


def verdict(record: Record) -> str:
    """`pass (key)`, or why the filter had no say."""
    if record["verdict"]:
        told = record["verdict"]
        return f"{_printable(told['verdict'])} ({_printable(told['reason'])})"
    if record["rescued"]:
        return f"rescued ({_printable(record['rescued'])})"
    return f"degraded ({_printable(record['degraded'])})" if record["degraded"] else ""


def result(record: Record) -> str:
    """How far it came; `…` it goes on, `!` Asterisk died under it, `?` incomplete."""
    marks = (
        (record["state"] == "open", " …"),
        (record["truncated"], " !"),
        (record["incomplete"], " ?"),
    )
    return str(record["disposition"]) + "".join(mark for holds, mark in marks if holds)


def style(record: Record) -> str:
    """What somebody should look at stands out."""
    if record["disposition"] == "lost":
        return "bold red"
    if record["disposition"] == "abandoned" or record["incomplete"]:
        return "yellow"
    return "dim" if record["disposition"] == "released" else ""


_CALLED = (Column("dialled", lambda record: _printable(record["number"])),)
_FACTS = (
    Column("verdict", verdict),
    Column("result", result),
    Column("oper.", lambda record: _printable(record["operator"])),
)
_QUEUE = (
    Column(
        "queue",
        lambda record: (
            _printable(record["queued"][-1]["queue"]) if record["queued"] else ""
        ),
    ),
)
_TIMES = (
    Column("wait s", lambda record: _seconds(record["wait_seconds"]), True),
    Column("talk s", lambda record: _seconds(record["talk_seconds"]), True),
)
_ID = Column("call id", lambda record: str(record["call_id"]))


def _widths(
    columns: list[Column], records: list[Record], least: list[int]
) -> list[int]:
    least = least or [len(column.head) for column in columns]
    return [
        max(width, *(len(column.cell(record)) for record in records))
        if records
        else width
        for column, width in zip(columns, least, strict=True)
    ]


def _printable(text: str | None) -> str:
    """Some of it came from SIP: nothing that could steer a terminal passes."""
    return "".join(c if c.isprintable() else "·" for c in text or "")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
