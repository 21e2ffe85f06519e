"""`gerbang records rebuild`: every record anew, from the raw lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pbx.commands.records import PROVE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.commands.records.progress import Tell
    from pbx.records.builder import Built
    from pbx.records.rebuild import Looked


def register(group: typer.Typer) -> None:
    """Add `gerbang records rebuild`."""

    @group.command(rich_help_panel=PROVE)
    def rebuild(
        check: Annotated[
            bool, typer.Option("--check", help="Only compare; write nothing.")
        ] = False,
        journal: Annotated[
            Path | None,
            typer.Option(
                help="Fold the journal files below this directory into an empty store.",
                exists=True,
                file_okay=False,
            ),
        ] = None,
        database: Annotated[
            str | None,
            typer.Option(help="Another store than GERBANG_DATABASE_URL names."),
        ] = None,
    ) -> None:
        """Compute every record anew: from the lines in the store, or from files.

        Without [bold]--journal[/bold] each record is compared, bit for bit, with what
        its raw lines in the store say. What differs is told and gets a new
        revision. It may be ended at any moment: what was mended stays.

        With [bold]--journal DIR[/bold] a store is made from nothing, from all
        journal.jsonl* and notes.jsonl* below DIR (.gz, .bz2 and .xz too):
        the very rows the recorder would have written. All or nothing: until
        it is done, or after Ctrl-C, there is no such store. Memory stays
        flat, however long the journal.

        [bold]gerbang records rebuild --check[/bold]    only say what differs
        [bold]gerbang records rebuild[/bold]            mend it
        [bold]gerbang records rebuild --journal /backup/journals \\
            --database sqlite:////tmp/records.sqlite3[/bold]

        Exit status 0: all the same, mended, or made; 1: differences
        (--check), or it cannot be done, and why.
        """
        from pbx.commands.records.progress import bar
        from pbx.settings import Settings, asynchronous

        url = asynchronous(database) if database else Settings().database_url
        with bar() as tell:
            if journal is not None:
                done = _from_files(journal, url, tell)
            else:
                differences, looked = _compare(url, tell, mends=not check)
        if journal is not None:
            typer.echo(f"{done.calls} calls from {done.lines} lines in {url}")
            return
        for difference in differences:
            typer.echo(difference)
        typer.echo(
            f"{looked.compared} calls compared; {looked.sealed} sealed, not compared: "
            "their lines are gone."
        )
        if differences and check:
            raise typer.Exit(1)
        typer.echo(
            f"{len(differences)} records mended."
            if differences
            else "Every record compared is what its lines say."
        )


def _from_files(journal: Path, url: str, tell: Tell) -> Built:
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from pbx.records.database import explain
    from pbx.records.erased_calls import remembered
    from pbx.records.from_journal import StoreInUseError, build_store
    from pbx.records.journal_files import (
        JournalFiles,
        NoJournalError,
        UnreadableFileError,
    )

    _must_be_makeable(url)
    try:
        files, erased = JournalFiles.below(journal), remembered(None)
        return asyncio.run(build_store(files, url, tell, erased=erased))
    except (NoJournalError, StoreInUseError, UnreadableFileError) as error:
        typer.echo(f"Nothing was made: {error}.", err=True)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        typer.echo(f"Nothing was made: {explain(error)}.", err=True)
    except KeyboardInterrupt:
        typer.echo("Nothing was made; all is as it was.", err=True)
    raise typer.Exit(1)


def _must_be_makeable(url: str) -> None:
    """A store in a file of its own: can one be made there?"""
    from pathlib import Path

    from sqlalchemy.engine import make_url

    from pbx.commands.places import must_take_a_file

    made = make_url(url)
    if made.get_backend_name() == "sqlite" and made.database:
        path = Path(made.database)
        if not path.exists():  # what is there already is refused for what it is
            must_take_a_file(path, makes_folders=True)


def _compare(url: str, tell: Tell, *, mends: bool) -> tuple[list[str], Looked]:
    from pbx.commands.records.store import with_store
    from pbx.records.rebuild import Looked, compare

    looked = Looked()

    async def work(engine: AsyncEngine) -> list[str]:
        found = compare(engine, tell, mends=mends, looked=looked)
        return [str(difference) async for difference in found]

    return with_store(url, work, writes=mends), looked
