"""`gerbang feed`: records for other services."""

from __future__ import annotations

import typer

from pbx.commands import PROCESSES


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(rich_help_panel=PROCESSES)
    def feed() -> None:
        """Give call records to other services: HTTP with cursors, events, webhooks.

        Usually started by [bold]gerbang run[/bold] or systemd. Serves /v1 on
        127.0.0.1 (the city's feed_port) to holders of a token, which [bold]gerbang
        token create[/bold] makes. It reads the record store only; calls never depend
        on it, and who reads resumes from his cursor. How to: docs/feed.md

        [bold]gerbang feed[/bold]               serve, its log lines here

        Exit status 0: stopped as asked. 1: there is no city to read.
        """
        import uvloop

        from pbx import log
        from pbx.feed.process import run
        from pbx.settings import Settings

        log.configure("feed")
        try:
            uvloop.run(run(Settings()))
        except (ValueError, OSError) as error:  # no city, or no text at all
            typer.echo(f"gerbang feed: {error}", err=True)
            raise typer.Exit(1) from error
