"""What review and figures share: reaching the record store, and saying why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.settings import Settings

T = TypeVar("T")


def with_store(
    settings: Settings, work: Callable[[AsyncEngine], Awaitable[T]], *, writes: bool
) -> T:
    """Do something with the record store. Ends with status 1, and why, without it."""
    from sqlalchemy.exc import SQLAlchemyError

    from pbx.records.database import explain, is_missing, open_engine
    from pbx.records.reviews import UnknownCallError

    async def run() -> T:
        engine = open_engine(settings.database_url, writes=writes and _is_there())
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    def _is_there() -> bool:
        """Never make the file, perhaps as root, before the recorder does."""
        from sqlalchemy.engine import make_url

        url = make_url(settings.database_url)
        return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()

    try:
        return asyncio.run(run())
    except UnknownCallError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        typer.echo(
            "There are no records yet: no recorder has run here. Start one with "
            "`gerbang run`."
            if is_missing(error)
            else f"The record store cannot be used: {explain(error)}. "
            "`gerbang doctor` looks closer.",
            err=True,
        )
        raise typer.Exit(1) from error
