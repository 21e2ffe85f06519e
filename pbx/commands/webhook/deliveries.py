"""`gerbang webhook deliveries`, `replay`, `test`: what arrived, and what did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pbx.commands.webhook import FOLLOW
from pbx.commands.webhook.store import with_webhooks
from pbx.commands.webhook.subscriptions import Id
from pbx.commands.who import actor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.feed.webhooks.post import Outcome
    from pbx.records.webhooks import Delivered


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command(rich_help_panel=FOLLOW)(deliveries)
    group.command(rich_help_panel=FOLLOW)(replay)
    group.command(rich_help_panel=FOLLOW)(test)


def deliveries(
    webhook: Id,
    state: Annotated[
        str, typer.Option(help="Only pending, delivered or dead ones.")
    ] = "",
    last: Annotated[
        int, typer.Option("--last", "-n", min=1, help="How many, at most.")
    ] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line.")
    ] = False,
) -> None:
    """Show the last deliveries, one line a call, newest last.

    Delivered ones are kept for 7 days, dead letters for 90.

    [bold]gerbang webhook deliveries 1 --state dead[/bold]

    Exit status 0: shown. 1: there is no such webhook.
    """
    import json
    from dataclasses import asdict

    from pbx.records import webhooks
    from pbx.records.webhooks import Delivery

    if state and state not in set(Delivery):
        raise typer.BadParameter(
            f"{state!r} is none; {', '.join(Delivery)}", param_hint="--state"
        )
    wanted = Delivery(state) if state else None
    found = with_webhooks(
        lambda engine: webhooks.deliveries(engine, webhook, wanted, last), writes=False
    )
    if as_json:
        for one in found:
            print(json.dumps(asdict(one), default=str))
    elif found:
        _show(found)
    else:
        typer.echo("There are none.", err=True)


def replay(
    webhook: Id,
    since: Annotated[
        str, typer.Option(help="What changed since then: 2026-11-21, 20:15, 6h, 2d.")
    ] = "",
    after: Annotated[
        str, typer.Option(help="What changed after this cursor of the feed.")
    ] = "",
    dead: Annotated[bool, typer.Option("--dead", help="The dead letters.")] = False,
    call: Annotated[str, typer.Option(help="With --dead: of this call only.")] = "",
) -> None:
    """Send again: since a time, after a cursor of the feed, or dead letters.

    An event keeps its id, so a service that already has one may pass over it.

    [bold]gerbang webhook replay 1 --since 2d[/bold]
    [bold]gerbang webhook replay 1 --dead[/bold]

    Exit status 0: queued, gerbang feed sends them. 1: there is no such webhook.
    """
    from pbx.commands.since import city_zone, read_since
    from pbx.feed.cursors import CursorError, feed_number
    from pbx.records import webhooks
    from pbx.settings import Settings

    if sum(map(bool, (since, after, dead))) != 1:
        raise typer.BadParameter("say one of --since, --after, --dead")
    moment = read_since(since, city_zone(Settings())) if since else None
    try:
        cursor = feed_number(after) if after else 0
    except CursorError as error:
        raise typer.BadParameter(str(error), param_hint="--after") from error

    async def work(engine: AsyncEngine) -> int:
        if dead:
            return await webhooks.replay_dead(engine, webhook, call or None, by=actor())
        place = await webhooks.cursor_before(engine, moment) if moment else cursor
        return await webhooks.replay_after(engine, webhook, place, by=actor())

    found = with_webhooks(work, writes=True)
    typer.echo(f"{found} calls are told again" if found else "There are none.")


def test(webhook: Id) -> None:
    """Send one test event now, from here, and say what came back.

    [bold]gerbang webhook test 1[/bold]

    Exit status 0: it answered 2xx. 1: it did not, or there is no such webhook.
    """
    from pbx.feed.webhooks.event import ping_message
    from pbx.feed.webhooks.post import open_session, post
    from pbx.feed.webhooks.source import source_of
    from pbx.records.base import now
    from pbx.records.webhooks import subscription
    from pbx.settings import Settings

    async def work(engine: AsyncEngine) -> Outcome:
        hook = await subscription(engine, webhook)
        async with open_session(private=hook.private) as session:
            return await post(session, hook, ping_message(now(), source_of(Settings())))

    said = with_webhooks(work, writes=False)
    if said.is_delivered:
        typer.echo(f"It answered {said.status}.")
        return
    typer.echo(f"Not taken: {said.why}", err=True)
    raise typer.Exit(1)


def _show(found: Sequence[Delivered]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("Call", "Rev", "State", "Tries", "Last try (UTC)", "Said")
    for one in found:
        table.add_row(
            escape(one.call_id),
            str(one.revision),
            one.state,
            str(one.attempts),
            f"{one.tried_at:%Y-%m-%d %H:%M:%S}" if one.tried_at else "",
            escape(one.why or str(one.status or "")),
        )
    Console().print(table)
