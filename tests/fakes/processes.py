"""Which processes a test itself has started."""

from __future__ import annotations

import psutil


def children(*, recursive: bool = False) -> list[psutil.Process]:
    """Ours that run, without Python's resource tracker: it stays for as long as pytest
    runs, once anything here has used multiprocessing."""
    return [
        process
        for process in psutil.Process().children(recursive=recursive)
        if (line := command_line(process)) is not None
        and "multiprocessing.resource_tracker" not in line
    ]


def command_line(process: psutil.Process) -> str | None:
    """What it was started with; None for who has ended, waited for or not."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a ZombieProcess is one, too
        return None
