"""Log lines leave by a thread; a reader that has stopped holds nobody."""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Iterator

import pytest

from agi import log_thread
from agi.log_thread import LogThread, logging_in_a_thread


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    before, level = list(logger.handlers), logger.level
    logger.handlers[:] = []
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers[:] = before
    logger.setLevel(level)


def test_lines_come_out_in_order_and_formatted(root: logging.Logger) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("<%(message)s>"))
    other = logging.NullHandler()
    root.handlers[:] = [handler, other]
    with logging_in_a_thread():
        for i in range(100):
            root.info("%d", i)
    assert stream.getvalue().split() == [f"<{i}>" for i in range(100)]
    assert root.handlers == [handler, other]


def test_a_reader_that_has_stopped_costs_lines_and_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_thread, "CAPACITY", 10)
    monkeypatch.setattr(log_thread, "LAST_WORDS_SECONDS", 0.05)
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "w") as stream:
        handler = LogThread(stream, logging.Formatter("%(message)s"))
        record = logging.makeLogRecord({"msg": "x" * 10_000, "level": logging.INFO})
        began = time.monotonic()
        for _ in range(100):
            handler.emit(record)
        handler.close()
        assert time.monotonic() - began < 5
        assert handler.lost > 50
        # The reader is back: the thread ends when it has written the rest.
        os.set_blocking(reader.fileno(), False)
        while handler._thread.is_alive():
            reader.read()
            handler._lines.put(None) if handler._lines.empty() else None
            handler._thread.join(0.01)


def test_a_stream_that_is_gone_harms_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    handler = LogThread(stream, None)
    handler.emit(logging.makeLogRecord({"msg": "to nobody"}))
    handler.close()
    assert handler.lost == 1
