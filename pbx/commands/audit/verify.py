"""`gerbang audit verify`: has anything been changed or removed?"""

from __future__ import annotations

import typer

from pbx.commands.audit import CHAIN


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=CHAIN)
    def verify() -> None:
        """Check every entry: its key, its neighbours, and what was noted outside.

        Finds entries changed, removed in the middle or at the end, put in, moved, or
        signed with a key that is not in secrets/audit.key. After the database came
        from a backup the newest entries are missing: that is so, and is told.

        [bold]gerbang audit verify[/bold]

        Exit status 0: all is there, as it was written. 1: it is not, or no store.
        """
        from pbx.commands.privacy.common import with_audit
        from pbx.records.audit import verify as look
        from pbx.settings import Settings

        settings = Settings()
        found = with_audit(
            settings,
            lambda engine: look(engine, secrets=settings.secrets),
            writes=False,
        )
        for fault in found.faults:
            typer.echo(fault, err=True)
        last = f"; last: {found.last.mac}" if found.last else ""
        typer.echo(f"{found.entries} entries, {found.anchors} anchors{last}")
        if found.faults:
            typer.echo(
                f"{len(found.faults)} fault(s): the audit is not whole", err=True
            )
            raise typer.Exit(1)
        typer.echo("the audit is whole")
