"""`gerbang privacy`: one person's data, and what went by itself.

One module a subcommand, each with `register(group)`; what is heavy is imported when a
command runs.
"""

from __future__ import annotations

import importlib

import typer

from pbx.commands import LOOK

COMMANDS = ("access", "erase", "hold", "certificates")
"""Each is a module of this package; the order is the help's."""

HELP = """Personal data (UU PDP 27/2022): what is there of one person, and its erasure.

What is kept of callers goes by itself, as the table retention says in
city.toml says. These commands answer one person, by telephone number, however
it is written: 0812…, +62812… and 62812… are one.

[bold]gerbang privacy access 081234567890 --reason "letter" --out a.zip[/bold]
[bold]gerbang privacy erase 081234567890 --reason "letter"[/bold]   shows it first
[bold]gerbang privacy certificates[/bold]    what went, when, by which rule

Exit status of each: 0 done; 1 it could not be, and why; 2 a mistyped command.
More: docs/privacy.md
"""

PERSON = "One person: access and erasure"
KEEPING = "Keeping: what must stay, what went"
"""The panels of `gerbang privacy --help`."""


def register(app: typer.Typer) -> None:
    """Add `gerbang privacy` and its commands."""
    group = typer.Typer(
        name="privacy",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
    )
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.{name}").register(group)
    app.add_typer(group, rich_help_panel=LOOK)
