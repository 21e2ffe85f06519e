"""Real calls, each line left out once: the record is the same, or it says so.

What nothing else in a journal tells of is named here and in `docs/records.md`.
"""

from __future__ import annotations

import re
from datetime import timedelta

from pbx.model.call import as_record
from pbx.model.channels import group
from pbx.model.fold import fold
from tests.replay.test_any_order import folders, read, told, whole

TOLD_ONCE = {
    *("PROMPT", "KEY", "CALLER", "RECORDING"),
    *("HELD", "UNHELD", "WRAPPED_UP", "CLASSIFIED", "SURVEYED"),
}
"""Facts without which the rest is as whole as before."""

LAST_WORDS = {
    # He left before anything was told that comes after an answer.
    ("display-name-with-backslash", "ANSWER"),
    ("display-name-with-quotes", "ANSWER"),
    ("left-in-greeting", "ANSWER"),
    ("line-feed-in-the-number", "ANSWER"),
    # He hung up himself, before or within the goodbye.
    ("released-and-caller-hangs-up-first", "RELEASED"),
    # After a transfer: rung there, or by the queue that had him back?
    ("blind-transfer-to-nobody", "QUEUED"),
    # Then the call ended; after a talk nothing is told of the queue.
    ("two-calls-joined", "QUEUE_LEFT"),
}
"""Kinds of line that are missed elsewhere, and the calls in which they are not."""


def kind_of(line: bytes) -> str:
    """A user event's name, else the kind of event; also of lines that are not JSON."""
    user = re.search(rb'"usereventname":"([A-Z_]+)"', line)
    event = re.match(rb'\{"eventtype":"([A-Z_]+)"', line)
    assert event
    return (user or event)[1].decode()


@folders
def test_any_one_line_less_is_seen(folder: str) -> None:
    expected = as_record(whole(folder))
    assert not expected["incomplete"]
    lines = told(folder).lines
    unseen = set()
    for i, lost in enumerate(lines):
        events, unreadable = read([*lines[:i], *lines[i + 1 :]])
        assert events
        later = max(event.at for event in events) + timedelta(minutes=1)
        rebooted_at = later if expected["state"] == "open" else None
        records = [
            as_record(fold(some, unreadable=unreadable, rebooted_at=rebooted_at))
            for some in group(events)
        ]
        is_marked = any(r["incomplete"] or r["truncated"] for r in records)
        if records != [expected] and not is_marked:
            unseen.add(kind_of(lost))
    assert {(folder, kind) for kind in unseen - TOLD_ONCE} == {
        (where, kind) for where, kind in LAST_WORDS if where == folder
    }
