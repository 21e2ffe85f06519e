"""`gerbang audit`: who heard, read or erased whose data, and that it is all there."""

from __future__ import annotations

import importlib

import typer

from pbx.commands import LOOK

COMMANDS = ("verify", "list")
"""Each is a module of this package; the order is the help's."""

HELP = """Who heard, read or erased whose data, when and why; nothing is lost.

Each entry is chained to the one before with a key that only this machine has,
and is noted outside the database as well.

[bold]gerbang audit verify[/bold]               has anything been changed or removed?
[bold]gerbang audit list --call CALL[/bold]     who dealt with this call?

Exit status of each: 0 done; 1 it could not be, or the chain is broken;
2 a mistyped command. More: docs/privacy.md
"""

CHAIN = "The audit"
"""The panel of `gerbang audit --help`."""


def register(app: typer.Typer) -> None:
    """Add `gerbang audit` and its commands."""
    group = typer.Typer(
        name="audit",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
    )
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.{name}").register(group)
    app.add_typer(group, rich_help_panel=LOOK)
