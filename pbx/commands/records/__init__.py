"""`gerbang records`: the record store, by hand.

One module a subcommand, each with `register(group)`. What is heavy (a database, plots)
is imported when a command runs.
"""

from __future__ import annotations

import importlib

import typer

from pbx.commands import LOOK

COMMANDS = ("rebuild", "ledger", "sweep", "synthesize", "export", "schema")
"""Each is a module of this package; the order is the help's."""

HELP = """The record store: compute it anew, compare it, take from it.

One call, one record, whatever broke. Every record follows from the journal's
raw lines alone; these commands prove that, and mend it where it is not so.

[bold]gerbang records rebuild --check[/bold]    do the records follow from their lines?

Exit status of each: 0 done; 1 it could not be, or there is a difference; 2 a
mistyped command. More: docs/records.md
"""

PROVE = "Prove: do the records say what happened?"
MAKE = "Make: records from a journal, a journal from nothing"
TAKE = "Take: records for other programs"
"""The panels of `gerbang records --help`."""


def register(app: typer.Typer) -> None:
    """Add `gerbang records` and its commands."""
    group = typer.Typer(
        name="records",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
    )
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.{name}").register(group)
    app.add_typer(group, rich_help_panel=LOOK)
