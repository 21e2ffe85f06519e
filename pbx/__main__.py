"""The `gerbang` command: parses the line, wires real parts, nothing else."""

from __future__ import annotations

import importlib

import typer

from pbx.commands import EPILOG

app = typer.Typer(
    name="gerbang",
    help="The gate between a city and its 112 operators.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)

COMMANDS = (
    "install",
    "check",
    "render",
    "run",
    "call",
    "calls",
    "status",
    "doctor",
    "sounds",
    "intake",
    "recorder",
    "control",
    "asterisk",
)
"""Each is a module of `pbx.commands` with `register(app)`; the order is the help's."""


def build() -> typer.Typer:
    """The whole command line. Modules import what is heavy inside their commands."""
    for name in COMMANDS:
        importlib.import_module(f"pbx.commands.{name}").register(app)
    return app


def main() -> None:
    """Run `gerbang`."""
    build()()


if __name__ == "__main__":
    main()
