"""`gerbang recorder`: turn Asterisk's journal into records."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add `gerbang recorder`."""

    @app.command()
    def recorder() -> None:
        """Turn Asterisk's journal into one record a call, until stopped.

        `gerbang run` starts it; by hand it helps to watch. Reads the journal in
        GERBANG_STATE and writes to GERBANG_DATABASE_URL (default: SQLite in
        GERBANG_STATE). It may be killed at any moment: nothing is lost or doubled.
        """
        import asyncio
        import signal

        from pbx import heartbeat, log
        from pbx.recorder import Recorder
        from pbx.settings import Settings
        from pbx.status import Status

        log.configure("recorder")
        settings = Settings()

        async def record() -> None:
            worker = Recorder(
                settings.journal,
                settings.database_url,
                Status(settings.run, "recorder"),
            )
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, worker.stop)
            beats = asyncio.create_task(heartbeat.beat())
            await worker.run()
            beats.cancel()
            await asyncio.gather(beats, return_exceptions=True)

        asyncio.run(record())
