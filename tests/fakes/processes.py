"""Which processes a test itself has started."""

from __future__ import annotations

import contextlib

import psutil


def children(*, recursive: bool = False) -> list[psutil.Process]:
    """Ours, without Python's resource tracker: it stays for as long as pytest runs,
    once anything here has used multiprocessing."""
    found = []
    for process in psutil.Process().children(recursive=recursive):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "multiprocessing.resource_tracker" not in " ".join(process.cmdline()):
                found.append(process)
    return found
