"""`gerbang run`: serve 112 in the foreground."""

from __future__ import annotations

import asyncio
from enum import StrEnum

import typer

from pbx.commands import SERVE


class LogFormat(StrEnum):
    """How the processes' lines are shown."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(rich_help_panel=SERVE)
    def run(
        log: LogFormat = typer.Option(
            LogFormat.TEXT, help="Lines for people, or JSON as the processes write it."
        ),
        drain_seconds: float = typer.Option(
            600.0, min=0.0, help="After Ctrl-C, how long calls may take to end."
        ),
    ) -> None:
        """Serve 112: Asterisk, intake, recorder and control under one supervisor.

        Checks first and makes what is missing: Asterisk, prompts, configuration.
        Prints [bold]ready, dial 112[/bold] when a caller would reach an operator. A
        process that ends or hangs is started again.

        Ctrl-C (SIGTERM) drains: calls may finish, the last record is written.
        Ctrl-C again ends at once. Ctrl-Z and a closed terminal do not stop 112.

        [bold]gerbang run[/bold]                serve until Ctrl-C
        [bold]gerbang run --log json[/bold]     lines for a log collector

        In production systemd starts the same processes: docs/production.md.
        Exit status 0: ended as asked. 1: could not start; the text says why.
        """
        from pbx.settings import Settings
        from pbx.supervisor import AlreadyRunning, CannotStart
        from pbx.supervisor import run as serve

        try:
            asyncio.run(
                serve(
                    Settings(),
                    as_json=log is LogFormat.JSON,
                    drain_seconds=drain_seconds,
                )
            )
        except (AlreadyRunning, CannotStart) as error:
            typer.echo(f"gerbang run: {error}", err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:  # while it was still preparing
            raise typer.Exit(130) from error
        except asyncio.CancelledError as error:  # by SIGTERM, likewise
            raise typer.Exit(143) from error
