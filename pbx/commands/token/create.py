"""`gerbang token create`: let a service read the feed."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

import typer

from pbx.commands.token import TOKENS, with_store
from pbx.commands.who import actor

LONGEST_DAYS = 3650


class ScopeName(StrEnum):
    """`pbx.records.tokens.Scope`, without its imports; a test compares them."""

    READ = "read"
    PERSONAL = "personal"
    AUDIO = "audio"
    ADMIN = "admin"


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=TOKENS)
    def create(
        name: str = typer.Argument(
            help="The service's name; the audit knows it by that, for ever."
        ),
        scope: list[ScopeName] = typer.Option(
            help="read: records, without who called. personal: with who called. "
            "audio: recordings. admin: classify, rate. Give several."
        ),
        days: int = typer.Option(
            365, min=1, max=LONGEST_DAYS, help="Then it opens nothing any more."
        ),
    ) -> None:
        """Make a token, and show it this once: the store keeps only its hash.

        The token alone goes to stdout. Give no service more scopes than it needs.

        [bold]gerbang token create cad --scope read --scope personal[/bold]
        [bold]gerbang token create dashboard --scope read --days 30 > t[/bold]

        Exit status 0: made. 1: the name is taken, or the store is away.
        """
        from pbx.records import tokens

        at = datetime.now(UTC)
        scopes = [tokens.Scope(s.value) for s in scope]
        text = with_store(
            lambda engine: tokens.create(
                engine, name, scopes, days=days, at=at, by=actor()
            )
        )
        typer.echo(text)
        typer.echo(
            f"Token of {name} for {', '.join(sorted(set(scopes)))}, {days} days. It is "
            "not shown again.",
            err=True,
        )
