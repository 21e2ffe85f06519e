"""Rotation: what Asterisk writes for ever is renamed each night, and when it is large.

So that whole files can go when their days are over. A rename loses nothing: the journal
is opened, written and closed for each line (`res/cdrel_custom/writers.c`,
`write_record_to_file`), and whatever reads it follows a file by what stands in it. Its
logs and `queue_log` Asterisk keeps open; it writes on into the renamed ones until
`logger reload` has it open new ones (`main/logger.c`, `reload_logger`).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pbx.asterisk.run import AsteriskError, console, running_pid
from pbx.notes import Notes
from pbx.settings import Settings

ROTATE_BYTES = 64 * 1024 * 1024
"""Some 10,000 calls of the journal."""
QUEUE_LOG = "queue_log"
LOGS = ("messages.log", "security.jsonl")
"""As in `asterisk-config/templates/logger.conf.j2`."""
KEPT_OPEN = (QUEUE_LOG, *LOGS)
"""What Asterisk has open all the time."""
_CLOCK = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})\.[0-9]+ ([+-][0-9]{4})"
)
"""As `dateformat` of cel.conf and logger.conf has it."""
_EPOCH = re.compile(rb"([0-9]{9,11})\|")
"""Begins each line of queue_log."""
_HEAD_BYTES = 4096


@dataclass(slots=True)
class Rotation:
    """`rotate` and `reopen` each minute; what was done before shows in the files."""

    settings: Settings
    problems: list[str] = field(default_factory=list)
    """What the last look could not do, and why."""
    _reopen: bool = False
    """Asterisk may still write into renamed files."""

    def rotate(self, now: datetime, since: datetime) -> list[Path]:
        """Rename what is large, and what was begun before then: the last night.

        Returns the new names. Raises nothing.
        """
        self.problems = []
        log = self.settings.asterisk_home / "log"
        done = []
        for path in (self.settings.journal, *(log / name for name in KEPT_OPEN)):
            try:
                if renamed := _rotate(path, now, since):
                    done.append(renamed)
                    self._reopen |= path.name in KEPT_OPEN
            except OSError as error:
                self.problems.append(str(error))
        try:
            Notes(self.settings.notes.parent).rotate_if_due()
        except OSError as error:
            self.problems.append(str(error))
        return done

    async def reopen(self) -> None:
        """Have Asterisk let go of renamed files; tried again until it has."""
        if not self._reopen:
            return
        home = self.settings.asterisk_home
        try:
            await console(home, "logger reload")
        except AsteriskError as error:
            if running_pid(home) is not None:  # else its next start opens new ones
                self.problems.append(str(error))
                return
        self._reopen = False


def _rotate(path: Path, now: datetime, since: datetime) -> Path | None:
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    if about.st_size == 0:
        return None
    if about.st_size <= ROTATE_BYTES and _begun(path, about.st_mtime) >= since:
        return None
    return path.rename(path.with_name(f"{path.name}-{now:%Y%m%dT%H%M%S.%f}"))


def _begun(path: Path, written: float) -> datetime:
    """When its first line was written; if that tells no time, its last one."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if epoch := _EPOCH.match(head):
        return datetime.fromtimestamp(int(epoch[1]), UTC)
    if clock := _CLOCK.search(head):
        told = f"{clock[1].decode()} {clock[2].decode()}"
        with suppress(ValueError):
            return datetime.strptime(told, "%Y-%m-%d %H:%M:%S %z")
    return datetime.fromtimestamp(written, UTC)
