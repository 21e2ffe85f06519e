"""Groups of lines → rows ready to be written, in a process of its own.

Nothing here knows a database: a worker imports the model and no more.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pbx.model.call import Call
from pbx.records.folding import (
    columns_of,
    fold_lines,
    invites_in,
    read_line,
    record_of,
)
from pbx.records.review_words import review_of

Raw = tuple[str, tuple[bytes, ...]]
"""A call's name and its lines."""


@dataclass(slots=True)
class CallRows:
    """What one call puts into the tables; times are aware."""

    starts: list[str | None]
    """An item a line: the channel whose CHAN_START it is."""
    invites: list[tuple[str, datetime]]
    calls: list[dict[str, Any]] = field(default_factory=list)
    """The call, and those that became part of it; `record` is JSON text already."""
    review: dict[str, Any] | None = None


def fold_chunk(chunk: Sequence[Raw]) -> list[CallRows]:
    """The rows of these calls, each at its first revision."""
    return [_rows(call_id, raws) for call_id, raws in chunk]


def _rows(call_id: str, raws: Sequence[bytes]) -> CallRows:
    lines = [read_line(raw) for raw in raws]
    rows = CallRows(
        [line.starts for line in lines],
        [(i.channel, i.at) for i in invites_in(lines)],
    )
    folded = fold_lines(call_id, lines)
    if folded is not None:
        rows.calls.append(_row(folded.call, None))
        rows.calls += [_row(part, call_id) for part in folded.joined]
        rows.review = review_of(folded.call)
    return rows


def _row(call: Call, joined_into: str | None) -> dict[str, Any]:
    record = {"revision": 1} | record_of(call, joined_into)
    return columns_of(call, joined_into) | {
        "revision": 1,
        "record": json.dumps(record),
    }


def leave_the_end_to_the_parent() -> None:
    """A worker's first act: the parent ends it, by Ctrl-C or, killed, by its death.
    (A pool's worker holds both ends of its queue, so it would wait for ever.)"""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
