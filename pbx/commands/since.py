"""`--since`: how commands are told from when on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from pbx.settings import Settings

SINCE = (
    "Only calls that began since then: 2026-11-21, 2026-11-21T20:15, 20:15 (today), or "
    "30m, 6h, 2d ago. City time."
)
"""The option's help."""

FIRST_YEAR, LAST_YEAR = 1970, 9000
"""As the feed has them: no database is asked about a day that has no UTC."""


def city_zone(settings: Settings) -> ZoneInfo:
    """The city's time zone; a city file that cannot be read must not hide records."""
    from zoneinfo import ZoneInfo

    from pbx.model.city import read_city

    try:
        city = read_city(settings.city_file.read_text(), source=str(settings.city_file))
    except (OSError, ValueError):
        return ZoneInfo("Asia/Jakarta")
    return ZoneInfo(city.city.timezone)


def read_since(text: str, zone: ZoneInfo) -> datetime | None:
    """What `--since` says; None: everything. Raises typer.BadParameter."""
    import re
    from datetime import datetime, timedelta

    if not text:
        return None
    today = datetime.now(zone)
    if ago := re.fullmatch(r"(\d+)([mhd])", text):
        unit = {"m": "minutes", "h": "hours", "d": "days"}[ago[2]]
        try:
            then = today - timedelta(**{unit: int(ago[1])})
        except (OverflowError, ValueError):  # longer ago than there are years
            return None
        return then if then.year >= FIRST_YEAR else None
    if clock := re.fullmatch(r"(\d\d?):(\d\d)", text):
        hour, minute = int(clock[1]), int(clock[2])
        if hour < 24 and minute < 60:
            return today.replace(hour=hour, minute=minute, second=0, microsecond=0)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write 2026-11-21, 2026-11-21T20:15, 20:15 or 30m",
            param_hint="--since",
        ) from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise typer.BadParameter(
            f"{text!r}: years are {FIRST_YEAR} to {LAST_YEAR}", param_hint="--since"
        )
    return at if at.tzinfo else at.replace(tzinfo=zone)
