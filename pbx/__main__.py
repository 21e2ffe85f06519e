"""The `gerbang` command: parses the line, wires real parts, nothing else."""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Iterable, Sequence

import typer

from pbx.commands import EPILOG

app = typer.Typer(
    name="gerbang",
    help="The gate between a city and its 112 operators.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)

COMMANDS = (
    "install",
    "check",
    "render",
    "run",
    "call",
    "calls",
    "report",
    "status",
    "doctor",
    "sounds",
    "ghostfilter",
    "records",
    "privacy",
    "audit",
    "webhook",
    "token",
    "intake",
    "recorder",
    "control",
    "feed",
    "asterisk",
)
"""Each is a module of `pbx.commands` with `register(app)`; the order is the help's."""


@app.callback()
def gerbang() -> None:
    """Says nothing of its own: with it, one command alone still goes by its name."""


def build(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands; what is heavy they import when they run."""
    for name in names:
        importlib.import_module(f"pbx.commands.{name}").register(app)
    return app


def asked_for(arguments: Sequence[str]) -> Iterable[str]:
    """The commands needed for this line: the one it names, else all (help, a typo).

    A worker that was killed shall be back soon: the others' imports cost it time.
    """
    return [name for name in COMMANDS if name in arguments[:1]] or COMMANDS


_CURES = {
    errno.ENOSPC: "make room there, or set GERBANG_STATE, GERBANG_CACHE or TMPDIR to a "
    "larger disk",
    errno.EDQUOT: "make room in your quota",
    errno.EROFS: "remount it for writing, or set GERBANG_STATE to another place",
    errno.EACCES: "run as its owner, or set GERBANG_STATE to a place you may write",
    errno.EPERM: "run as its owner, or set GERBANG_STATE to a place you may write",
}


def main() -> None:
    """Run `gerbang`. What the machine refuses, where no command foresaw it, ends in a
    sentence; only a fault of ours ends in a traceback."""
    try:
        build(asked_for(sys.argv[1:]))()
    except OSError as error:
        cure = _CURES.get(error.errno or 0, "`gerbang doctor` looks closer")
        place = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or repr(error)
        sys.exit(f"gerbang {' '.join(sys.argv[1:2])}: {place}{reason}; {cure}")


if __name__ == "__main__":
    main()
