"""`gerbang records rebuild`: every record anew, from the raw lines."""

from __future__ import annotations

from typing import Annotated

import typer

from pbx.commands.records import PROVE


def register(group: typer.Typer) -> None:
    """Add `gerbang records rebuild`."""

    @group.command(rich_help_panel=PROVE)
    def rebuild(
        check: Annotated[
            bool, typer.Option("--check", help="Only compare; write nothing.")
        ] = False,
    ) -> None:
        """Compute every record anew from the raw lines in the store.

        Where a record is not what its lines say, the difference is told and the
        record gets a new revision.

        [bold]gerbang records rebuild[/bold]            mend what differs
        [bold]gerbang records rebuild --check[/bold]    only say what differs

        Exit status 0: all the same, or mended; 1: differences (--check), or the
        store cannot be used.
        """
        from pbx.commands.ghostfilter.store import with_store
        from pbx.records.rebuild import compare
        from pbx.records.store import RecordStore
        from pbx.settings import Settings

        async def work(engine: object) -> list[str]:
            return [d async for d in compare(RecordStore(engine), mends=not check)]  # type: ignore[arg-type]

        differences = with_store(Settings(), work, writes=not check)
        for difference in differences:
            typer.echo(difference)
        if differences and check:
            raise typer.Exit(1)
