"""All that `gerbang run` says: the children's lines and its own, in one stream."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from pbx.log import JsonFormatter
from pbx.supervisor.lines import Style, is_chatter, shown
from pbx.supervisor.printer import Printer

OURSELVES = "gerbang"
"""The process name in front of the supervisor's own lines."""


class Output(logging.Handler):
    """A logging handler for our own lines, and the place for the children's."""

    def __init__(self, printer: Printer, style: Style) -> None:
        super().__init__()
        self._printer = printer
        self._style = style
        self.setFormatter(JsonFormatter(OURSELVES))

    def line(self, process: str, raw: str) -> None:
        """Show one line of a process's output. Never raises, never waits."""
        if self._printer.is_full:
            self._printer.count_lost()  # a flood costs no parsing
            return
        if not self._style.as_json and is_chatter(process, raw):
            return
        try:
            self._printer.say(shown(process, raw, self._style, datetime.now(UTC)))
        except Exception:  # noqa: BLE001 - no line whatever may end the service
            self._printer.say(f"{process} {raw!a}")

    def emit(self, record: logging.LogRecord) -> None:
        """Show one of our own log records."""
        self.line(OURSELVES, self.format(record))

    def banner(self, text: str) -> None:
        """Text for people; in JSON mode one log line per row."""
        if not self._style.as_json:
            self._printer.say(text)
            return
        for row in filter(None, (row.strip() for row in text.splitlines())):
            self.line(OURSELVES, row)
