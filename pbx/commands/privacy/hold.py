"""`gerbang privacy hold`: nothing of this call may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from pbx.commands.privacy import KEEPING

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.settings import Settings


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=KEEPING)
    def hold(
        call: str = typer.Argument("", metavar="[CALL]", help="One call, by its id."),
        reason: str = typer.Option("", help="Why: court, police. Goes into the audit."),
        by: str = typer.Option("", metavar="NAME", help="Who does it."),
        let_go: bool = typer.Option(False, "--let-go", help="The hold ends."),
    ) -> None:
        """A legal hold: nothing of this call goes, by retention or by request.

        Its sound is held as well, where it is still there. Without CALL: who is held.

        [bold]gerbang privacy hold[/bold]
        [bold]gerbang privacy hold CALL --reason "court, letter 7" --by Sari[/bold]
        [bold]gerbang privacy hold CALL --let-go --reason "case closed"[/bold]

        Exit status 0: done. 1: no such call or no store, and why. 2: mistyped.
        """
        from pbx.commands.privacy.common import read_reason
        from pbx.commands.who import actor
        from pbx.settings import Settings

        settings = Settings()
        if not call:
            _list(settings)
        else:
            _change(settings, call, read_reason(reason), actor(by), let_go)


def _list(settings: Settings) -> None:
    from pbx.commands.ghostfilter.store import with_store
    from pbx.records.holds import listed

    rows = with_store(settings, listed, writes=False)
    for row in rows:
        typer.echo(f"{row.at:%F %T}Z  {row.call_id:<28} {row.held_by}: {row.reason}")
    if not rows:
        typer.echo("Nothing is held.", err=True)


def _change(settings: Settings, call: str, why: str, who: str, let_go: bool) -> None:
    from pbx.commands.privacy.common import with_audit
    from pbx.records import holds
    from pbx.records.sound_files import SoundFolders

    folders = SoundFolders.of(settings)

    async def work(engine: AsyncEngine) -> Any:
        change = holds.let_go if let_go else holds.hold
        return await change(engine, call, by=who, reason=why, secrets=settings.secrets)

    record = with_audit(settings, work, writes=True)
    if record is None:
        typer.echo(
            f"no such call: {call}" if not let_go else f"{call} is not held", err=True
        )
        raise typer.Exit(1)
    if let_go:
        folders.let_go(call)
        typer.echo(f"{call} is held no more; its classes' days count again")
    else:
        typer.echo(f"{call} is held, with {folders.hold(record)} file(s)")
        if record.get("erased_at"):
            typer.echo(
                f"something of it was erased before, on {record['erased_at']}", err=True
            )
