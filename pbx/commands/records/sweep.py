"""`gerbang records sweep`: journal files, queue log and tables, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pbx.commands.records import PROVE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.records.sweep import Sweep


def register(group: typer.Typer) -> None:
    """Add `gerbang records sweep`."""

    @group.command(rich_help_panel=PROVE)
    def sweep(
        day: Annotated[
            str | None, typer.Option(help="A day of the city, 2025-10-03; yesterday.")
        ] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="The whole report as JSON.")
        ] = False,
    ) -> None:
        """Compare journal files, Asterisk's queue log and the tables for one day.

        Each line still on disk must be stored as it stands there; each record
        must be what its lines say; whoever waited or was answered, as the
        queue log says, must have waited or been answered in the record; each
        INVITE must have a record. Nothing is changed, but the report is kept.
        The recorder does the same each night at 3:30 and raises
        [bold]sweep-difference[/bold] if there is one.

        [bold]gerbang records sweep[/bold]                     yesterday
        [bold]gerbang records sweep --day 2025-10-03[/bold]    another day

        Exit status 0: no difference; 1: some, or it cannot be done, and why.
        """
        from datetime import UTC, date, datetime, timedelta

        from pbx.commands.records.store import with_store
        from pbx.records.sweep import Places, keep
        from pbx.records.sweep import sweep as look
        from pbx.settings import Settings, zone_of

        settings = Settings()
        zone = zone_of(settings)()
        try:
            wanted = (
                date.fromisoformat(day)
                if day
                else datetime.now(UTC).astimezone(zone).date() - timedelta(days=1)
            )
        except ValueError as error:
            raise typer.BadParameter(f"{error}; a day is written 2025-10-03") from error

        async def work(engine: AsyncEngine) -> Sweep:
            places = Places(
                settings.journal.parent,
                settings.notes.parent,
                settings.asterisk_home / "log",
            )
            found = await look(engine, wanted, zone, places)
            await keep(engine, found)
            return found

        found = with_store(settings.database_url, work, writes=True)
        if as_json:
            import json

            typer.echo(json.dumps(found.as_json(), indent=1))
        else:
            _print(found)
        if found.differences:
            raise typer.Exit(1)


def _print(found: Sweep) -> None:
    waited = "no queue log" if found.waited is None else f"{found.waited} waited"
    typer.echo(
        f"{found.day}: {found.calls} records, {found.lines} lines in {found.files} "
        f"journal files, {waited}"
    )
    for one in found.told:
        typer.echo(f"  {one.kind:<26} {one.what} {one.detail}")
    if found.differences > len(found.told):
        typer.echo(f"  and {found.differences - len(found.told)} more")
    typer.echo(
        f"{found.differences} differences" if found.differences else "No difference."
    )
