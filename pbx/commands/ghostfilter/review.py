"""`gerbang ghostfilter review`: who was released, and was anybody there?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pbx.commands.ghostfilter import FIELD
from pbx.model.review import Kind, Review

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pbx.records.reviews import ReviewRow
    from pbx.settings import Settings


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=FIELD)
    def review(
        call: str = typer.Argument("", metavar="[CALL]", help="One call, by its id."),
        mark: Review | None = typer.Option(
            None, help="Say what you heard; the last word counts, all are kept."
        ),
        by: str = typer.Option("", metavar="NAME", help="Who says so."),
        note: str = typer.Option("", metavar="TEXT", help="What else is worth saying."),
        acknowledge: bool = typer.Option(
            False,
            "--acknowledge",
            help="I see to this dropped person. Ends the alarm.",
        ),
        export: Path | None = typer.Option(
            None, metavar="FILE.wav", help="Copy the audio there. Personal data!"
        ),
        only: list[Review] = typer.Option([], help="List: only with this mark."),
        kind: list[Kind] = typer.Option([], help="List: only this kind."),
        since: str = typer.Option("", help="List: 2026-11-21, 20:15, or 6h, 2d ago."),
        last: int = typer.Option(20, "--last", "-n", min=1, help="How many, at most."),
        sample: bool = typer.Option(
            False, "--sample", help="Drawn at random: a fair sample of what has audio."
        ),
        as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
    ) -> None:
        """List releases, listen to one, and say whether somebody was there.

        Kinds: released; left (hung up in the goodbye); saved (spoke in the
        goodbye, and was put through); holdout and shadow (put through, would have
        been released). A drop marked was-a-person raises an alarm. With a browser
        it is easier: http://127.0.0.1:8112/review on the machine itself.

        [bold]gerbang ghostfilter review --only unreviewed --sample[/bold]
        [bold]gerbang ghostfilter review CALL[/bold]           one call, and its file
        [bold]gerbang ghostfilter review CALL --mark nobody --by Sari[/bold]

        Exit status 0: done. 1: no such call, no store, nothing to acknowledge, and
        why. 2: mistyped.
        """
        from pbx.settings import Settings

        settings = Settings()
        if not call:
            if mark or acknowledge or export or note:
                raise typer.BadParameter("of which call? name it", param_hint="CALL")
            _list(settings, kind, only, since, last, sample, as_json)
            return
        if (mark or acknowledge) and not by.strip():
            raise typer.BadParameter("a mark has a name", param_hint="--by")
        if note.strip() and not (mark or export):
            raise typer.BadParameter(
                "goes with --mark or --export", param_hint="--note"
            )
        if mark is Review.UNREVIEWED:
            raise typer.BadParameter("that is no mark", param_hint="--mark")
        row, marks = _one(settings, call, mark, by.strip(), note.strip(), acknowledge)
        if export is not None:
            _export(settings, row, export, by, note)
        _tell([row], settings, as_json)
        if not as_json:
            _tell_whole(settings, row, marks)
        if mark is not None and row.review is not mark:
            from pbx.records.reviews import STANDS

            typer.echo(STANDS.format(reviewer=row.reviewer), err=True)
        if acknowledge and row.acknowledged_at is None:
            typer.echo(
                "nothing to acknowledge: it is not marked was-a-person", err=True
            )
            raise typer.Exit(1)


def _list(
    settings: Settings,
    kinds: list[Kind],
    marks: list[Review],
    since: str,
    last: int,
    sample: bool,
    as_json: bool,
) -> None:
    from pbx.commands.ghostfilter.store import with_store
    from pbx.commands.since import city_zone, read_since
    from pbx.records.reviews import WantedReviews, listed

    wanted = WantedReviews(
        kinds=kinds,
        reviews=marks,
        since=read_since(since, city_zone(settings)),
        most=last,
        with_audio=sample,
        at_random=sample,
    )
    rows = with_store(settings, lambda engine: listed(engine, wanted), writes=False)
    _tell(rows, settings, as_json)
    if not rows:
        typer.echo("Nothing to review.", err=True)


def _one(
    settings: Settings,
    call: str,
    mark: Review | None,
    by: str,
    note: str,
    acknowledge: bool,
) -> tuple[ReviewRow, list[dict[str, Any]]]:
    from datetime import UTC, datetime

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.commands.ghostfilter.store import with_store
    from pbx.records import reviews

    async def work(engine: AsyncEngine) -> tuple[ReviewRow, list[dict[str, Any]]]:
        at = datetime.now(UTC)
        if mark is not None:
            await reviews.mark(engine, call, mark, by=by, note=note or None, at=at)
        if acknowledge:
            await reviews.acknowledge(engine, call, by=by, at=at)
        row = await reviews.find(engine, call)
        return row, await reviews.marks_of(engine, call)

    return with_store(settings, work, writes=bool(mark or acknowledge))


def _export(settings: Settings, row: ReviewRow, to: Path, by: str, why: str) -> None:
    """A copy is out of our hands: the audit says whose it is."""
    import shutil

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.commands.places import must_take_a_file, writing
    from pbx.commands.privacy.common import with_audit
    from pbx.commands.who import actor
    from pbx.records import audit

    if row.audio is None:
        typer.echo(f"{row.call_id} has no audio: none kept, or its days are over")
        raise typer.Exit(1)
    kept = settings.kept / row.audio
    if not kept.is_file():
        typer.echo(f"{kept} is gone from the disk; nothing was copied", err=True)
        raise typer.Exit(1)
    must_take_a_file(to)  # before the audit says that there is a copy

    async def tell(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await audit.append(
                connection,
                actor=actor(by),
                action="exported-audio",
                call_id=row.call_id,
                reason=why.strip() or "review",
                seconds=row.seconds,
                secrets=settings.secrets,
            )

    with_audit(settings, tell, writes=True)
    with writing(to):
        shutil.copyfile(kept, to)
    typer.echo(f"copied to {to}; delete it when you are done", err=True)


def _tell(rows: Sequence[ReviewRow], settings: Settings, as_json: bool) -> None:
    if as_json:
        import json
        from dataclasses import asdict

        for row in rows:
            print(json.dumps(asdict(row), ensure_ascii=False, default=str))
        return
    from pbx.commands.since import city_zone

    zone = city_zone(settings)
    for row in rows:
        ear = f"{row.seconds:5.1f} s" if row.seconds and row.audio else "no audio"
        typer.echo(
            f"{row.at.astimezone(zone):%F %T}  {row.call_id:<28} {row.kind:<9} "
            f"{row.reason:<8} {ear:>8}  {row.review}"
        )


def _tell_whole(
    settings: Settings, row: ReviewRow, marks: Sequence[dict[str, Any]]
) -> None:
    from pbx.commands.since import city_zone

    zone = city_zone(settings)
    typer.echo(f"  because: {row.because or '-'}")
    if row.audio:
        until = row.expires_at and f"{row.expires_at.astimezone(zone):%F %T}"
        typer.echo(f"  audio:   {settings.kept / row.audio} (kept until {until})")
    elif row.deleted_at:
        typer.echo(f"  audio:   deleted {row.deleted_at.astimezone(zone):%F %T}")
    for said in marks:
        note = f": {said['note']}" if said["note"] else ""
        at = said["at"].astimezone(zone)
        typer.echo(f"  {at:%F %T}  {said['review']} ({said['reviewer']}){note}")
    if row.acknowledged_at:
        typer.echo(f"  acknowledged by {row.acknowledged_by}")
    elif row.stands_as_alarm:
        typer.echo("  the alarm person-released stands; --acknowledge --by ends it")
