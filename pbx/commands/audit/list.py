"""`gerbang audit list`: who dealt with whose data."""

from __future__ import annotations

import typer

from pbx.commands.audit import CHAIN


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command("list", rich_help_panel=CHAIN)
    def list_(
        call: str = typer.Option("", metavar="CALL", help="Only this call."),
        actor: str = typer.Option("", metavar="NAME", help="Only by this one."),
        action: str = typer.Option("", metavar="WORD", help="played, erased, …"),
        since: str = typer.Option("", help="2026-11-21, 20:15, or 6h, 2d ago."),
        last: int = typer.Option(50, "--last", "-n", min=1, help="How many, at most."),
        as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
    ) -> None:
        """The newest entries, oldest first: when, who, what, of which call, why.

        [bold]gerbang audit list --since 1d[/bold]
        [bold]gerbang audit list --call CALL --json[/bold]

        Exit status 0: shown. 1: no record store, and why. 2: mistyped.
        """
        import json
        from dataclasses import asdict

        from pbx.commands.ghostfilter.store import with_store
        from pbx.commands.since import city_zone, read_since
        from pbx.records.audit import WantedEntries, listed
        from pbx.settings import Settings

        settings = Settings()
        zone = city_zone(settings)
        wanted = WantedEntries(
            call_id=call or None,
            actor=actor or None,
            action=action or None,
            since=read_since(since, zone),
            most=last,
        )
        found = with_store(
            settings, lambda engine: listed(engine, wanted), writes=False
        )
        for entry in found:
            if as_json:
                told = asdict(entry) | {"at": entry.at.isoformat()}
                print(json.dumps(told, ensure_ascii=False))
                continue
            heard = "" if entry.seconds is None else f" {entry.seconds:.1f} s"
            typer.echo(
                f"{entry.at.astimezone(zone):%F %T}  {entry.seq:>6}  {entry.actor}  "
                f"{entry.action}{heard}  {entry.call_id or '-'}  {entry.reason or ''}"
            )
        if not found:
            typer.echo("No entries.", err=True)
