"""`gerbang intake`: one worker that screens calls (started by `gerbang run`)."""

from __future__ import annotations

import os
import resource

import typer

from pbx.commands import PROCESSES

OPEN_FILES = 8192
"""A call holds two connections, a port scan up to 256; the usual 1024 would end at 380
calls, with connections refused that should have been answered."""


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
        allow_open_files(OPEN_FILES)
        try:
            with logging_in_a_thread():
                uvloop.run(run(Settings(), worker))
        except (OSError, CityError, PortTakenError) as error:
            typer.echo(f"intake: {error}", err=True)
            raise typer.Exit(1) from error


def allow_open_files(wanted: int) -> None:
    """Raise this process's own limit, as far as it may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    best = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < best:
        resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
