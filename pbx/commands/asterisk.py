"""`gerbang asterisk`: the city's Asterisk alone, for systemd."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from pbx.settings import Settings

BOOT_SECONDS = 30.0


def register(app: typer.Typer) -> None:
    """Add the command; people use `gerbang run`."""

    @app.command(hidden=True)
    def asterisk(
        stop: bool = typer.Option(
            False, "--stop", help="End the running one once its calls have ended."
        ),
        drain_seconds: float = typer.Option(
            600.0, min=0.0, help="With --stop: how long calls may take to end."
        ),
    ) -> None:
        """Become the city's Asterisk, with the configuration in force.

        For the unit gerbang-asterisk.service (docs/production.md). Nothing is checked
        or rendered here: what `gerbang render` last put in force must start whatever
        else is broken.

        [bold]gerbang asterisk[/bold]           serve, until `gerbang asterisk --stop`

        Exit status 1: it cannot start, or did not stop; the text says why.
        """
        from pbx.settings import Settings

        settings = Settings()
        if stop:
            asyncio.run(_drain(settings.asterisk_home, drain_seconds))
        else:
            _become(settings)


def _become(settings: Settings) -> NoReturn:
    from pbx.asterisk.releases import Releases
    from pbx.asterisk.root import NotInstalled, find_root
    from pbx.asterisk.run import prepare_home, running_pid
    from pbx.asterisk.sandbox import command, service_user

    home = settings.asterisk_home
    try:
        root, user = find_root(settings), service_user()
    except NotInstalled as error:
        _fail(str(error))
    if Releases(home).current() is None:
        _fail(f"no configuration is in force in {home}; run `gerbang render`")
    if (pid := running_pid(home)) is not None:
        _fail(f"an Asterisk (pid {pid}) runs on {home} already; end it first")
    prepare_home(home, user)
    settings.sounds.mkdir(parents=True, exist_ok=True)
    argv = command(root, home, settings.sounds, user=user)
    os.execvp(argv[0], argv)  # noqa: S606 - a fixed argv, and no shell


async def _drain(home: Path, seconds: float) -> None:
    from pbx.asterisk.run import (
        AsteriskError,
        console,
        is_booted,
        running_pid,
        stop,
    )

    if running_pid(home) is None:
        typer.echo(f"gerbang asterisk: none runs on {home}")
        return
    limit = time.monotonic() + seconds
    try:
        # Before, it knows no `core stop`.
        await is_booted(home, deadline_seconds=min(seconds, BOOT_SECONDS))
        # "gracefully" would refuse the channel that rings an operator for who waits.
        await console(home, "core stop when convenient")
        while running_pid(home) is not None and time.monotonic() < limit:  # noqa: ASYNC110 - not our child
            await asyncio.sleep(0.2)
        await stop(home)
    except AsteriskError as error:
        _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"gerbang asterisk: {sentence}", err=True)
    raise typer.Exit(1)
