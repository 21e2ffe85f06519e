"""`gerbang webhook add`, `list`, `rotate`, `enable`, `remove`: who is told."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pbx.commands.webhook import KEEP
from pbx.commands.webhook.store import with_webhooks
from pbx.commands.who import actor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.records.webhooks import Standing, Subscription

Id = Annotated[
    int,
    typer.Argument(
        min=1, max=2**31 - 1, help="The webhook's number, as `list` shows it."
    ),
]


class Told(StrEnum):
    """What a webhook can be told, in one word."""

    REVISED = "revised"
    CLOSED = "closed"


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command(rich_help_panel=KEEP)(add)
    group.command("list", rich_help_panel=KEEP)(list_)
    group.command(rich_help_panel=KEEP)(rotate)
    group.command(rich_help_panel=KEEP)(enable)
    group.command(rich_help_panel=KEEP)(remove)


def add(
    url: Annotated[str, typer.Argument(help="Where to POST: https://host/path.")],
    types: Annotated[
        list[Told],
        typer.Option(
            help="revised: every change of a call's record. closed: only those of a "
            "call that is over. Both may be given."
        ),
    ] = [Told.REVISED],  # noqa: B006 — typer reads it once
    personal: Annotated[
        bool, typer.Option("--personal", help="Callers' numbers and places whole.")
    ] = False,
    reason: Annotated[
        str, typer.Option(help="Why it may have personal data; into the audit.")
    ] = "",
    private: Annotated[
        bool,
        typer.Option("--private", help="The address is meant to be a private one."),
    ] = False,
) -> None:
    """Tell a service of every change from now on.

    Prints the secret it checks our signatures with; it is shown only now.
    Callers' numbers are masked unless --personal says otherwise.

    [bold]gerbang webhook add https://cad.example/calls --types closed[/bold]
    [bold]gerbang webhook add http://10.0.0.5/calls --private[/bold]

    Exit status 0: added. 1: the store cannot be used. 2: nothing can go there.
    """
    from pbx.feed.webhooks.address import refusal
    from pbx.records import webhooks
    from pbx.records.webhooks import EventType

    if why := refusal(url, private=private):
        raise typer.BadParameter(f"{url!r}: {why}", param_hint="URL")
    if personal and not reason.strip():
        raise typer.BadParameter(
            "say why with --reason; the audit keeps it", param_hint="--personal"
        )
    why_whole = reason.strip() if personal else None
    kinds = [EventType[told.name] for told in types]

    async def work(engine: AsyncEngine) -> Subscription:
        return await webhooks.add(
            engine, url, kinds, private=private, personal=why_whole, by=actor()
        )

    made = with_webhooks(work, writes=True)
    typer.echo(f"webhook {made.id}")
    typer.echo(f"secret  {made.secret}")
    typer.echo(
        f"It is shown only now. Try it: gerbang webhook test {made.id}", err=True
    )


def list_(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line.")
    ] = False,
) -> None:
    """Show who is told, and how each one stands.

    Behind: changes that are no deliveries yet. Waiting: deliveries not yet taken.
    Dead: tried for three days in vain; `gerbang webhook replay ID --dead`.

    [bold]gerbang webhook list[/bold]

    Exit status 0: shown. 1: the store cannot be used.
    """
    import json

    from rich.console import Console

    found = with_webhooks(_all, writes=False)
    if as_json:
        for hook, how in found:
            print(json.dumps(_plain(hook, how)))
        return
    if not found:
        typer.echo("Nobody is told by webhook; `gerbang webhook add URL`.", err=True)
        return
    Console().print(_table(found))


def rotate(webhook: Id) -> None:
    """Make a new secret; the old one signs as well for a day.

    [bold]gerbang webhook rotate 1[/bold]

    Exit status 0: the new secret is printed. 1: there is no such webhook.
    """
    from pbx.records import webhooks

    made = with_webhooks(
        lambda engine: webhooks.rotate(engine, webhook, by=actor()), writes=True
    )
    typer.echo(f"secret  {made.secret}")
    until = made.old_secret_until
    typer.echo(f"The old one signs as well until {until:%Y-%m-%d %H:%M %Z}.", err=True)


def enable(webhook: Id) -> None:
    """Tell a service again that had said 410 Gone; what it missed is sent.

    [bold]gerbang webhook enable 1[/bold]

    Exit status 0: done. 1: there is no such webhook.
    """
    from pbx.records import webhooks

    with_webhooks(
        lambda engine: webhooks.enable(engine, webhook, by=actor()), writes=True
    )


def remove(webhook: Id) -> None:
    """Tell a service no more, and forget what was to be told.

    [bold]gerbang webhook remove 1[/bold]

    Exit status 0: removed. 1: there is no such webhook.
    """
    from pbx.records import webhooks

    with_webhooks(
        lambda engine: webhooks.remove(engine, webhook, by=actor()), writes=True
    )


async def _all(engine: AsyncEngine) -> list[tuple[Subscription, Standing]]:
    from pbx.records import webhooks

    return [
        (hook, await webhooks.standing(engine, hook.id))
        for hook in await webhooks.subscriptions(engine)
    ]


def _plain(hook: Subscription, how: Standing) -> dict[str, Any]:
    """Without the secrets."""
    return {
        "id": hook.id,
        "url": hook.url,
        "types": sorted(hook.types),
        "personal": hook.personal,
        "private": hook.private,
        "created_at": hook.created_at.isoformat(),
        "disabled_why": hook.disabled_why,
        "behind": how.behind,
        "waiting": how.pending,
        "dead": how.dead,
    }


def _table(found: Sequence[tuple[Subscription, Standing]]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    columns = ("Id", "URL", "Told", "Personal", "Behind", "Waiting", "Dead", "State")
    table = Table(*columns)
    for hook, how in found:
        table.add_row(
            str(hook.id),
            escape(hook.url),
            " ".join(sorted(kind.name.lower() for kind in hook.types)),
            "yes" if hook.personal else "masked",
            str(how.behind),
            str(how.pending),
            str(how.dead),
            f"off: {hook.disabled_why}" if hook.disabled_why else "on",
        )
    return table
