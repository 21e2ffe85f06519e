"""`python -m tests.bench`: runs the rows one after the other and reports."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pbx.settings import PROJECT
from tests.bench import machine
from tests.bench.report import Measured, Report, as_json, as_markdown
from tests.bench.row import Bench, BenchError, Row
from tests.bench.rows import ROWS, load

REPORT = PROJECT / "docs" / "bench.md"


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Measure only this row (repeatable): {', '.join(ROWS)}."),
    ] = None,
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="Keep the report: docs/bench.md."),
    ] = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Try the rows themselves; figures worth nothing."),
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep logs and configurations here; default: throw away."),
    ] = None,
) -> None:
    """Measure what Gerbang112 costs and how fast it is, beside a rival if there is one.

    Real Asterisk, real RTP, real processes, in a world of their own: a running city is
    not touched. Takes under ten minutes and both cores; Ctrl-C ends it and all it
    started. Close other work first: the report says how busy the machine was.
    """
    names = tuple(only or ROWS)
    if unknown := set(names) - set(ROWS):
        raise typer.BadParameter(
            f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}"
        )
    if write and (quick or only):
        raise typer.BadParameter("--write keeps whole reports only: no --quick, --only")
    with tempfile.TemporaryDirectory(prefix="gerbang-bench-") as temporary:
        place = keep.absolute() if keep else Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o755)
        try:
            report = asyncio.run(_interruptible(load(names), place, quick=quick))
        except asyncio.CancelledError:
            typer.echo("stopped; nothing was left running, no report", err=True)
            raise typer.Exit(130) from None
    if write:
        REPORT.write_text(as_markdown(report))
    if json:
        print(as_json(report))
    else:
        Console().print(Markdown(as_markdown(report)))
    if any(measured.result is None for measured in report.rows):
        raise typer.Exit(1)


async def _interruptible(rows: Sequence[Row], place: Path, *, quick: bool) -> Report:
    """Ctrl-C and SIGTERM unwind by cancelling, so that every row cleans up.

    Once: a second Ctrl-C must not interrupt the cleaning. Also where SIGINT was ignored
    when we started, as shells do for background jobs.
    """
    task = asyncio.current_task()
    assert task
    once = iter([task.cancel])
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: [cancel() for cancel in once]
        )
    return await _run(rows, place, quick=quick)


async def _run(rows: Sequence[Row], place: Path, *, quick: bool) -> Report:
    about = machine.description()
    at = datetime.now(UTC)
    measured: list[Measured] = []
    with Progress(
        TextColumn("{task.fields[row]:<12}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
    ) as progress:
        for row in rows:
            bar = progress.add_task("starting", total=1.0, row=row.name)

            def tell(doing: str, done: float, bar: object = bar) -> None:
                progress.update(bar, description=doing, completed=done)  # type: ignore[arg-type]

            scratch = place / row.name
            scratch.mkdir(exist_ok=True)
            outcome = await _measure(row, Bench(scratch, tell, quick))
            tell(outcome.failure.partition("\n")[0] or "done", 1.0)
            measured.append(outcome)
    return Report(at, about, measured, quick)


async def _measure(row: Row, bench: Bench) -> Measured:
    """One row; another row's figures must not be lost to its failure."""
    begin = time.monotonic()
    try:
        result = await row.measure(bench)
    except Exception as error:  # noqa: BLE001 - told in the report and the exit status
        known = isinstance(error, BenchError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        return Measured(row, time.monotonic() - begin, failure=reason)
    return Measured(row, time.monotonic() - begin, result)


if __name__ == "__main__":
    os.chdir(PROJECT)
    typer.run(bench)
