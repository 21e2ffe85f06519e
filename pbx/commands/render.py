"""`gerbang render`: put the declared city in force, or go back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pbx.commands import SET_UP

if TYPE_CHECKING:
    from pbx.asterisk.activate import Activated
    from pbx.settings import Settings

_OURS = "; Rendered by `gerbang render`"
"""Stands in every file we write; the templates begin so."""


def register(app: typer.Typer) -> None:
    """Add `gerbang render`."""

    @app.command(rich_help_panel=SET_UP)
    def render(
        back: bool = typer.Option(
            False, "--back", help="Return to the configuration before this one."
        ),
        listing: bool = typer.Option(
            False, "--list", help="Show the configurations kept on disk."
        ),
        phone: str = typer.Option(
            "", metavar="NUMBER", help="Print this operator's softphone settings."
        ),
        into: Path | None = typer.Option(
            None,
            metavar="DIR",
            help="Only write it there, for review, no passwords.",
        ),
        boot: bool = typer.Option(
            True, help="Try it on a throw-away Asterisk first. Leave it on."
        ),
    ) -> None:
        """Turn the city file into Asterisk's configuration and put it in force.

        The city is checked first, as by [bold]gerbang check[/bold]: a wrong one never
        replaces a good one. Then a whole new configuration is written beside the old
        one, switched to in one step, and a running Asterisk reloads it; calls go on.
        What only a restart brings (addresses, ports, modules) is named.

        [bold]gerbang render[/bold]               put the city file in force
        [bold]gerbang render --back[/bold]        return to the one before
        [bold]gerbang render --phone 101[/bold]   what to enter in his softphone

        Passwords are generated on first use and kept in var/asterisk/secrets.json
        (mode 0600). Exit status 0: done. 1: refused; what was in force still is.
        """
        from pbx.settings import Settings

        settings = Settings()
        if listing:
            _list(settings)
        elif phone:
            _phone(settings, phone)
        elif into:
            _write_into(settings, into)
        elif back:
            _tell(settings, _back(settings))
        else:
            _tell(settings, _render(settings, boot=boot))


def _render(settings: Settings, *, boot: bool) -> Activated:
    from pbx.asterisk.activate import activate
    from pbx.asterisk.releases import ReleaseError
    from pbx.asterisk.render import render_city
    from pbx.asterisk.run import NotInstalled, service_user
    from pbx.asterisk.secrets import Secrets, SecretsError
    from pbx.commands.city_file import fail, lint, load_city, load_text, try_out
    from pbx.commands.places import refuse

    path = settings.city_file
    text = load_text(path)  # once: what is checked is what goes in force
    city = load_city(path, text)
    lint(path, text, city, settings)
    if boot:
        try_out(path, city, settings)
    plan = render_city(city, Secrets.placeholders(city))["extensions.conf"]
    _leave_nobody_behind(settings, str(path), plan)
    try:
        return activate(settings.asterisk_home, city, service_user(), declared=text)
    except OSError as error:
        refuse(Path(error.filename or settings.asterisk_home), error)
    except (ReleaseError, SecretsError, NotInstalled) as error:
        fail(str(error))


def _leave_nobody_behind(settings: Settings, source: str, plan: str) -> None:
    """Refuse a dialplan that has no place for a caller where he is now."""
    from pbx.commands.city_file import fail

    if stranded := asyncio.run(_stranded(settings, plan)):
        fail(
            f"{source}: callers are in flows or queues it no longer has "
            f"({', '.join(stranded)}); declare them still, but send no number there, "
            "and take them out when they are empty"
        )


async def _stranded(settings: Settings, plan: str) -> list[str]:
    from pbx.asterisk.activate import lost_callers
    from pbx.asterisk.run import AsteriskError, console, running_pid

    home = settings.asterisk_home
    if running_pid(home) is None:
        return []
    try:
        queues = await console(home, "queue show")
        channels = await console(home, "core show channels concise")
    except AsteriskError:
        return []
    return lost_callers(queues, channels, plan)


def _back(settings: Settings) -> Activated:
    from pbx.asterisk.activate import go_back
    from pbx.asterisk.releases import ReleaseError, Releases
    from pbx.commands.city_file import fail

    if before := Releases(settings.asterisk_home).previous():
        plan = before.files().get("extensions.conf", "")
        _leave_nobody_behind(settings, before.name, plan)
    try:
        return go_back(settings.asterisk_home)
    except ReleaseError as error:
        fail(str(error))


def _tell(settings: Settings, done: Activated) -> None:
    from pbx.asterisk.activate import reload
    from pbx.asterisk.run import AsteriskError, running_pid
    from pbx.commands.city_file import fail

    if not done.changes:
        print(f"nothing changed: {done.release.name} is in force")
        return
    print(f"in force: {done.release.name}")
    for line in done.changes:
        print(f"  {line}")
    if running_pid(settings.asterisk_home) is None:
        print("Asterisk is not running; it will read this when it starts")
        return
    try:
        asyncio.run(reload(settings.asterisk_home))
    except AsteriskError as error:
        fail(f"{error}; it still works by the old one: restart it when no call waits")
    print("the running Asterisk has reloaded it")
    if done.restart:
        print(f"only a restart brings: {', '.join(done.restart)}")


def _write_into(settings: Settings, folder: Path) -> None:
    from pbx.asterisk.render import render_city
    from pbx.asterisk.secrets import Secrets
    from pbx.commands.city_file import fail, load_city
    from pbx.commands.places import writing

    city = load_city(settings.city_file)
    files = render_city(city, Secrets.placeholders(city))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        there = sorted(folder.glob("*.conf"))
        if foreign := [old.name for old in there if _OURS not in old.read_text()]:
            fail(
                f"{folder}: {foreign[0]} there is not ours, so nothing is written; "
                "name an empty folder, or one that was written so before"
            )
        for old in there:
            if old.name not in files:
                old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text)
    print(f"{len(files)} files in {folder}; passwords are placeholders")


def _list(settings: Settings) -> None:
    from pbx.asterisk.releases import Releases

    releases = Releases(settings.asterisk_home)
    current, previous = releases.current(), releases.previous()
    for release in releases.all():
        mark = {current: "  in force", previous: "  previous"}.get(release, "")
        print(f"{release.name}  {release.written_at:%F %T}Z{mark}")
    if current is None:
        print("nothing rendered yet; run `gerbang render`")


def _phone(settings: Settings, number: str) -> None:
    from pbx.asterisk.phones import settings_text
    from pbx.asterisk.secrets import SecretsError, read_secrets
    from pbx.commands.city_file import fail, load_city

    city = load_city(settings.city_file)
    try:
        password = read_secrets(settings.secrets_file).operators.get(number)
    except SecretsError as error:
        fail(str(error))
    operator = next((o for o in city.operators if o.number == number), None)
    if operator is None:
        known = ", ".join(o.number for o in city.operators)
        fail(f"there is no operator {number!r}; declared: {known}")
    if password is None:
        fail(f"operator {number} has no password yet; run `gerbang render`")
    print(settings_text(city, operator, password))
