"""Which files may go when their days are over: those nobody has to read any more.

A journal file may go once the store holds every line of it, which the position proves
that is stored with the lines; a queue log once the nightly comparison has seen each of
its days.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pbx.records.journal import JournalFile, Position
from pbx.records.journal_files import unpacked
from pbx.records.queue_log import first_time


def why_unread(
    path: Path, positions: Mapping[str, Position], mark: str = ""
) -> str | None:
    """Why a journal file must stay although its days are over; None: it may go.

    It may be packed as `JournalFiles` reads them. `mark` as for `JournalFile`. Raises
    OSError.
    """
    try:
        with unpacked(path) as plain:
            file = JournalFile(plain, mark)
            try:
                is_read = file.is_read(dict(positions))
            finally:
                file.close()
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        return f"{path} cannot be unpacked ({error}): look at it, and delete it by hand"
    if is_read:
        return None
    return (
        f"{path} is not in the record store to its end: let the recorder read it, or "
        "look at it and delete it by hand"
    )


def why_unswept(path: Path, swept: Collection[date], zone: ZoneInfo) -> str | None:
    """The same for a queue log; `swept` are the days that were compared."""
    begin = first_time(path)
    if begin is None:
        return None
    end = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone(zone).date()
    day = begin.astimezone(zone).date()
    while day <= end:
        if day not in swept:
            return (
                f"{path} was not compared with the records of {day}; "
                f"`gerbang records sweep --day {day}` does it"
            )
        day += timedelta(days=1)
    return None
