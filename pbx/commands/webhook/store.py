"""Reaching the record store, and what is said of a webhook that is not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")


def with_webhooks(work: Callable[[AsyncEngine], Awaitable[T]], *, writes: bool) -> T:
    """Do something with the record store. Ends with status 1, and why, without it or
    without the webhook."""
    from pbx.commands.ghostfilter.store import with_store
    from pbx.records.audit import AuditKeyError
    from pbx.records.webhooks import UnknownWebhookError
    from pbx.settings import Settings

    try:
        return with_store(Settings(), work, writes=writes)
    except (UnknownWebhookError, AuditKeyError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
