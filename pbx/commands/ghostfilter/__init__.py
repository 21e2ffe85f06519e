"""`gerbang ghostfilter`: measure, explain and review the ghost filter.

One module a subcommand, each with `register(group)`. Whoever runs one of them starts
here: what is heavy (numpy, matplotlib, a database) is imported when a command runs.
"""

from __future__ import annotations

import importlib

import typer

from pbx.commands import LOOK

COMMANDS = (
    "evaluate",
    "explain",
    "rivals",
    "switch",
    "replay",
    "review",
    "figures",
)
"""Each is a module of this package; the order is the help's."""

HELP = """Is somebody there? Measure, explain and review the ghost filter.

Nobody who needs help is lost: the filter errs towards people, says why it
decided as it did, and its errors are measured, before a change and after.

[bold]gerbang ghostfilter evaluate DIR[/bold]    on recorded callers: who is lost?
[bold]gerbang ghostfilter explain FILE[/bold]    one call: what was heard, and when
[bold]gerbang ghostfilter replay[/bold]          stored calls, under a changed policy
[bold]gerbang ghostfilter review[/bold]          who was released: was anybody there?
[bold]gerbang ghostfilter figures[/bold]         in the field: drops, holdout, trends

Exit status of each: 0 done; 1 it could not be, and why; 2 a mistyped command.
More: docs/ghostfilter.md
"""

MEASURE = "Measure: on recorded callers, before a change goes live"
FIELD = "Field: what the filter did to real callers, and whether it was right"
"""The panels of `gerbang ghostfilter --help`."""


def register(app: typer.Typer) -> None:
    """Add `gerbang ghostfilter` and its commands."""
    group = typer.Typer(
        name="ghostfilter",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
    )
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.{name}").register(group)
    app.add_typer(group, rich_help_panel=LOOK)
