"""`gerbang calls`: the records, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from pbx.commands import LOOK
from pbx.commands.since import SINCE, city_zone, read_since

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from pbx.commands.calls_table import CallsTable
    from pbx.records.queries import Wanted
    from pbx.settings import Settings

    Tell = Callable[[Sequence[Mapping[str, Any]]], None]

FOLLOW_SECONDS = 0.5
NONE = "No such call is recorded yet; --open also shows those still going on."


def register(app: typer.Typer) -> None:
    """Add `gerbang calls`."""

    @app.command(rich_help_panel=LOOK)
    def calls(
        last: int = typer.Option(20, "--last", "-n", min=1, help="How many, at most."),
        since: str = typer.Option("", help=SINCE),
        is_open: bool = typer.Option(
            False, "--open", help="Also calls still going on."
        ),
        as_json: bool = typer.Option(
            False, "--json", help="One JSON object a line: the whole record."
        ),
        numbers: bool = typer.Option(
            False, "--numbers", help="Show callers' numbers whole. Personal data!"
        ),
        follow: bool = typer.Option(
            False, "--follow", "-f", help="Go on: show each call as it closes."
        ),
    ) -> None:
        """Show the records of calls, newest last.

        Verdict is the filter's word and its reason; wait is from the first queue to
        the operator; talk is in conversation. Results: connected, abandoned (left
        while waiting), left (hung up before the queue), released (a ghost), lost (we
        failed: look into it!). A "?" marks a record known to be incomplete, a "!"
        a call under which Asterisk died. In a narrow terminal the call ids, and then
        the date, give way; in a file or a pipe every column is there, whole.

        [bold]gerbang calls --since 6h[/bold]        the last six hours
        [bold]gerbang calls --follow[/bold]          each call as it closes
        [bold]gerbang calls --json -n 1[/bold]       the last record, whole

        Exit status 0: shown. 1: there is no record store, or it cannot be read.
        """
        import asyncio
        from contextlib import suppress

        from rich.console import Console

        from pbx.commands.calls_table import CallsTable
        from pbx.records.queries import Wanted
        from pbx.settings import Settings

        settings, console = Settings(), Console()
        zone = city_zone(settings)
        wanted = Wanted(last, read_since(since, zone), is_open)
        room = console.width if console.is_terminal else None
        table = None if as_json else CallsTable(zone, numbers, room)

        def tell(records: Sequence[Mapping[str, Any]]) -> None:
            _tell(records, table, console)

        with suppress(KeyboardInterrupt):
            asyncio.run(_show(settings, wanted, tell, follow))


async def _show(settings: Settings, wanted: Wanted, tell: Tell, follow: bool) -> None:
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from pbx.records.database import explain, is_missing, open_engine
    from pbx.records.queries import changed_calls, last_calls, newest_cursor

    engine = None
    try:
        engine = open_engine(settings.database_url, writes=False)
        cursor = await newest_cursor(engine)
        found = await last_calls(engine, wanted)
        tell(found)
        if not found:
            typer.echo(NONE, err=True)
        while follow:
            await asyncio.sleep(FOLLOW_SECONDS)
            cursor, news = await changed_calls(engine, cursor, wanted)
            if news:
                tell(news)
    except BrokenPipeError:
        raise  # who read us has seen enough; that is no fault of the store
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        typer.echo(
            "There are no records yet: no recorder has run here. Start one with "
            "`gerbang run`."
            if is_missing(error)
            else f"The record store cannot be read: {explain(error)}. "
            "`gerbang doctor` looks closer.",
            err=True,
        )
        raise typer.Exit(1) from error
    finally:
        if engine is not None:
            await engine.dispose()


def _tell(
    records: Sequence[Mapping[str, Any]], table: CallsTable | None, console: Console
) -> None:
    """Without a table: one JSON object a line."""
    if table is None:
        import json

        for record in records:
            print(json.dumps(record, ensure_ascii=False), flush=True)
        return
    for text, style in table.rows(records):
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
