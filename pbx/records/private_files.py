"""Files beside the audit's key: ours alone, on disk, owned by who runs us."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def append(path: Path, text: str, *, is_synced: bool = False) -> None:
    """Add whole lines to a file of mode 0600, made with its folder (0700) if need be.

    They begin a line of their own, also behind one that a full disk tore. With
    `is_synced` they are on disk when this returns. Raises OSError, also when only a
    part could be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_new, told = not path.exists(), text.encode()
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        give_to_owner(descriptor, path.parent)
        if _is_torn(descriptor):
            told = b"\n" + told
        if os.write(descriptor, told) != len(told):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if is_synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_synced and is_new:
        _sync(path.parent)


def _is_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def give_to_owner(descriptor: int, folder: Path) -> None:
    """What root makes belongs to whoever owns the state, as all there is."""
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.chown(folder, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
