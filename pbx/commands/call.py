"""`gerbang call`: place one real call into the running system and tell its story."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add `gerbang call`."""

    @app.command()
    def call() -> None:
        """Place one real call into the running system (being written)."""
        raise typer.Exit(2)
