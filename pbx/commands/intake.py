"""`gerbang intake`: one worker that screens calls (started by `gerbang run`)."""

from __future__ import annotations

import os

import typer

from pbx.commands import PROCESSES


def register(app: typer.Typer) -> None:
    """Add `gerbang intake`."""

    @app.command(rich_help_panel=PROCESSES)
    def intake(
        worker: int = typer.Option(
            0, min=0, max=31, help="Which worker this is; each has its own audio port."
        ),
    ) -> None:
        """Screen calls: greet, listen, decide, hand back to Asterisk.

        Usually started by [bold]gerbang run[/bold] or systemd, one process a worker.
        SIGTERM drains: no new call, the running ones end. SIGHUP reads city and
        prompts again, which also happens by itself when a file changes. When this
        process dies its calls go on to the queue at once.

        [bold]gerbang intake --worker 0[/bold]   the first worker, its log lines here

        Exit status 0: drained. 1: a port is taken, or the city cannot be read.
        """
        # Before numpy: its BLAS would start a thread a core, for frames of 160 samples.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import uvloop

        from agi.log_thread import logging_in_a_thread
        from agi.server import PortTakenError, run
        from pbx import log
        from pbx.model.city import CityError
        from pbx.settings import Settings

        log.configure(f"intake-{worker}")
        try:
            with logging_in_a_thread():
                uvloop.run(run(Settings(), worker))
        except (OSError, CityError, PortTakenError) as error:
            typer.echo(f"intake: {error}", err=True)
            raise typer.Exit(1) from error
