"""`gerbang token list`: who may, and might once, read the feed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from pbx.commands.token import TOKENS, with_store

if TYPE_CHECKING:
    from pbx.records.tokens import Token


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(name="list", rich_help_panel=TOKENS)
    def list_tokens(
        as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
    ) -> None:
        """Show every token there ever was: scopes, end, last use; never itself.

        [bold]gerbang token list[/bold]
        [bold]gerbang token list --json[/bold]      for programs

        Exit status 0: shown. 1: the store is away.
        """
        from rich.console import Console
        from rich.table import Table

        from pbx.records import tokens

        found = with_store(tokens.every_token)
        told = [_told(token, datetime.now(UTC)) for token in found]
        if as_json:
            for row in told:
                typer.echo(json.dumps(row))
            return
        if not told:
            typer.echo("No tokens yet; `gerbang token create` makes one")
            return
        table = Table("name", "state", "scopes", "expires", "last used", box=None)
        for row in told:
            table.add_row(
                row["name"],
                row["state"],
                " ".join(row["scopes"]),
                _clock(row["expires_at"]),
                _clock(row["last_used_at"]),
            )
        Console().print(table)


def _told(token: Token, at: datetime) -> dict[str, Any]:
    if token.revoked_at is not None:
        state = "revoked"
    else:
        state = "valid" if token.is_valid(at) else "expired"
    return {
        "name": token.name,
        "state": state,
        "scopes": sorted(token.scopes),
        "created_at": token.created_at.isoformat(timespec="seconds"),
        "expires_at": token.expires_at.isoformat(timespec="seconds"),
        "revoked_at": _iso(token.revoked_at),
        "last_used_at": _iso(token.last_used_at),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _clock(at: str | None) -> str:
    """As this machine's clock shows it."""
    return "never" if at is None else f"{datetime.fromisoformat(at).astimezone():%F %R}"
