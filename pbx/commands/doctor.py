"""`gerbang doctor`: what is wrong with this machine or this 112, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pbx.commands import LOOK

if TYPE_CHECKING:
    from rich.console import Console

    from pbx.commands.diagnosis import Finding


def register(app: typer.Typer) -> None:
    """Add `gerbang doctor`."""

    @app.command(rich_help_panel=LOOK)
    def doctor(
        as_json: bool = typer.Option(
            False, "--json", help="One JSON object, for programs."
        ),
        quiet: bool = typer.Option(
            False, "--quiet", "-q", help="Only what is not well; nothing if all is."
        ),
    ) -> None:
        """Look the machine and the installation over; say what is wrong and the cure.

        For when something does not start, or the cause of an alarm is not clear. It
        changes nothing. A fault: 112 does not serve, or may stop serving at any
        moment; warnings can wait for daylight.

        [bold]gerbang doctor[/bold]             everything it looked at
        [bold]gerbang doctor --quiet[/bold]     only what is not well, for cron

        Exit status 0: no fault. 1: at least one.
        """
        from pbx.commands.diagnosis import (
            Level,
            examine,
            installation,
            machine,
            running,
        )
        from pbx.settings import Settings

        parts = {
            "the machine": machine.CHECKS,
            "the installation": installation.CHECKS,
            "the running 112": running.CHECKS,
        }
        settings = Settings()
        found = {
            part: list(examine(settings, checks)) for part, checks in parts.items()
        }
        everything = [finding for part in found.values() for finding in part]
        if as_json:
            _print_json(everything)
        else:
            _print(found, quiet=quiet)
        if any(finding.level is Level.FAULT for finding in everything):
            raise typer.Exit(1)


def _print_json(findings: list[Finding]) -> None:
    import json
    from dataclasses import asdict

    counts = _counts(findings)
    print(json.dumps({**counts, "findings": [asdict(finding) for finding in findings]}))


def _print(found: dict[str, list[Finding]], *, quiet: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for part, findings in found.items():
        shown = [f for f in findings if not quiet or f.level.value != "ok"]
        if shown:
            console.print(f"\n[bold]{part}[/bold]")
        for finding in shown:
            _print_finding(console, finding)
    counts = _counts([finding for part in found.values() for finding in part])
    if counts["faults"]:
        verdict = f"[red]{counts['faults']} fault(s)[/red]: start with the first"
    elif counts["warnings"]:
        verdict = f"[yellow]{counts['warnings']} warning(s)[/yellow], no fault"
    else:
        verdict = "[green]all is well[/green]"
    if not quiet or counts["faults"] or counts["warnings"]:
        console.print(f"\n{verdict}")


def _print_finding(console: Console, finding: Finding) -> None:
    from rich.markup import escape

    colour = {"ok": "green", "warning": "yellow", "fault": "red"}[finding.level.value]
    console.print(
        f"  [{colour}]{finding.level.value:<8}[/{colour}]"
        f"{escape(finding.about):<16} {escape(finding.text)}"
    )
    if finding.cure:
        console.print(f"{'':26} [bold]cure:[/bold] {escape(finding.cure)}")


def _counts(findings: list[Finding]) -> dict[str, int]:
    levels = [finding.level.value for finding in findings]
    return {"faults": levels.count("fault"), "warnings": levels.count("warning")}
