"""A result's file: written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Ctrl-C and a full disk leave what was there before. Raises OSError.

    What is no plain file (/dev/stdout) is written as it is.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    target = path.resolve()
    draft = target.with_name(f".gerbang-{os.getpid()}.part")
    try:
        draft.write_bytes(content)
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
