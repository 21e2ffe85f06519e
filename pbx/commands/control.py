"""`gerbang control`: the control room's process."""

from __future__ import annotations

import typer

from pbx.commands import PROCESSES


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(rich_help_panel=PROCESSES)
    def control() -> None:
        """Watch the calls from beside: manager link, second witness, alarms, page.

        Usually started by [bold]gerbang run[/bold] or systemd. It notes each citizen's
        call apart from the journal, brings home calls that hang in the filter, raises
        alarms, and serves /healthz, /status and /metrics on 127.0.0.1 (the city's
        status_port). Calls never depend on it. SIGTERM ends it.

        [bold]gerbang control[/bold]            watch, its log lines here

        Exit status 0: stopped as asked. 1: there is no city to read.
        """
        import uvloop

        from pbx import log
        from pbx.control.process import run
        from pbx.settings import Settings

        log.configure("control")
        try:
            uvloop.run(run(Settings()))
        except (ValueError, OSError) as error:  # no city, or no text at all
            typer.echo(f"gerbang control: {error}", err=True)
            raise typer.Exit(1) from error
