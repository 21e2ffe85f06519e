"""`gerbang recorder`: turn Asterisk's journal into records."""

from __future__ import annotations

import typer

from pbx.commands import PROCESSES


def register(app: typer.Typer) -> None:
    """Add `gerbang recorder`."""

    @app.command(rich_help_panel=PROCESSES)
    def recorder() -> None:
        """Turn Asterisk's journal into one record a call, until stopped.

        Usually started by [bold]gerbang run[/bold] or systemd. Reads the journal in
        GERBANG_STATE and writes to GERBANG_DATABASE_URL (default: SQLite in
        GERBANG_STATE). It may be killed at any moment: nothing is lost or doubled.

        [bold]gerbang recorder[/bold]       read on, its log lines here; Ctrl-C ends it

        Exit status 0: stopped as asked.
        """
        import asyncio
        import signal

        from pbx import heartbeat, log
        from pbx.recorder import Recorder
        from pbx.records.proofs import Proofs
        from pbx.records.sweep import Places
        from pbx.settings import Settings, zone_of
        from pbx.status import Status

        log.configure("recorder")
        settings = Settings()

        async def record() -> None:
            status = Status(settings.run, "recorder")
            places = Places(
                settings.journal.parent,
                settings.notes.parent,
                settings.asterisk_home / "log",
            )
            proofs = Proofs(settings.database_url, zone_of(settings), places, status)
            worker = Recorder(
                settings.journal,
                settings.database_url,
                status,
                settings.notes,
                proofs,
                settings.secrets,
            )
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, worker.stop)
            beats = asyncio.create_task(heartbeat.beat())
            await worker.run()
            beats.cancel()
            await asyncio.gather(beats, return_exceptions=True)

        asyncio.run(record())
