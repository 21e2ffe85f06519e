"""What the privacy commands share: which number, why, how far the search is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.settings import Settings

T = TypeVar("T")


def read_number(text: str) -> str:
    """The number, normalised. Raises typer.BadParameter."""
    from pbx.model.numbers import NotANumberError, normalised

    try:
        return normalised(text)
    except NotANumberError as error:
        raise typer.BadParameter(str(error), param_hint="NUMBER") from error


def read_reason(text: str) -> str:
    """Why; it goes into the audit. Raises typer.BadParameter."""
    if not text.strip():
        raise typer.BadParameter(
            "say why: it stands in the audit", param_hint="--reason"
        )
    return text.strip()


def with_audit(
    settings: Settings, work: Callable[[AsyncEngine], Awaitable[T]], *, writes: bool
) -> T:
    """As `with_store`; without a key for the audit too it ends with 1, and why."""
    from pbx.commands.ghostfilter.store import with_store
    from pbx.records.audit import AuditKeyError

    try:
        return with_store(settings, work, writes=writes)
    except AuditKeyError as error:
        typer.echo(f"Nothing is done that is not audited: {error}", err=True)
        raise typer.Exit(1) from error


@contextmanager
def search_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while every record is looked through."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("looking through the records", total=None)

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield tell
