"""Who tells: CloudEvents' `source`, the same for all events of a city."""

from __future__ import annotations

import re

from pbx.model.city import read_city
from pbx.settings import Settings, active_city_file

NOBODY = "urn:gerbang112"


def source_of(settings: Settings) -> str:
    """`urn:gerbang112:<city>`; without a readable city file nothing stands behind."""
    path = active_city_file(settings)
    try:
        name = read_city(path.read_text(), source=str(path)).city.name
    except (OSError, ValueError):
        return NOBODY
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"{NOBODY}:{word}" if word else NOBODY
