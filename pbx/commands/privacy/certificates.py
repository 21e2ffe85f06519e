"""`gerbang privacy certificates`: what went, when, by which rule."""

from __future__ import annotations

import typer

from pbx.commands.privacy import KEEPING


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=KEEPING)
    def certificates(
        since: str = typer.Option("", help="2026-11-21, 20:15, or 6h, 2d ago."),
        last: int = typer.Option(50, "--last", "-n", min=1, help="How many, at most."),
        as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
    ) -> None:
        """What was taken out of the store, by retention or by a person's request.

        Each line is an entry of the audit: class, rule, until when, how many calls,
        and a SHA-256 over their ids, one a line, sorted. gerbang audit verify shows
        that none was changed.

        [bold]gerbang privacy certificates[/bold]
        [bold]gerbang privacy certificates --since 30d --json[/bold]

        Exit status 0: shown. 1: no record store, and why. 2: mistyped.
        """
        import json

        from pbx.commands.ghostfilter.store import with_store
        from pbx.commands.since import city_zone, read_since
        from pbx.records.certificates import listed
        from pbx.settings import Settings

        settings = Settings()
        zone = city_zone(settings)
        from_when = read_since(since, zone)
        found = with_store(
            settings,
            lambda engine: listed(engine, since=from_when, most=last),
            writes=False,
        )
        for entry, told in found:
            if as_json:
                one = {
                    "entry": entry.seq,
                    "at": entry.at.isoformat(),
                    "by": entry.actor,
                }
                print(json.dumps(one | told, ensure_ascii=False))
                continue
            typer.echo(
                f"{entry.at.astimezone(zone):%F %T}  {entry.seq:>6}  "
                f"{told['what']:<22} {told['count']:>6} calls  {told['rule']:<24} "
                f"{told['ids_sha256'][:16]}  {entry.actor}"
            )
        if not found:
            typer.echo("No certificates yet: nothing was over its time.", err=True)
