"""`gerbang ghostfilter off|shadow|on`: the kill switch, for three in the morning.

It leaves a file where Asterisk and the intake look by themselves: nothing of ours needs
to run, nothing is rendered or restarted, and a restart changes nothing.
"""

from __future__ import annotations

from typing import NoReturn

import typer

from pbx.commands.ghostfilter import FIELD

_DONE = {
    "off": "off: every caller goes straight to the queue",
    "shadow": "shadow: it decides and tells the records, and releases nobody",
    "on": "on: it does what city.toml declares",
}


def register(group: typer.Typer) -> None:
    """Add the three commands."""

    @group.command(rich_help_panel=FIELD)
    def off() -> None:
        """Switch the filter off at once: every caller goes straight to the queue.

        [bold]gerbang ghostfilter off[/bold]    from the next call on, until switched on

        Nothing is restarted; an alarm stands until `gerbang ghostfilter on`.

        Exit status 0: off. 1: the switch could not be set, and why.
        """
        _switch("off")

    @group.command(rich_help_panel=FIELD)
    def shadow() -> None:
        """Let the filter only watch: it decides, tells the records, releases nobody.

        [bold]gerbang ghostfilter shadow[/bold]    from the next call on

        Callers hear the prompts as before; who would have been released goes to an
        operator. An alarm stands until `gerbang ghostfilter on`.

        Exit status 0: it only watches. 1: the switch could not be set, and why.
        """
        _switch("shadow")

    @group.command(rich_help_panel=FIELD)
    def on() -> None:
        """Take back `off` or `shadow`: what city.toml declares is in force again.

        [bold]gerbang ghostfilter on[/bold]    from the next call on

        Exit status 0: on. 1: the switch could not be set, and why.
        """
        _switch("on")


def _switch(wanted: str) -> None:
    from pbx.settings import Settings, switch_files

    files = switch_files(Settings().asterisk_home)
    try:
        if wanted in files:
            files[wanted].parent.mkdir(parents=True, exist_ok=True)
            files[wanted].touch()
        for mode, path in files.items():
            if mode != wanted:
                path.unlink(missing_ok=True)
    except OSError as error:
        _fail(error)
    typer.echo(f"ghost filter {_DONE[wanted]}")
    if wanted == "on":
        _say_what_is_declared()


def _say_what_is_declared() -> None:
    from pbx.model.city import CityError, read_city
    from pbx.model.policy import Mode
    from pbx.settings import Settings, active_city_file

    path = active_city_file(Settings())
    try:
        city = read_city(path.read_text(), source=str(path))
    except (OSError, UnicodeDecodeError, CityError):
        return
    for name, flow in city.flows.items():
        if flow.filter.mode is not Mode.ON:
            typer.echo(
                f"city.toml declares it {flow.filter.mode}: change mode in "
                f"[flows.{name}.filter], then `gerbang render`"
            )


def _fail(error: OSError) -> NoReturn:
    typer.echo(
        f"{error.filename}: {error.strerror}; the switch is a file of the user who "
        "runs us: try `sudo -u gerbang gerbang ghostfilter …`",
        err=True,
    )
    raise typer.Exit(1)
