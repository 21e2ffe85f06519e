"""Who sits at the command line, for the audit."""

from __future__ import annotations

import getpass
import os


def actor(by: str = "") -> str:
    """Who does it: as told, else the user of this machine, also behind sudo."""
    if by.strip():
        return by.strip()
    try:
        return f"{os.environ.get('SUDO_USER') or getpass.getuser()} (command line)"
    except (OSError, KeyError):
        return "command line"
