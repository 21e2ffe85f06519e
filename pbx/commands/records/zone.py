"""The city's days: its timezone, from the city in force."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import typer

if TYPE_CHECKING:
    from pbx.settings import Settings


def city_zone(settings: Settings) -> ZoneInfo:
    """Ends the command with status 1, and why, without a city that can be read."""
    from pbx.model.city import CityError, read_city
    from pbx.settings import active_city_file

    path = active_city_file(settings)
    try:
        city = read_city(path.read_text(), source=str(path))
    except (CityError, OSError) as error:
        typer.echo(f"{path}: {error}; `gerbang check` looks closer", err=True)
        raise typer.Exit(1) from error
    return ZoneInfo(city.city.timezone)
