"""Records as a reader may see them, as JSON text.

With the right to personal data a record goes out as the store has it, not even
understood. Without, it is masked; that costs a third of a millisecond, so what was
masked is remembered: followers of the feed all ask for the same.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import datetime

from pbx.feed.book import Grant
from pbx.feed.reads import Reads
from pbx.model.masking import masked

REMEMBERED = 4000
"""Some 3 kB each; nothing of it is personal."""


class Shower:
    """Shows records; one for the process. It is the only way out of personal data over
    HTTP, so it is where reads are noted."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._masked: OrderedDict[tuple[str, int], str] = OrderedDict()

    def record(
        self,
        grant: Grant,
        call_id: str,
        revision: int,
        text: str,
        place: int | None = None,
    ) -> str:
        """This revision's JSON for this reader; `text` is the store's, `place` its
        number in the feed. Raises Problem where personal data cannot be audited."""
        if grant.sees_personal:
            self._reads.note(f"token {grant.name}", call_id, place)
            return text
        key = (call_id, revision)
        shown = self._masked.get(key)
        if shown is None:
            shown = as_json(masked(json.loads(text)))
            self._masked[key] = shown
            if len(self._masked) > REMEMBERED:
                self._masked.popitem(last=False)
        else:
            self._masked.move_to_end(key)
        return shown

    def item(
        self,
        grant: Grant,
        cursor: str,
        call_id: str,
        revision: int,
        written_at: datetime,
        text: str | None,
        place: int | None = None,
    ) -> str:
        """One item of a page or an event, in one line."""
        about = as_json(
            {
                "cursor": cursor,
                "call_id": call_id,
                "revision": revision,
                "written_at": _iso(written_at),
            }
        )
        shown = "null"
        if text is not None:
            shown = self.record(grant, call_id, revision, text, place)
        return f'{about[:-1]},"record":{shown}}}'


def as_json(told: object) -> str:
    """JSON, as short as it goes; ASCII, so without a line end of any kind."""
    return json.dumps(told, separators=(",", ":"))


def _iso(at: datetime) -> str:
    """As times stand in records."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
