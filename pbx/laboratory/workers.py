"""Processes for long work: none stays behind, and a lost one is told, not waited for.

`ProcessPoolExecutor`, because `multiprocessing.Pool` waits for ever for what a killed
process was given. Its processes hold both ends of their queue, so nothing tells them
that who asked for them is gone (SIGTERM, SIGKILL, Ctrl-C twice): each watches for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

Done = TypeVar("Done")
AHEAD = 4
"""Pieces of work handed to a process beforehand; few, so that Ctrl-C is quick."""


class WorkersError(RuntimeError):
    """A process ended in the middle of its work; the text says the cure."""


@contextmanager
def workers(
    jobs: int, begin: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each: one clip's cost shall not hide in two cores.

    The terminal sends Ctrl-C to all of us, and who asked for us ends us: so they are
    started while it is ignored, and inherit that. `begin(*arguments)` is called once
    in each. Raises WorkersError if one of them was killed.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        jobs, context, initializer=_begin, initargs=(begin, arguments)
    )
    try:
        with _one_thread(), _ctrl_c_ignored():
            for _ in range(jobs):
                pool.submit(_started)
        yield pool
    except BrokenProcessPool as error:
        raise WorkersError(
            "a process that did the work was killed, or could not start: nothing is "
            "told of half a run. Was memory short (`dmesg`)? --jobs 1 needs least"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def as_done(
    pool: ProcessPoolExecutor,
    work: Callable[..., Done],
    arguments: Iterable[tuple[Any, ...]],
    jobs: int,
) -> Iterator[Done]:
    """What `work` makes of each, in whatever order they are done."""
    left = iter(arguments)
    waiting: set[Future[Done]] = set()
    while True:
        more = islice(left, jobs * AHEAD - len(waiting))
        waiting |= {pool.submit(work, *one) for one in more}
        if not waiting:
            return
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


def in_order(
    pool: ProcessPoolExecutor,
    work: Callable[..., Done],
    arguments: Iterable[tuple[Any, ...]],
    jobs: int,
) -> Iterator[Done]:
    """The same, in the order of the arguments."""
    left = iter(arguments)
    waiting: deque[Future[Done]] = deque()
    while True:
        more = islice(left, jobs * AHEAD - len(waiting))
        waiting.extend([pool.submit(work, *one) for one in more])
        if not waiting:
            return
        yield waiting.popleft().result()


@contextmanager
def _one_thread() -> Iterator[None]:
    """What numpy's libraries read when they are loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin(begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """The first a process does."""
    threading.Thread(target=_end_with_our_parent, daemon=True).start()
    if begin is not None:
        begin(*arguments)


def _end_with_our_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _started() -> None:
    """Has a process started now, not when the first clip is there."""
