"""What each process says of itself: one small JSON file, replaced whole.

Files, not a database: they must work when the database is what is broken. `gerbang
status` and `gerbang doctor` read them.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Status:
    """A process's figures and alarms, kept in `<run>/<process>.status.json`.

    An alarm has a name, a sentence for the duty officer (what it means, what to do) and
    the time it was raised; it stands until cleared, and is logged once each way.
    """

    directory: Path
    process: str
    figures: dict[str, Any] = field(default_factory=dict)
    alarms: dict[str, dict[str, str]] = field(default_factory=dict)
    _is_failing: bool = False
    """The last write failed; said once, for it is tried again each second."""

    def raise_alarm(self, name: str, sentence: str) -> None:
        """Raise `name` unless it stands already; the sentence says what to do."""
        if name in self.alarms:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.alarms[name] = {"raised_at": now, "sentence": sentence}
        _log.error("alarm raised: %s: %s", name, sentence, extra={"alarm": name})
        self.write()

    def clear_alarm(self, name: str) -> None:
        """Take the alarm back, if it stands."""
        if self.alarms.pop(name, None) is not None:
            _log.warning("alarm cleared: %s", name, extra={"alarm": name})
            self.write()

    def write(self) -> None:
        """Replace the file; a full disk costs the file, never the process."""
        text = json.dumps(
            {
                "process": self.process,
                "pid": os.getpid(),
                "written_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "figures": self.figures,
                "alarms": self.alarms,
            },
            indent=1,
        )
        path = self.directory / f"{self.process}.status.json"
        scratch = path.with_suffix(".tmp")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            scratch.write_text(text)
            scratch.replace(path)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                _log.warning("status not written, until its place allows it: %s", error)
            self._is_failing = True
            with suppress(OSError):
                scratch.unlink(missing_ok=True)


def read_all(directory: Path) -> Iterator[dict[str, Any]]:
    """Every process's last word, sorted by name; unreadable files are passed over."""
    for path in sorted(directory.glob("*.status.json")):
        with suppress(OSError, ValueError):
            told = json.loads(path.read_text())
            if isinstance(told, dict):
                yield told
