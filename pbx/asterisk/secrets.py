"""The passwords nobody has to think of: generated once, in one file of mode 0600."""

from __future__ import annotations

import json
import os
import secrets as random
from dataclasses import dataclass
from pathlib import Path

from pbx.model.city import City

MANAGER_USERS = ("control",)
"""One AMI user a process; what each may do stands in templates/manager.conf.j2."""

_BYTES = 18
"""24 characters of base64: 144 bits, and short enough to type into a phone."""


class SecretsError(Exception):
    """The secrets file cannot be read or written; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords by user; `manager` for AMI, `operators` for the phones."""

    manager: dict[str, str]
    operators: dict[str, str]

    @classmethod
    def placeholders(cls, city: City) -> Secrets:
        """What stands in the committed rendering instead of passwords."""
        return cls(
            manager={user: f"GENERATED-FOR-{user}" for user in MANAGER_USERS},
            operators={o.number: f"GENERATED-FOR-{o.number}" for o in city.operators},
        )

    def completed(self, city: City) -> Secrets:
        """The same, with a new password for everyone who has none yet.

        Passwords of operators no longer declared are kept: an operator who comes back
        finds his phone working.
        """
        new = {u: random.token_urlsafe(_BYTES) for u in MANAGER_USERS}
        phones = {o.number: random.token_urlsafe(_BYTES) for o in city.operators}
        return Secrets(new | self.manager, phones | self.operators)


def read_secrets(path: Path) -> Secrets:
    """What the file holds; empty if there is none. Raises SecretsError."""
    try:
        raw = json.loads(path.read_text())
        return Secrets(
            {str(k): str(v) for k, v in raw["manager"].items()},
            {str(k): str(v) for k, v in raw["operators"].items()},
        )
    except FileNotFoundError:
        return Secrets({}, {})
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SecretsError(
            f"{path}: cannot read the passwords ({error!r}). Restore the file from a "
            f"backup, or move it away: new passwords are made, and every phone needs "
            f"its new one (`gerbang render --phone NUMBER`)"
        ) from error


def keep_secrets(path: Path, city: City) -> Secrets:
    """The secrets for this city: those we have, and new ones, kept. Mode 0600.

    Raises SecretsError if the file cannot be read or written.
    """
    known = read_secrets(path)
    complete = known.completed(city)
    if complete == known:
        return known
    scratch = path.with_suffix(".tmp")
    text = json.dumps(
        {"manager": complete.manager, "operators": complete.operators}, indent=1
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        raise SecretsError(f"{path}: cannot keep the passwords: {error}") from error
    return complete
