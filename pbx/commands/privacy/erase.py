"""`gerbang privacy erase`: take one person's data out of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pbx.commands.privacy import PERSON

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.model.audit import Entry
    from pbx.records.person import Found, Person
    from pbx.records.sound_files import SoundFolders
    from pbx.settings import Settings

NOT_REACHED = """Not reached by this command, and what becomes of it:
- consumers of the feed and of webhooks: the new revision of each record says
  erased_at; their copies are theirs to take out
- files exported (CSV, Parquet, audio) and backups: yours to delete
- journal files on the disk: gone after raw_line_days; nothing of these calls is
  ever read in again from them
- Asterisk's own logs (queue_log, messages): until raw_line_days are over
- the database's own disk: SQLite writes over what goes and empties its -wal file (a
  reader may hold it a while); PostgreSQL's dead rows go with VACUUM, its WAL and
  its archive as you keep them
- the repeat caller's marks in AstDB: end by themselves after 10 minutes, and go
  within 40, as calls come"""


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=PERSON)
    def erase(
        number: str = typer.Argument(..., metavar="NUMBER", help="081234567890, +62…"),
        reason: str = typer.Option(..., help="Why: the request. Goes into the audit."),
        by: str = typer.Option("", metavar="NAME", help="Who does it."),
        keep_open_cases: bool = typer.Option(
            False,
            "--keep-open-cases",
            help="Leave dropped people not called back, valid reports of 7 days.",
        ),
        yes: bool = typer.Option(False, "--yes", help="Do it; else it is shown."),
    ) -> None:
        """Take out of everything who this person is; shows first, does it with --yes.

        His calls lose number, headers, keys, notes, sound and raw lines; that there
        was a call, how long, and what became of it stays. Calls of others lose the
        texts that mention him. Each record changed gets a new revision that says
        erased_at, so that other services learn of it. The audit gets a certificate.
        A call under a legal hold, or that goes on, is left and told.

        [bold]gerbang privacy erase 081234567890 --reason "letter 12"[/bold]
        [bold]gerbang privacy erase 081234567890 --reason "letter 12" --yes[/bold]

        Exit status 0: shown or done. 1: it could not be, or not whole, and why.
        """
        from pbx.commands.privacy.common import read_number, read_reason
        from pbx.commands.who import actor
        from pbx.settings import Settings

        settings, who, why = Settings(), actor(by), read_reason(reason)
        _run(settings, read_number(number), who, why, keep_open_cases, yes)


def _run(
    settings: Settings, number: str, who: str, why: str, keeps: bool, yes: bool
) -> None:
    from datetime import UTC, datetime

    from pbx.commands.privacy.common import search_bar, with_audit
    from pbx.records import audit
    from pbx.records.person import erase, find
    from pbx.records.sound_files import SoundFolders

    folders = SoundFolders.of(settings)

    async def work(engine: AsyncEngine) -> tuple[Person, list[Entry], list[str]]:
        with search_bar() as tell:
            now = datetime.now(UTC)
            person = await find(
                engine, number, now=now, keeps_open_cases=keeps, tell=tell
            )
        _show(person, folders)
        if not yes or not person.erasable:
            return person, [], []
        audit.files_of(settings.secrets).key()  # else nothing goes, sound neither
        problems: list[str] = []
        for call in person.erasable:
            if call.is_own:
                problems += folders.delete(call.record)
        made = await erase(
            engine, person, actor=who, reason=why, secrets=settings.secrets
        )
        return person, made, problems

    person, made, problems = with_audit(settings, work, writes=yes)
    if not person.found:
        typer.echo("Nothing is kept of this number.")
    elif not yes:
        typer.echo("\nNothing was changed; --yes does it.")
    else:
        _tell_done(made, problems)


def _show(person: Person, folders: SoundFolders) -> None:
    for call in person.found:
        typer.echo(_line(call, folders.files_of(call.record)))
    if person.found:
        typer.echo(
            f"{len(person.own)} call(s) of this person, "
            f"{len(person.found) - len(person.own)} that mention him; "
            f"{len(person.erasable)} to be erased."
        )


def _line(call: Found, files: list[Path]) -> str:
    what = "his call" if call.is_own else "mentions him"
    parts = [f"{call.lines} raw lines"]
    if call.is_own:
        parts.append(f"{len(files)} files")
    if call.review is not None:
        parts.append(f"review row, {len(call.marks)} marks")
    told = f"{call.started_at:%F %T}Z  {call.call_id:<28} {what:<12} {', '.join(parts)}"
    return told + (f"  KEPT: {call.kept_because}" if call.kept_because else "")


def _tell_done(made: list[Entry], problems: list[str]) -> None:
    for entry in made:
        typer.echo(f"certificate: audit entry {entry.seq}, {entry.mac}")
    typer.echo(NOT_REACHED)
    if problems:
        for problem in problems:
            typer.echo(f"NOT deleted: {problem}", err=True)
        typer.echo("give these to the user who runs us, and delete them", err=True)
        raise typer.Exit(1)
