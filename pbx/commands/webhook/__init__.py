"""`gerbang webhook`: who is told of changes by a signed POST.

One module a few commands, each with `register(group)`. What is heavy is imported when a
command runs.
"""

from __future__ import annotations

import importlib

import typer

from pbx.commands import LOOK

MODULES = ("subscriptions", "deliveries")
"""Each is a module of this package; the order is the help's."""

HELP = """Webhooks: tell other services of every change, signed.

Each change of a call's record is sent as a CloudEvent with the headers of
Standard Webhooks, again and again for three days until the other side says
2xx. The process gerbang feed sends them.

[bold]gerbang webhook add https://cad.example/calls[/bold]
[bold]gerbang webhook list[/bold]

Exit status of each: 0 done; 1 there is no such webhook, or the store cannot
be used; 2 a mistyped command. More: docs/feed.md
"""

KEEP = "Keep: who is told"
FOLLOW = "Follow: what arrived, and what did not"
"""The panels of `gerbang webhook --help`."""


def register(app: typer.Typer) -> None:
    """Add `gerbang webhook` and its commands."""
    group = typer.Typer(
        name="webhook",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
    )
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}").register(group)
    app.add_typer(group, rich_help_panel=LOOK)
