"""`gerbang token revoke`: a service may no longer read the feed."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from pbx.commands.token import TOKENS, with_store
from pbx.commands.who import actor


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=TOKENS)
    def revoke(
        name: str = typer.Argument(help="As `gerbang token list` shows it."),
    ) -> None:
        """Close what a token opens; the feed refuses it within 2 s.

        Streams it has open end. Its name stays taken. Again does no harm.

        [bold]gerbang token revoke dashboard[/bold]

        Exit status 0: it opens nothing. 1: there is none, or the store is away.
        """
        from pbx.records import tokens

        with_store(
            lambda engine: tokens.revoke(engine, name, datetime.now(UTC), by=actor())
        )
        typer.echo(f"The token {name} opens nothing any more.")
