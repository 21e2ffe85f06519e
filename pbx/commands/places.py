"""Where the user wants a file: asked before the long work, told when it cannot be."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

_CURES = {
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room in your quota, or name another place",
    errno.EISDIR: "name a file in it",
}
_CURE = "name another place, which you may write to"


def must_take_a_file(path: Path, *, makes_folders: bool = False) -> None:
    """End with status 1, the path and the cure, if no file can be made there.

    `makes_folders`: folders that are missing will be made. Nothing is left behind.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        _try(_nearest(path) if makes_folders else path.parent)
    except OSError as error:
        refuse(path, error)


def must_take_files(folder: Path) -> None:
    """The same for a folder, which will be made where it is missing."""
    try:
        _try(folder if folder.is_dir() else _nearest(folder))
    except OSError as error:
        refuse(folder, error)


def refuse(path: Path, error: OSError) -> NoReturn:
    """End with status 1: the path, what the disk said, and the cure."""
    cure = _CURES.get(error.errno or 0, _CURE)
    typer.echo(f"{path}: not written: {error.strerror or error}; {cure}", err=True)
    raise typer.Exit(1) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What is written within is the user's file; `refuse` where the disk does not
    take it."""
    try:
        yield
    except OSError as error:
        refuse(path, error)


def _nearest(path: Path) -> Path:
    """The folder that is there already; a file in its place is an error of the disk."""
    return next(above for above in path.parents if above.exists())


def _try(folder: Path) -> None:
    """A file without a name, gone at once. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder):
        return
