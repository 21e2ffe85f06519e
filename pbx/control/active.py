"""The live city, and our secret at its Asterisk; read again when they change."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pbx.ami import Login
from pbx.asterisk.secrets import SecretsError, read_secrets
from pbx.model.city import City, read_city
from pbx.settings import Settings, active_city_file

_log = logging.getLogger(__name__)

USER = "control"


@dataclass(slots=True)
class ActiveCity:
    """The rendered city if there is one, else the declared one.

    `read` raises OSError or ValueError (a CityError, or no text at all) only while no
    city was ever read; a bad file never replaces a good one.
    """

    settings: Settings
    _city: City | None = None
    _stamp: tuple[str, int] | None = None

    def read(self) -> City:
        """The city of now; the file is read only when it changed."""
        path = active_city_file(self.settings)
        try:
            stamp = (str(path.resolve()), path.stat().st_mtime_ns)
            if self._city is None or stamp != self._stamp:
                self._city = read_city(path.read_text(), source=str(path))
                self._stamp = stamp
        except (OSError, ValueError) as error:
            if self._city is None:
                raise
            _log.warning("city not read again, keeping the last: %s", error)
        return self._city

    def login(self) -> Login:
        """Where and as whom to log in. Raises ValueError with the cure."""
        path = self.settings.secrets_file
        try:
            secret = read_secrets(path).manager[USER]
        except SecretsError as error:
            raise ValueError(str(error)) from error
        except KeyError as error:
            raise ValueError(
                f"{path}: no secret for the manager user {USER!r}; make it with "
                "`gerbang render`"
            ) from error
        port = self.read().network.manager_port
        return Login("127.0.0.1", port, USER, secret)
