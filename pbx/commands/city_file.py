"""What `check` and `render` share: reading a city file, trying it, telling people."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from pbx.model.city import City
    from pbx.settings import Settings


def fail(*lines: str) -> NoReturn:
    """Say what is wrong, on stderr, and end with 1."""
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)


def load_text(path: Path) -> str:
    """What the file says; ends the command if it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path}: cannot be read: {error}")


def load_city(path: Path, text: str | None = None) -> City:
    """The city of this file, its prompts looked up; ends the command on any fault.

    `text` is what the file said a moment ago, where it must not be read twice.
    """
    from pbx.model.city import CityError, read_city
    from pbx.sounds import SoundError, known_prompts

    text = load_text(path) if text is None else text
    try:
        city = read_city(text, source=str(path))
        prompts = known_prompts(city.city.language)
        return read_city(text, source=str(path), prompts=prompts)
    except CityError as error:
        fail(*error.lines(), f"{len(error.faults)} fault(s); nothing was changed")
    except SoundError as error:
        fail(str(error))


def try_out(path: Path, city: City, settings: Settings) -> float:
    """Boot a throw-away Asterisk on it; seconds taken. Ends the command on faults."""
    from rich.console import Console

    from pbx.asterisk.check import try_city
    from pbx.asterisk.run import NotInstalled, find_root, service_user

    try:
        root, user = find_root(settings), service_user()
    except NotInstalled as error:
        fail(str(error))
    with Console(stderr=True).status("checking") as shown:
        trial = asyncio.run(
            try_city(city, root, settings.sounds, user=user, on_step=shown.update)
        )
    if trial.faults:
        fail(
            *(f"{path}: {fault}" for fault in trial.faults),
            f"{len(trial.faults)} fault(s); nothing was changed",
        )
    return trial.seconds


def unmade_prompts(city: City, settings: Settings) -> list[str]:
    """Prompts the city names whose recordings are not there yet."""
    directory = settings.sounds / city.city.language
    return sorted(
        name for name in city.prompts() if not (directory / f"{name}.wav").exists()
    )
