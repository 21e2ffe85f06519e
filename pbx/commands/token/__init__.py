"""`gerbang token`: who may read the feed.

One module a subcommand, each with `register(group)`.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from pbx.commands import SERVE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

COMMANDS = ("create", "list", "revoke")
"""Each is a module of this package; the order is the help's."""

TOKENS = "Tokens: one a service, with no more scopes than it needs"
"""The panel of `gerbang token --help`."""

HELP = """Who may read records over HTTP: tokens with scopes and an end.

[bold]gerbang token create cad --scope read[/bold]   make one; it is shown once
[bold]gerbang token list[/bold]                      all there ever were
[bold]gerbang token revoke cad[/bold]                close what it opens, within 2 s

Exit status of each: 0 done; 1 it could not be, and why; 2 a mistyped command.
More: docs/feed.md
"""

_Result = TypeVar("_Result")


def register(app: typer.Typer) -> None:
    """Add `gerbang token` and its commands."""
    group = typer.Typer(
        name="token",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,
    )
    for name in COMMANDS:
        importlib.import_module(f"{__name__}.{name}").register(group)
    app.add_typer(group, rich_help_panel=SERVE)


def with_store(work: Callable[[AsyncEngine], Awaitable[_Result]]) -> _Result:
    """Do it with an open store; what cannot be ends the command with 1 and why."""
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from pbx.records.audit import AuditKeyError
    from pbx.records.base import Store
    from pbx.records.database import explain
    from pbx.records.tokens import TokenError
    from pbx.settings import Settings

    async def do() -> _Result:
        store = await Store.open(Settings().database_url)
        try:
            return await work(store.engine)
        finally:
            await store.close()

    try:
        return asyncio.run(do())
    except (TokenError, AuditKeyError) as error:
        why = str(error)
    except (SQLAlchemyError, CommandError, OSError, TimeoutError) as error:
        why = f"the record store cannot be used: {explain(error)}"
    typer.echo(f"gerbang token: {why}", err=True)
    raise typer.Exit(1)
