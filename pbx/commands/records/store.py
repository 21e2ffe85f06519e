"""Reaching the record store for one command, and saying why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")


def with_store(
    url: str, work: Callable[[AsyncEngine], Awaitable[T]], *, writes: bool
) -> T:
    """Do something with the store at `url`, which must be there. Ends with status 1,
    and why, without it."""
    from pathlib import Path

    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from pbx.records.database import explain, is_missing, open_engine

    made = make_url(url)
    is_file = made.get_backend_name() == "sqlite"
    # A command must not make the file, perhaps as root, before the recorder does.
    is_there = not is_file or Path(made.database or "").exists()

    async def run() -> T:
        engine = open_engine(url, writes=writes and is_there)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    try:
        return asyncio.run(run())
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
