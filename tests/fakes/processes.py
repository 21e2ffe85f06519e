"""Which processes a test itself has started, and what was mounted for them."""

from __future__ import annotations

from pathlib import Path

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


def mounts_below(folder: Path) -> list[str]:
    """What is mounted at or below `folder`; other tests mount disks of their own."""
    places = (Path(part.mountpoint) for part in psutil.disk_partitions(all=True))
    return [str(place) for place in places if place.is_relative_to(folder.resolve())]
