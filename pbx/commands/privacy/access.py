"""`gerbang privacy access`: a person's access package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pbx.commands.privacy import PERSON

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.settings import Settings


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=PERSON)
    def access(
        number: str = typer.Argument(..., metavar="NUMBER", help="081234567890, +62…"),
        out: Path = typer.Option(..., metavar="FILE.zip", help="Where to write it."),
        reason: str = typer.Option(..., help="Why: the request. Goes into the audit."),
        by: str = typer.Option("", metavar="NAME", help="Who does it."),
    ) -> None:
        """Everything that is there of one person, as one ZIP file.

        index.html to read in a browser; records, reviews and the audit's entries as
        JSON; the sound of his calls as WAV files. Of calls of others that only
        mention him, what is not his is masked. Make sure who asks before you hand it
        over: it is due within 3×24 hours (art. 32).

        [bold]gerbang privacy access 081234567890 --reason "letter" --out a.zip[/bold]

        Exit status 0: written, also if nothing is kept. 1: it could not be, and why.
        """
        from pbx.commands.places import must_take_a_file
        from pbx.commands.privacy.common import read_number, read_reason
        from pbx.commands.who import actor
        from pbx.settings import Settings

        settings, whose, why = Settings(), read_number(number), read_reason(reason)
        must_take_a_file(out)  # before the audit says that it was handed out
        _write(settings, whose, out, why, actor(by))


def _write(settings: Settings, number: str, out: Path, why: str, who: str) -> None:
    from datetime import UTC, datetime

    from pbx.commands.places import writing
    from pbx.commands.privacy.common import search_bar, with_audit
    from pbx.commands.privacy.package import Package, write_package
    from pbx.commands.since import city_zone
    from pbx.model.audit import subject_of
    from pbx.records import audit
    from pbx.records.person import audited, find
    from pbx.records.sound_files import SoundFolders

    async def work(engine: AsyncEngine) -> Package:
        with search_bar() as tell:
            person = await find(engine, number, now=datetime.now(UTC), tell=tell)
        async with engine.begin() as connection:
            key = audit.files_of(settings.secrets).key()
            await audit.append(
                connection,
                actor=who,
                action="access-package",
                reason=why,
                subject=subject_of(number, key),
                details={"calls": len(person.own), "file": out.name},
                secrets=settings.secrets,
            )
        entries = await audited(engine, person, secrets=settings.secrets)
        return Package(
            person,
            entries,
            SoundFolders.of(settings),
            city_zone(settings),
            datetime.now(UTC),
        )

    package = with_audit(settings, work, writes=True)
    with writing(out):
        files = write_package(package, out)
    typer.echo(
        f"{out}: {len(package.person.own)} call(s), {files} sound file(s), "
        f"{len(package.entries)} audit entries. Personal data: mode 0600; delete it "
        "when it is handed over."
    )
