"""Log lines leave by a thread, so that whoever reads them cannot hold a call.

A pipe whose reader has stopped (a terminal in Ctrl-S, a journal on a full disk) blocks
the writer. Better that lines are lost, and counted, than that the loop stands still.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

CAPACITY = 5000
"""Lines kept for a reader that is slow: some 800 calls."""
LAST_WORDS_SECONDS = 1.0


class LogThread(logging.Handler):
    """Formats where it is called (the call's id is bound there), writes elsewhere."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(CAPACITY)
        self.lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line; drop and count it when the reader is too slow."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what is queued, but do not wait long for a reader that has stopped."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            self.lost += 1
        self._thread.join(LAST_WORDS_SECONDS)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                self.lost += 1


@contextmanager
def logging_in_a_thread() -> Iterator[None]:
    """Until the end, the root's stream handlers write in threads of their own."""
    root = logging.getLogger()
    before = list(root.handlers)
    after: list[logging.Handler] = [
        LogThread(handler.stream, handler.formatter)
        if isinstance(handler, logging.StreamHandler)
        else handler
        for handler in before
    ]
    root.handlers[:] = after
    try:
        yield
    finally:
        root.handlers[:] = before
        for handler in after:
            if isinstance(handler, LogThread):
                handler.close()
