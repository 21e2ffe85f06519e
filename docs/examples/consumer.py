"""Keep a copy of all call records, for ever up to date: the standard library is enough.

    python3 consumer.py http://127.0.0.1:8113 token.txt calls.sqlite3

Records and the cursor go into one SQLite file in one transaction. So it may be killed
at any moment, the network may go, the feed may be restarted: it goes on where it was,
and has each call's newest revision exactly once.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

WAIT_SECONDS = 30
"""How long the feed may hold an answer back until there is news (long poll)."""
LONGEST_PAUSE_SECONDS = 60.0

TABLES = """
CREATE TABLE IF NOT EXISTS calls (call_id TEXT PRIMARY KEY, revision INTEGER, record);
CREATE TABLE IF NOT EXISTS place (only INTEGER PRIMARY KEY CHECK (only = 1), cursor);
"""


class Consumer:
    """Follows the feed at `url` with `token` into the file `store`."""

    def __init__(self, url: str, token: str, store: Path) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.store = sqlite3.connect(store)
        self.store.executescript(TABLES)

    def follow(self) -> None:
        """Read for ever. Raises PermissionError if the token opens nothing here."""
        failures = 0
        while True:
            try:
                self.read_once()
                failures = 0
            except HTTPError as error:
                failures += 1
                self.heal(error, failures)
            except (
                OSError,
                HTTPException,
                ValueError,
            ) as error:  # no feed, half a page
                failures += 1
                rest(failures, error)

    def read_once(self) -> int:
        """The next page, stored together with the cursor behind it; calls in it."""
        query: dict[str, str | int] = {"wait": WAIT_SECONDS, "limit": 500}
        if cursor := self.cursor():
            query["after"] = cursor
        request = Request(f"{self.url}/v1/calls?{urlencode(query)}")
        request.add_header("Authorization", f"Bearer {self.token}")
        with urlopen(request, timeout=WAIT_SECONDS + 15) as answer:
            page = json.load(answer)
        with self.store:  # one transaction: the records and the place, or neither
            for item in page["items"]:
                self.keep(item["call_id"], item["revision"], item["record"])
            place = [page["next"]]
            self.store.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", place)
        return len(page["items"])

    def keep(self, call_id: str, revision: int, record: object) -> None:
        """YOUR WORK GOES HERE. Only a newer revision may change anything."""
        if record is None:
            self.store.execute("DELETE FROM calls WHERE call_id = ?", [call_id])
            return
        self.store.execute(
            "INSERT INTO calls VALUES (?, ?, ?) ON CONFLICT (call_id) DO UPDATE SET "
            "revision = excluded.revision, record = excluded.record "
            "WHERE excluded.revision > calls.revision",
            [call_id, revision, json.dumps(record)],
        )

    def cursor(self) -> str | None:
        """Where we are; None: at the beginning."""
        row = self.store.execute("SELECT cursor FROM place").fetchone()
        return row[0] if row else None

    def heal(self, error: HTTPError, failures: int) -> None:
        """What an answer other than 200 asks for."""
        if error.code in (401, 403):
            raise PermissionError("the token opens nothing here; ask for another one")
        if error.code == 410:  # the city restored an older store: begin anew
            with self.store:
                self.store.execute("DELETE FROM calls")
                self.store.execute("DELETE FROM place")
            return
        asked = error.headers.get("Retry-After", "")
        rest(failures, error, float(asked) if asked.isdigit() else 0.0)


def rest(failures: int, why: Exception, at_least: float = 0.0) -> None:
    """Longer each time, and never in step with other readers."""
    pause = min(2.0 ** min(failures, 10) / 4, LONGEST_PAUSE_SECONDS)
    pause = max(pause * random.uniform(0.8, 1.2), at_least)
    print(f"{why}; again in {pause:.1f} s", file=sys.stderr)
    time.sleep(pause)


if __name__ == "__main__":
    feed_url, token_file, store_file = sys.argv[1:]
    token = Path(token_file).read_text().strip()
    with suppress(KeyboardInterrupt):  # all that was read is stored
        Consumer(feed_url, token, Path(store_file)).follow()
