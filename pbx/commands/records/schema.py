"""`gerbang records schema`: what a record looks like, for other programs."""

from __future__ import annotations

from pathlib import Path

import typer

from pbx.commands.records import TAKE


def register(app: typer.Typer) -> None:
    """Add `gerbang records schema`."""

    @app.command(rich_help_panel=TAKE)
    def schema(
        out: Path | None = typer.Option(
            None, help="Write it there, unless that breaks who reads what is there."
        ),
    ) -> None:
        """Print the JSON Schema of a call's record.

        It is made from the code. The committed one is docs/schemas/; a change that
        would break who reads it is refused: that is a new version.

        [bold]gerbang records schema | jq .required[/bold]
        [bold]gerbang records schema --out docs/schemas/call-record-1.json[/bold]

        Exit status 0: printed or written. 1: not written, and why.
        """
        import json

        from pbx.commands.places import must_take_a_file, writing
        from pbx.records.record_schema import record_schema

        made = record_schema()
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        if out is None:
            print(text, end="")
            return
        must_take_a_file(out)
        with writing(out):
            _refuse_breaks(out, made)
            scratch = out.with_name(f".{out.name}.part")
            scratch.write_text(text)
            scratch.replace(out)


def _refuse_breaks(out: Path, made: dict[str, object]) -> None:
    import json

    from pbx.records.record_schema import incompatible

    if not out.exists():
        return
    try:
        before = json.loads(out.read_text())
    except ValueError as error:
        typer.echo(
            f"{out}: not written: what is there is no JSON Schema ({error}); name "
            "another file, or move that one away",
            err=True,
        )
        raise typer.Exit(1) from error
    if breaks := incompatible(before, made):
        typer.echo(
            f"{out} is not written, who reads it would break:\n  "
            + "\n  ".join(breaks)
            + "\nKeep what is there, or make it version 2: VERSION in "
            "pbx/records/record_schema.py, and a file of its own.",
            err=True,
        )
        raise typer.Exit(1)
